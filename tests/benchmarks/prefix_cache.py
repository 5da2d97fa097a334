"""What the order of requests makes of a server's prefix cache; on a real vLLM server.

    python -m tests.benchmarks.prefix_cache [--url URL] [--out figures.json]

Questions on documents that stand at the beginning of the prompt, for two adapters, more documents
than the cache holds. One side asks them in the order in which they come (shuffled), the other as
the engine orders them; each turn has documents of its own. Told by the server's own counters: the
share of prompt tokens that it found in its cache. No order can have more than the share of a
document that comes with all questions but its first.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import httpx

from backend.engines.base import GenerationRequest, SamplingParams, ServedModel
from backend.engines.remote.line import in_cache_order
from backend.engines.vllm.engine import VllmEngine
from backend.engines.vllm.serve import ServerPlan, vllm_server
from tests.benchmarks._ratios import Ratio, keep
from tests.benchmarks.generation_throughput import DEMO_BASE, WORDS
from tests.fixtures_models import tiny_adapter

BLOCKS = 64  # of 128 tokens each, which is what the small server's cache holds
IN_FLIGHT = 8
ADAPTERS = ("v1", "v2")


def questions(seed: int, *, documents: int, each: int) -> list[GenerationRequest]:
    """`each` questions on every document, of every adapter, shuffled."""
    rng = random.Random(seed)
    texts = [" ".join(rng.choices(WORDS, k=180)) for _ in range(documents)]
    asked = [
        GenerationRequest(
            f"{seed}/{model}/{d}/{q}",
            model,
            [{"role": "user", "content": f"{d} {text}\n\nQuestion {q}: what is it about?"}],
        )
        for d, text in enumerate(texts)
        for q in range(each)
        for model in ADAPTERS
    ]
    rng.shuffle(asked)
    return asked


def cached(url: str) -> tuple[float, float]:
    """Prompt tokens that the server found in its cache since it started, and all of them."""
    found = {"hits": 0.0, "queries": 0.0}
    for line in httpx.get(f"{url}/metrics", trust_env=False).text.splitlines():
        for what in found:
            if line.startswith(f"vllm:prefix_cache_{what}_total"):
                found[what] += float(line.split()[-1])
    return found["hits"], found["queries"]


def ask(engine: VllmEngine, url: str, asked: Sequence[GenerationRequest]) -> tuple[float, float]:
    """The share that came from the cache, and the seconds."""
    hits, queries = cached(url)
    began = time.perf_counter()
    answers = list(engine.generate(asked, SamplingParams(max_tokens=4)))
    spent = time.perf_counter() - began
    if len(answers) != len(asked) or any(answer.error for answer in answers):
        raise RuntimeError("not every request was answered")
    more_hits, more_queries = cached(url)
    return (more_hits - hits) / (more_queries - queries), spent


@contextmanager
def small_server(url: str | None, base: ServedModel, folder: Path) -> Iterator[str]:
    """The server named, or one of our own with a small cache."""
    if url is not None:
        yield url
        return
    more = ["--num-gpu-blocks-override", str(BLOCKS)]
    plan = ServerPlan(base, folder / "vllm.log", more_flags=more)
    with vllm_server(plan, environment=os.environ) as server:
        yield server.url


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--url", help="a server with a small cache; default: start one")
    parser.add_argument("--documents", type=int, default=24)
    parser.add_argument("--each", type=int, default=3, help="questions on each document")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    before = os.getloadavg()[0]
    base = ServedModel("base", str(DEMO_BASE))
    shares: dict[str, list[float]] = {"as they come": [], "ordered": []}
    seconds: dict[str, list[float]] = {side: [] for side in shares}
    with tempfile.TemporaryDirectory() as folder:
        adapters = [
            ServedModel(
                name,
                base.base_model,
                tiny_adapter(Path(folder) / name, DEMO_BASE, rank=8, seed=i, spread=0.02),
            )
            for i, name in enumerate(ADAPTERS)
        ]
        with (
            small_server(args.url, base, Path(folder)) as url,
            VllmEngine([url], in_flight=IN_FLIGHT) as engine,
        ):
            engine.load([base, *adapters])
            for turn in range(args.turns):
                for place, side in enumerate(shares if turn % 2 else reversed(shares)):
                    asked = questions(10 * turn + place, documents=args.documents, each=args.each)
                    order = in_cache_order if side == "ordered" else list
                    with (
                        patch("backend.engines.remote.engine.in_cache_order", order),
                        patch("backend.engines.remote.stream.in_cache_order", order),
                    ):
                        share, spent = ask(engine, url, asked)
                    shares[side].append(share)
                    seconds[side].append(spent)
                    print(f"{side}: {share:.3f} from the cache, {spent:.1f} s", flush=True)
    if args.out:
        found = {"benchmark": "prefix_cache", "shares": shares, "seconds": seconds}
        args.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    load = (before, os.getloadavg()[0])
    keep(
        args.out,
        [
            *(
                Ratio(f"share of prompt tokens from the cache, {side}", found, unit="", load=load)
                for side, found in shares.items()
            ),
            Ratio(
                "seconds as they come over seconds ordered",
                [a / b for a, b in zip(*seconds.values(), strict=True)],
                load=load,
            ),
        ],
    )


if __name__ == "__main__":
    main()
