"""Pure work over chunks: this process, two processes of this machine, a Ray of two nodes.

    python -m tests.benchmarks.executors [--data DIR] [--out FILE.json] [--turns 5] [--outputs 3000]

All sides do the same chunks, warm, in turns, and give the same results, which is checked. How many
times as fast a side is, the clock says, since the work is done in other processes. The limit is
told by processor time, which a busy machine blurs less: a side is at most so many times as fast,
with any number of nodes, since the process that asks has so much to do itself. The two nodes are on
this machine with a processor each: what a network costs is not measured. Real text is mts_dialog.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from backend.executors.local import LocalExecutor
from backend.services.datasets.health.repeats import embed
from backend.services.datasets.near_duplicates import near_duplicate_pairs
from backend.settings import DEMO_BASE
from evaluators.checks.planting.bench import build_bench
from evaluators.chunks import OutputToScore, ScoreChunk, score_chunk
from evaluators.spread import Spread
from evaluators.types import Sample
from tests.benchmarks._ratios import Ratio, Turns, keep, skip, take_turns

DATA = Path(os.environ.get("STROP_TEST_DATA") or Path(__file__).parents[3] / "shared/data")
METRICS = ("rougeL", "bleu", "token_f1", "grounding", "invented")
CHUNK = 250
HERE, LOCAL, RAY = "this process", "2 processes", "Ray, 2 nodes"
MOMENTS, PAYLOAD = 200, 150_000


@dataclass(frozen=True, slots=True)
class Work:
    """Something that is done in chunks: with a `map` it gives its result."""

    name: str
    count: int
    run: Callable[[Spread], Any]


def read_samples(folder: Path, count: int) -> list[Sample]:
    """Section texts as outputs of dialogues, over again where there are too few."""
    with (folder / "mts_dialog/train.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    taken = [rows[n % len(rows)] for n in range(count)]
    return [
        Sample(
            str(n),
            taken[n - 1]["section_text"] if n % 3 == 0 else row["section_text"],
            references=(row["section_text"],),
            context=row["dialogue"],
            group=str(n),
        )
        for n, row in enumerate(taken)
    ]


def works(samples: Sequence[Sample]) -> list[Work]:
    """Scoring, near-duplicates, planting and encoding of these samples."""
    chunks = [
        ScoreChunk(tuple(OutputToScore(int(one.id), one, METRICS) for one in part))
        for part in (samples[start : start + CHUNK] for start in range(0, len(samples), CHUNK))
    ]
    texts = list(dict.fromkeys(str(one.context) for one in samples))
    planted = samples[: max(1, len(samples) // 10)]
    # a chunk is no sequence of its outputs, which `Spread` would have
    scored: Callable[[Any], Any] = lambda spread: list(spread(score_chunk, chunks))  # noqa: E731
    return [
        Work("scoring, five metrics", len(samples), scored),
        Work("near-duplicates", len(texts), lambda s: near_duplicate_pairs(texts, spread=s)),
        Work("planting", len(planted), lambda s: build_bench(planted, spread=s).planted),
        Work("encoding", len(samples), lambda s: embed(_short(samples), DEMO_BASE, spread=s)),
    ]


def _short(samples: Sequence[Sample]) -> list[str]:
    return [one.prediction[:400] for one in samples]


def pass_on(item: bytes) -> int:
    """Next to nothing, with what a chunk weighs."""
    return len(item)


def measure(sides: Mapping[str, Spread], work: Work, *, turns: int) -> list[Ratio]:
    """How many times as fast as this process each other side is.

    Raises:
        AssertionError: a side gives other results.
    """
    found = {name: work.run(spread) for name, spread in sides.items()}  # warm, too
    for name, result in found.items():
        same = result == found[HERE]
        assert same if isinstance(same, bool) else same.all(), f"{work.name}: {name} differs"
    own: dict[str, list[float]] = {name: [] for name in sides}
    taken = take_turns(
        {name: _timed(work, spread, own[name]) for name, spread in sides.items()},
        times=turns,
        clock=time.perf_counter,
    )
    busy, what = Turns(own, taken.load), f"{work.name} ({work.count})"
    return [
        ratio
        for name in sides
        if name != HERE
        for ratio in (
            taken.ratio(f"{what}, {name} against this process", name, HERE),
            busy.ratio(f"{what}, limit of {name}", name, HERE),
        )
    ]


def _timed(work: Work, spread: Spread, own: list[float]) -> Callable[[], None]:
    """The work, with the processor seconds of this process noted."""

    def run() -> None:
        began = time.process_time()
        work.run(spread)
        own.append(time.process_time() - began)

    return run


def overhead(name: str, spread: Spread, *, turns: int, items: int = MOMENTS) -> Ratio:
    """Milliseconds that an item costs of which the work is nothing."""
    load, payload = os.getloadavg()[0], b"x" * PAYLOAD
    spent = []
    for _ in range(turns):
        began = time.perf_counter()
        assert list(spread(pass_on, [payload] * items)) == [PAYLOAD] * items
        spent.append((time.perf_counter() - began) / items * 1000)
    name = f"overhead of a chunk of {PAYLOAD // 1000} kB, {name}"
    return Ratio(name, spent, unit="ms", load=(load, os.getloadavg()[0]))


@contextmanager
def two_nodes() -> Iterator[Spread]:
    """A Ray of two nodes with a processor each, on this machine."""
    from backend.executors.ray import RayExecutor
    from backend.executors.ray_session import QUIET
    from tests.fixtures_ray import NODE, OF_TESTS

    os.environ.update({**QUIET, **OF_TESTS})
    from ray.cluster_utils import Cluster

    lean = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, **lean})
    cluster.add_node(**NODE)
    with TemporaryDirectory() as home:
        executor = RayExecutor(cluster.address, home=Path(home))
        try:
            yield executor.map
        finally:
            executor.close()
            cluster.shutdown()


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--outputs", type=int, default=3000)
    parser.add_argument("--only", help="part of a work's name")
    args = parser.parse_args()
    if not (args.data / "mts_dialog").is_dir():
        skip(args.out, "executors", f"no data at {args.data}")
        return
    chosen = [
        work
        for work in works(read_samples(args.data, args.outputs))
        if args.only is None or args.only in work.name
    ]
    found: list[Ratio] = []
    with closing(LocalExecutor(2)) as local, two_nodes() as ray:
        sides: dict[str, Spread] = {HERE: map, LOCAL: local.map, RAY: ray}
        for name in (LOCAL, RAY):
            overhead(name, sides[name], turns=1)
            found.append(overhead(name, sides[name], turns=args.turns))
            keep(None, found[-1:])
        for work in chosen:
            found += (ratios := measure(sides, work, turns=args.turns))
            keep(None, ratios)
            for ratio in ratios:
                print(f"   {ratio.sides}", flush=True)
    keep(args.out, found)


if __name__ == "__main__":
    from tests.benchmarks import executors  # other processes know the work by this name

    executors.main()
