"""What an alias costs on a real vLLM server: the same adapter under three names, in one session.

    python -m tests.benchmarks.alias_throughput [--turns 5] [--base FOLDER] [--out figures.json]

`digest` is the name that carries the adapter's digest, `alias` the name that a promotion moves
(taken away and given again), `in_place` what vLLM's load_inplace makes of it: it keeps that flag
with the name and loads again in every step. Sides take turns, 24 requests at once; a ratio is the
median over the turns of tokens a second over those of `digest` in the same turn.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import median

from backend.engines.base import GenerationRequest, SamplingParams, ServedModel
from backend.engines.vllm.engine import VllmEngine
from backend.engines.vllm.serve import ServerPlan, vllm_server
from tests.benchmarks._ratios import Ratio, keep
from tests.benchmarks.generation_throughput import DEMO_BASE
from tests.fixtures_models import tiny_adapter

SIDES = ("digest", "alias", "in_place")
AT_ONCE = 24
TOKENS = 64
GOAL = 0.97


def load_in_place(url: str, name: str, path: Path) -> None:
    """Load an adapter as vLLM offers to; nothing in Strop does."""
    body = json.dumps({"lora_name": name, "lora_path": str(path), "load_inplace": True}).encode()
    request = urllib.request.Request(
        f"{url}/v1/load_lora_adapter", body, {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request).close()


def tokens_a_second(engine: VllmEngine, name: str, turn: int) -> float:
    """Throughput of as many requests as are in flight at once.

    The prompts of a turn are the same for every name, and so, greedily, are the answers; the server
    remembers prompts by name, so that none profits from the one before.
    """
    asked = [
        GenerationRequest(
            str(i), name, [{"role": "user", "content": f"Ticket {turn}.{i}: tell of it."}]
        )
        for i in range(AT_ONCE)
    ]
    began = time.perf_counter()
    answers = list(engine.generate(asked, SamplingParams(max_tokens=TOKENS)))
    seconds = time.perf_counter() - began
    assert all(answer.error is None for answer in answers)
    return sum(answer.completion_tokens or 0 for answer in answers) / seconds


def measure(base_folder: str, turns: int) -> dict[str, list[float]]:
    """Tokens a second of each side, turn by turn, after one turn to warm up."""
    with tempfile.TemporaryDirectory() as folder:
        base = ServedModel("base", base_folder)
        path = tiny_adapter(Path(folder) / "v1", Path(base_folder), rank=16, spread=0.02)
        adapter = ServedModel("v1", base_folder, path)
        plan = ServerPlan(base, Path(folder) / "vllm.log", max_model_len=1024)
        with (
            vllm_server(plan, environment=os.environ) as server,
            VllmEngine([server.url], in_flight=AT_ONCE) as engine,
        ):
            engine.load([base, adapter])
            engine.serve_as("champion", adapter)
            load_in_place(server.url, "in_place", path)
            names = {"digest": "v1", "alias": "champion", "in_place": "in_place"}
            engine._names["in_place"] = "in_place"
            found: dict[str, list[float]] = {side: [] for side in SIDES}
            for turn in range(turns + 1):
                for side in SIDES[turn % 3 :] + SIDES[: turn % 3]:
                    speed = tokens_a_second(engine, names[side], turn)
                    if turn:
                        found[side].append(speed)
    return found


def main() -> None:
    """Measure, print, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--base", default=str(DEMO_BASE))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    before = os.getloadavg()[0]
    found = measure(args.base, args.turns)
    load = (before, os.getloadavg()[0])
    digest = found.pop("digest")
    keep(args.out, [
        Ratio(f"tokens a second under {side} to those under the digest",
              [own / of_digest for own, of_digest in zip(speeds, digest, strict=True)],
              at_least=GOAL if side == "alias" else None, load=load,
              sides={f"{side}, a second": median(speeds), "digest, a second": median(digest)})
        for side, speeds in found.items()
    ])  # fmt: skip


if __name__ == "__main__":
    main()
