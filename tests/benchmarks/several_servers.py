"""Two servers behind one engine, one of them slowed: the wall time beside the best there could be.

    python -m tests.benchmarks.several_servers [--count 600] [--turns 5] [--out figures.json]

The servers are stand-ins that answer after a fixed time (simulated: no model), so that what is
measured is how the engine shares out the requests. With `in_flight` requests at a time and answers
after `q` and `s` seconds, no schedule ends sooner than count / (in_flight/q + in_flight/s). A
server that is more than five times slower than the other is taken out; the best is then the quick
one alone. The ratio is that best over the seconds taken; 1 is perfect.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

from backend.engines.base import GenerationRequest, SamplingParams, ServedModel
from backend.engines.remote.server_state import Patience
from backend.engines.vllm.engine import VllmEngine
from tests.backend.engines.scripted_server import ScriptedServer
from tests.benchmarks._ratios import Ratio, keep

QUICK_S = 0.1
SLOWER = (1.0, 2.0, 4.0, 20.0)
IN_FLIGHT = 4


def best_seconds(count: int, slower: float, *, in_flight: int = IN_FLIGHT) -> float:
    """The least that any schedule needs, of the servers that are to be used at all."""
    rate = in_flight / QUICK_S
    if slower <= Patience().slow:
        rate += in_flight / (QUICK_S * slower)
    return count / rate


def seconds_taken(count: int, slower: float) -> float:
    """Seconds until all answers are there, each once."""
    asked = [
        GenerationRequest(str(i), "base", [{"role": "user", "content": f"text {i}"}])
        for i in range(count)
    ]
    with ScriptedServer() as quick, ScriptedServer() as slow:
        quick.delay_s, slow.delay_s = QUICK_S, QUICK_S * slower
        urls = [quick.url, slow.url]
        with VllmEngine(urls, in_flight=IN_FLIGHT, patience=Patience(least_s=0.5)) as engine:
            engine.load([ServedModel("base", "/models/base")])
            began = time.perf_counter()
            keys = [answer.key for answer in engine.generate(asked, SamplingParams())]
            spent = time.perf_counter() - began
    if sorted(keys) != sorted(one.key for one in asked):
        raise RuntimeError("an answer was lost or doubled")
    return spent


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    before = os.getloadavg()[0]
    taken: dict[float, list[float]] = {slower: [] for slower in SLOWER}
    for _ in range(args.turns):
        for slower in SLOWER:
            taken[slower].append(seconds_taken(args.count, slower))
    if args.out:
        found = {"benchmark": "several_servers", "count": args.count, "seconds": taken}
        args.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    keep(
        args.out,
        [
            Ratio(
                f"best over taken, one of two servers {slower:g} times slower (simulated)",
                [best_seconds(args.count, slower) / spent for spent in taken[slower]],
                at_least=0.9,
                sides={"best, s": best_seconds(args.count, slower)},
                load=(before, os.getloadavg()[0]),
            )
            for slower in SLOWER
        ],
    )


if __name__ == "__main__":
    main()
