"""What 200 reviews buy: macro-F1 against reviews spent, drawn at random and by the active design.

    python -m tests.benchmarks.banking77_curves [--data DIR] [--out FILE.json] [--seeds 5]

The train split of banking77 (../shared/data) with a fifth of its labels made wrong. In each round
200 labels are reviewed and the truth is restored, then a model is trained on all labels as they
stand and measured on the clean test split. One arm draws its reviews at random, the other by the
product's active design (backend/services/review/opening/design.py) from strata that out-of-fold
predictions define: high_risk, models_disagree and low_confidence, beside the random anchor.

Simulated: the wrong labels (drawn from all others, or taken for the most similar one), and the
experts, who know the truth and never err. In place of an adapter stands a cheap model: TF-IDF and a
linear classifier (scikit-learn). Intervals are Student's over the
seeds (wrong labels, draws and training differ by seed; the test split does not). Beside the curve
stand the errors found per round, and how often the design's estimate of the share of wrong labels,
by the inclusion probabilities that it stores, has the truth in its 95% interval.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from backend.services.review.opening.design import (
    Drawn,
    Stratum,
    Target,
    anchor_stratum,
    draw_simple,
    draw_strata,
    most_extreme,
    share_budget,
)
from evaluators.statistics.prediction_powered import estimate_mean
from tests.benchmarks._banking77_models import Texts, measure_f1, screen_labels
from tests.benchmarks._banking77_report import Point, as_markdown, coverage, summarise

NOISES = ("uniform", "confused")
TARGETS = (
    Target("high_risk", share=0.55, top=0.1),
    Target("models_disagree", share=0.2),
    Target("low_confidence", share=0.1),
)
FOLDS = 5


class Reviewed(NamedTuple):
    """A label that was looked at: its number in the pool and the chance with which it was drawn."""

    number: int
    probability: float


@dataclass(slots=True)
class Pool:
    """Labels as they stand, the truth behind them, and which were reviewed."""

    labels: np.ndarray
    truth: np.ndarray
    reviewed: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.reviewed = np.zeros(len(self.labels), dtype=bool)

    @property
    def frame(self) -> np.ndarray:
        """Numbers of the labels that nobody has looked at."""
        return np.flatnonzero(~self.reviewed)

    def restore(self, drawn: Sequence[Reviewed]) -> int:
        """Let simulated experts put the truth in place; returns how many labels were wrong."""
        numbers = np.array([item.number for item in drawn], dtype=np.int64)
        if self.reviewed[numbers].any():
            raise ValueError("A label was drawn that had been reviewed.")
        wrong = int((self.labels[numbers] != self.truth[numbers]).sum())
        self.labels[numbers], self.reviewed[numbers] = self.truth[numbers], True
        return wrong


def corrupt_labels(
    truth: np.ndarray, *, share: float, confused_with: np.ndarray | None, seed: int
) -> np.ndarray:
    """Make exactly a share of the labels wrong.

    Args:
        confused_with: label -> the label that it is taken for; None draws any other label.
    """
    rng = np.random.default_rng(seed)
    labels = truth.copy()
    chosen = rng.choice(len(truth), round(share * len(truth)), replace=False)
    classes = int(truth.max()) + 1
    if confused_with is None:
        labels[chosen] = (truth[chosen] + rng.integers(1, classes, len(chosen))) % classes
    else:
        labels[chosen] = confused_with[truth[chosen]]
    return labels


def draw_random(pool: Pool, budget: int, rng: random.Random) -> list[Reviewed]:
    """A simple random sample of what was not reviewed."""
    frame = pool.frame
    return _numbered(draw_simple(len(frame), budget, rng), frame)


def draw_active(
    pool: Pool, measures: dict[str, np.ndarray], budget: int, rng: random.Random
) -> list[Reviewed]:
    """The product's active design: a random anchor, and a stratum for each target.

    Args:
        measures: by target, a value for each label of the pool, the higher the more worth a look.
    """
    frame = pool.frame
    n_anchor, counts = share_budget(TARGETS, anchor=None, budget=min(budget, len(frame)))
    strata = [anchor_stratum(len(frame), n_anchor)]
    for target, n in zip(TARGETS, counts, strict=True):
        values = [float(value) for value in measures[target.name][frame]]
        members = most_extreme(values, top=target.top, what=target.name)
        strata.append(Stratum(target.name, target.name, members, n))
    return _numbered(draw_strata(strata, rng), frame)


def _numbered(drawn: Sequence[Drawn], frame: np.ndarray) -> list[Reviewed]:
    return [Reviewed(int(frame[item.number]), item.probability) for item in drawn]


def estimate_wrong(pool: Pool, drawn: Sequence[Reviewed], risk: np.ndarray) -> list[float] | None:
    """The share of wrong labels in the frame: [value, low, high, truth].

    By the chances that the design stores for the reviewed labels, helped by the risk of all.
    """
    frame = pool.frame
    place = {int(number): i for i, number in enumerate(frame)}
    wrong = pool.labels[frame] != pool.truth[frame]
    ratings: list[float | None] = [None] * len(frame)
    chances = [1.0] * len(frame)
    for item in drawn:
        ratings[place[item.number]] = float(wrong[place[item.number]])
        chances[place[item.number]] = item.probability
    if len({rating for rating in ratings if rating is not None}) < 2:
        return None
    found = estimate_mean(ratings, list(risk[frame]), probabilities=chances, rate=True)
    return [found.value, found.low, found.high, float(wrong.mean())]


def play_arm(
    texts: Texts, labels: np.ndarray, *, noise: str, arm: str, seed: int, rounds: int, budget: int
) -> list[Point]:
    """All rounds of one arm; round 0 is the model before any review."""
    pool = Pool(labels.copy(), texts.truth)
    rng = random.Random(f"{arm}-{seed}")
    points: list[Point] = []
    spent = 0
    for number in range(rounds + 1):
        drawn: list[Reviewed] = []
        estimate = None
        if number:
            measures = screen_labels(texts, pool.labels, folds=FOLDS, seed=seed + number)
            active = arm == "active"
            drawn = (
                draw_active(pool, measures, budget, rng)
                if active
                else draw_random(pool, budget, rng)
            )
            estimate = estimate_wrong(pool, drawn, measures["high_risk"])
        found = pool.restore(drawn) if drawn else 0
        spent += len(drawn)
        left = int((pool.labels != pool.truth).sum())
        f1 = measure_f1(texts, pool.labels, seed=seed)
        points.append(Point(noise, seed, arm, number, len(drawn), spent, found, left, f1, estimate))
        print(f"  {noise} seed {seed} {arm} round {number}: {spent} spent, {found} found, {f1:.3f}")
        sys.stdout.flush()
    return points


def read_texts(folder: Path, *, rows: int | None, seed: int) -> Texts:
    """The two splits of banking77; `rows` keeps so many of the train split, drawn by the seed."""
    splits = []
    for name in ("train.csv", "test.csv"):
        with (folder / name).open(encoding="utf-8", newline="") as file:
            splits.append([(row["text"], row["category"]) for row in csv.DictReader(file)])
    train, test = splits
    if rows is not None:
        train = random.Random(seed).sample(train, rows)
    return Texts.of(train, test)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--budget", type=int, default=200, help="reviews a round")
    parser.add_argument("--share", type=float, default=0.2, help="share of labels made wrong")
    parser.add_argument("--rows", type=int, help="so many rows of the train split; all by default")
    parser.add_argument("--noise", action="append", choices=NOISES)
    args = parser.parse_args()
    if args.seeds < 2:
        parser.error("one seed has no interval: ask for at least 2")
    folder = args.data / "banking77"
    if not folder.is_dir():
        sys.exit(f"{folder} is not there: give --data, the folder of the public data.")
    warnings.filterwarnings("ignore", module="sklearn")
    texts = read_texts(folder, rows=args.rows, seed=0)
    points: list[Point] = []
    for noise in args.noise or NOISES:
        table = texts.nearest() if noise == "confused" else None
        for seed in range(args.seeds):
            wrong = corrupt_labels(texts.truth, share=args.share, confused_with=table, seed=seed)
            for arm in ("random", "active"):
                points += play_arm(
                    texts,
                    wrong,
                    noise=noise,
                    arm=arm,
                    seed=seed,
                    rounds=args.rounds,
                    budget=args.budget,
                )
    rows, inside = summarise(points), coverage(points)
    print(as_markdown(rows, inside))
    if args.out is not None:
        settings = {
            "share": args.share, "budget": args.budget, "train": len(texts.truth),
            "test": len(texts.test_truth), "targets": [asdict(t) for t in TARGETS],
            "simulated": "wrong labels; experts who know the truth; a linear model as adapter",
        }  # fmt: skip
        content = {"settings": settings, "curves": rows, "coverage": inside,
                   "points": [asdict(p) for p in points]}  # fmt: skip
        args.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        args.out.with_suffix(".md").write_text(as_markdown(rows, inside), encoding="utf-8")


if __name__ == "__main__":
    main()
