"""Base plus two adapters in one server, against three servers one after another; start-up included.

    python -m tests.benchmarks.generation_one_server [--count 100] [--out figures.json]

One side starts a server that holds the base and both adapters and asks all prompts of all three in
one run. The other starts a server with the base and the adapter of which it is the turn, asks that
model's prompts, stops it, and starts the next. Both sides take turns in one session; the ratio is
seconds of the second side over seconds of the first.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from backend.engines.base import GenerationRequest, SamplingParams, ServedModel
from backend.engines.vllm.engine import VllmEngine
from backend.engines.vllm.serve import ServerPlan, vllm_server
from tests.benchmarks.generation_throughput import DEMO_BASE, make_requests
from tests.fixtures_models import tiny_adapter


def time_servers(
    base: ServedModel,
    shares: Sequence[Sequence[ServedModel]],
    requests: Sequence[GenerationRequest],
    *,
    max_tokens: int,
) -> float:
    """Seconds to answer every share of models with a server of its own, one after another."""
    started = time.perf_counter()
    for models in shares:
        adapters = [model for model in models if model.adapter_path is not None]
        asked = [
            GenerationRequest(f"{model.name}/{r.key}", model.name, r.messages)
            for r in requests
            for model in models
        ]
        with tempfile.TemporaryDirectory() as folder:
            plan = ServerPlan(base, Path(folder) / "vllm.log", adapters)
            with vllm_server(plan, environment=os.environ) as server:
                _answer_all(server.url, base, models, asked, max_tokens)
    return time.perf_counter() - started


def _answer_all(
    url: str,
    base: ServedModel,
    models: Sequence[ServedModel],
    asked: Sequence[GenerationRequest],
    max_tokens: int,
) -> None:
    with VllmEngine([url]) as engine:
        engine.load([base, *models])
        results = list(engine.generate(asked, SamplingParams(max_tokens=max_tokens)))
    if len(results) != len(asked) or any(result.error for result in results):
        raise RuntimeError("not every request was answered")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="prompts for each model")
    parser.add_argument("--repetitions", type=int, default=2)
    parser.add_argument("--max-tokens", type=int, default=32)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    base = ServedModel("base", str(DEMO_BASE))
    one, three = [], []
    with tempfile.TemporaryDirectory() as folder:
        paths = [
            tiny_adapter(Path(folder) / f"v{i}", DEMO_BASE, rank=8, seed=i, spread=0.02)
            for i in (1, 2)
        ]
        models = [base, *(ServedModel(path.name, base.base_model, path) for path in paths)]
        for repetition in range(args.repetitions):
            requests = make_requests(args.count, seed=repetition)
            one.append(time_servers(base, [models], requests, max_tokens=args.max_tokens))
            apart = [[model] for model in models]
            three.append(time_servers(base, apart, requests, max_tokens=args.max_tokens))
            print(f"one server {one[-1]:.1f} s, three servers {three[-1]:.1f} s")
    ratios = [b / a for a, b in zip(one, three, strict=True)]
    found = {
        "benchmark": "generation_one_server",
        "prompts_per_model": args.count,
        "one_server_s": one,
        "three_servers_s": three,
        "ratio_median": statistics.median(ratios),
        "ratio_low": min(ratios),
        "ratio_high": max(ratios),
        "n": len(ratios),
    }
    print(f"three over one: {found['ratio_median']:.2f} [{min(ratios):.2f}, {max(ratios):.2f}]")
    if args.out:
        args.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
