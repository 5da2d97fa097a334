"""Several adapters in one server, against a server for each; on a real vLLM server.

    python -m tests.benchmarks.generation_one_server [--adapters 2] [--count 200] [--out FILE]

One side is a server that holds all adapters and is asked all prompts of all of them, mixed. The
other is as many servers, each with one adapter, which are all up and are asked at once, each with
the prompts of its own; both sides have the same requests in flight altogether. All servers stand on
this machine and share its processors, and so neither side has more of them. The ratio is seconds of
the many over seconds of the one; the aim for N adapters is N/1.3 at least, which on one machine
asks that what the servers do beside one another be shared within the one. Beside it: the memory of
both, and the one server asked for its adapters one after the other.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from backend.engines.base import GenerationRequest, SamplingParams, ServedModel
from backend.engines.vllm.engine import VllmEngine
from backend.engines.vllm.serve import RunningServer, ServerPlan, vllm_server
from tests.benchmarks._ratios import Ratio, keep
from tests.benchmarks.generation_throughput import DEMO_BASE, make_requests
from tests.fixtures_models import tiny_adapter

IN_FLIGHT = 32

ONE, MANY, IN_TURN = "one server", "many servers", "one server, adapter by adapter"


def requests_for(
    models: Sequence[ServedModel], count: int, *, seed: int
) -> list[GenerationRequest]:
    """The same prompts for every model, prompt by prompt."""
    return [
        GenerationRequest(f"{model.name}/{r.key}", model.name, r.messages)
        for r in make_requests(count, seed=seed)
        for model in models
    ]


def answer_all(engine: VllmEngine, asked: Sequence[GenerationRequest], max_tokens: int) -> None:
    """Have all answered, each without error."""
    results = list(engine.generate(asked, SamplingParams(max_tokens=max_tokens)))
    if len(results) != len(asked) or any(result.error for result in results):
        raise RuntimeError("not every request was answered")


def memory_of(server: RunningServer) -> float:
    """Gigabytes that the processes of a server hold and share with nobody (PSS)."""
    pids = [server.pid, *_children(server.pid)]
    kilobytes = 0
    for pid in pids:
        rolled = Path(f"/proc/{pid}/smaps_rollup").read_text()
        kilobytes += next(
            int(line.split()[1]) for line in rolled.splitlines() if line.startswith("Pss:")
        )
    return kilobytes / 1e6


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [one for child in map(int, found) for one in (child, *_children(child))]


def measure(
    adapters: int, *, count: int, turns: int, max_tokens: int
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds of each side turn by turn, after one turn to warm up; and gigabytes of each."""
    base = ServedModel("base", str(DEMO_BASE))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        models = [
            ServedModel(
                f"v{i}",
                base.base_model,
                tiny_adapter(folder / f"v{i}", DEMO_BASE, rank=8, seed=i, spread=0.02),
            )
            for i in range(1, adapters + 1)
        ]
        shares = [models, *([model] for model in models)]
        servers = [
            stack.enter_context(
                vllm_server(
                    ServerPlan(base, folder / f"vllm{i}.log", share), environment=os.environ
                )
            )
            for i, share in enumerate(shares)
        ]
        limits = [IN_FLIGHT, *(IN_FLIGHT // adapters for _ in models)]
        engines = [
            stack.enter_context(VllmEngine([server.url], in_flight=limit))
            for server, limit in zip(servers, limits, strict=True)
        ]
        for engine, share in zip(engines, shares, strict=True):
            engine.load([base, *share])
        pool = stack.enter_context(ThreadPoolExecutor(adapters))

        def ask_one(asked: Sequence[GenerationRequest]) -> None:
            answer_all(engines[0], asked, max_tokens)

        def ask_many(asked: Sequence[GenerationRequest]) -> None:
            parts = [[r for r in asked if r.model == model.name] for model in models]
            list(pool.map(answer_all, engines[1:], parts, [max_tokens] * adapters))

        def ask_in_turn(asked: Sequence[GenerationRequest]) -> None:
            for model in models:
                answer_all(engines[0], [r for r in asked if r.model == model.name], max_tokens)

        sides = {ONE: ask_one, MANY: ask_many, IN_TURN: ask_in_turn}
        seconds = _take_turns(sides, models, count=count, turns=turns)
        sizes = [memory_of(server) for server in servers]
    return seconds, {ONE: sizes[0], MANY: sum(sizes[1:])}


def _take_turns(
    sides: Mapping[str, Callable[[Sequence[GenerationRequest]], None]],
    models: Sequence[ServedModel],
    *,
    count: int,
    turns: int,
) -> dict[str, list[float]]:
    """Each side has prompts of its own, so that none profits from what a server remembers."""
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(turns + 1):
        for place, side in enumerate([*sides] if turn % 2 else [*sides][::-1]):
            asked = requests_for(models, count, seed=100 * turn + place)
            began = time.perf_counter()
            sides[side](asked)
            if turn:
                seconds[side].append(time.perf_counter() - began)
                print(f"{side}: {seconds[side][-1]:.1f} s", flush=True)
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--adapters", type=int, default=2)
    parser.add_argument("--count", type=int, default=200, help="prompts for each adapter")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--max-tokens", type=int, default=32)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    before = os.getloadavg()[0]
    seconds, gigabytes = measure(
        args.adapters, count=args.count, turns=args.turns, max_tokens=args.max_tokens
    )
    print(", ".join(f"{side}: {size:.2f} GB" for side, size in gigabytes.items()))
    if args.out:
        found = {"benchmark": "generation_one_server", "seconds": seconds, "gigabytes": gigabytes}
        args.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    load = (before, os.getloadavg()[0])
    medians = {f"{side}, s": statistics.median(spent) for side, spent in seconds.items()}
    keep(
        args.out,
        [
            Ratio(
                f"{args.adapters} adapters mixed in one server over {other}",
                [b / a for a, b in zip(seconds[ONE], seconds[other], strict=True)],
                at_least=goal,
                sides=medians,
                load=load,
            )
            for other, goal in ((MANY, args.adapters / 1.3), (IN_TURN, 1.0))
        ],
    )


if __name__ == "__main__":
    main()
