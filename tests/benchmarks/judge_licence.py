"""How often is a judge licensed that tosses a coin, and one that is good? Simulated, with seeds.

    python -m tests.benchmarks.judge_licence [--out FILE.json] [--repeats 1000]

People (simulated) who are right with a given chance rate 30, 60 or 120 items, each alone or in
groups of two, by yes and no (even, or nine in ten alike) or by steps of 1 to 5. A coin answers with
the shares of the answers and does not look at the item; where groups are of one answer, it is
tossed once for each. Beside the licence stands what the test of the paper would grant alone,
without the control by shuffled ratings: where people hardly agree, it grants a coin a licence. The
audit is simulated on judges that stay as they were and on judges that drift: how often a licence
lapses within 400 later reviews.
"""

from __future__ import annotations

import argparse
import json
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evaluators.statistics.agreement.alternative_annotator import (
    LEAST_RATE,
    Alignment,
    Item,
    alternative_annotator_test,
)
from evaluators.statistics.intervals import wilson
from evaluators.statistics.sequential import clustered_sequence

COIN = "coin"
LATER = 400
MARGIN = 0.1


class Design(NamedTuple):
    """What is simulated: `people` and `judge` are chances of being right, or COIN.

    `alike`: all items of a group have one right answer, and a coin says one thing of a group.
    `each`: an item is rated by so many of the people, drawn at random; by all if 0.
    """

    scale: str
    n: int
    people: float
    judge: float | str
    raters: int = 3
    grouped: bool = False
    alike: bool = False
    each: int = 0

    @property
    def name(self) -> str:
        """In words."""
        unit = "groups of two" + " of one answer" * self.alike if self.grouped else "items"
        judge = "a coin" if self.judge == COIN else f"a judge right {self.judge:.0%}"
        people = f"{self.each} of {self.raters}" if self.each else f"{self.raters}"
        return f"{self.scale}, {self.n} {unit}, {people} people right {self.people:.0%}, {judge}"


VALUES = {"even": (0.0, 1.0), "skewed": (0.0, 1.0), "steps": (1.0, 2.0, 3.0, 4.0, 5.0)}
SHARES = {"even": (0.5, 0.5), "skewed": (0.1, 0.9), "steps": (0.1, 0.15, 0.2, 0.3, 0.25)}


def _said(truth: np.ndarray, right: float, scale: str, rng: np.random.Generator) -> np.ndarray:
    """What somebody says who is right so often, and otherwise says any of the answers."""
    other = rng.choice(VALUES[scale], size=len(truth), p=SHARES[scale])
    if scale != "steps":
        other = 1.0 - truth
    return np.where(rng.random(len(truth)) < right, truth, other)


def draw(design: Design, rng: np.random.Generator) -> list[Item]:
    """One simulated queue."""
    size = design.n * (2 if design.grouped else 1)
    values, shares = VALUES[design.scale], SHARES[design.scale]
    drawn = np.arange(size) // 2 if design.alike else np.arange(size)
    truth = rng.choice(values, size=size, p=shares)[drawn]
    people = [_said(truth, design.people, design.scale, rng) for _ in range(design.raters)]
    if isinstance(design.judge, str):
        judge = rng.choice(values, size=size, p=shares)[drawn]
    else:
        judge = _said(truth, design.judge, design.scale, rng)
    each = design.each or design.raters
    asked = rng.permuted(np.tile(np.arange(design.raters), (size, 1)), axis=1)[:, :each]
    return [
        Item(
            {f"r{j}": float(people[j][i]) for j in asked[i].tolist()},
            float(judge[i]),
            group=f"g{i // 2}" if design.grouped else None,
        )
        for i in range(size)
    ]


class Counted(NamedTuple):
    """Of so many simulated judges: licensed, and licensed by the paper's test alone."""

    licensed: int
    by_paper: int
    repeats: int


def count(design: Design, *, repeats: int, epsilon: float = 0.2, seed: int = 5) -> Counted:
    """How many are licensed."""
    rng = np.random.default_rng(seed)
    steps = design.scale == "steps"
    licensed = by_paper = 0
    for number in range(repeats):
        found = alternative_annotator_test(
            draw(design, rng),
            alignment=Alignment.RMSE if steps else Alignment.ACCURACY,
            epsilon=epsilon,
            span=4.0 if steps else 1.0,
            seed=number,
        )
        licensed += found.licensed
        by_paper += (found.winning_rate or 0.0) >= LEAST_RATE
    return Counted(licensed, by_paper, repeats)


def lapses(right: float, later: float, *, repeats: int, n: int = 60, seed: int = 6) -> int:
    """How many licensed judges lapse when they are right so often at first, and so often later."""
    rng = np.random.default_rng(seed)
    gone = 0
    for _ in range(repeats):
        first = draw(Design("even", n, 0.9, right), rng)
        agreed = [np.mean([said == one.judge for said in one.ratings.values()]) for one in first]
        level = float(np.mean(agreed))
        since = draw(Design("even", LATER, 0.9, later, raters=1), rng)
        values = [float(one.ratings["r0"] == one.judge) for one in since]
        found = clustered_sequence(values, [str(i) for i in range(LATER)])
        gone += bool((found.high < level - MARGIN).any())
    return gone


DESIGNS = [
    *(
        Design(scale, n, people, COIN)
        for scale, n, people in product(VALUES, (30, 60, 120), (0.6, 0.9))
    ),
    Design("even", 120, 0.9, COIN, grouped=True),
    Design("even", 120, 0.6, COIN, grouped=True, alike=True),
    Design("even", 60, 0.8, COIN, raters=6),
    Design("even", 80, 0.6, COIN, raters=6, each=3),
    *(
        Design(scale, n, people, people)
        for scale, n, people in product(VALUES, (30, 60, 120), (0.8, 0.9))
    ),
    Design("even", 60, 0.9, 0.8),
    Design("even", 60, 0.9, 0.7),
]


def main() -> None:
    """Print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--repeats", type=int, default=1000)
    args = parser.parse_args()
    rows = []
    for design in DESIGNS:
        found = count(design, repeats=args.repeats)
        low, high = wilson(found.licensed, found.repeats)
        row = {
            "simulated": design.name,
            "licensed": found.licensed / found.repeats,
            "low": low,
            "high": high,
            "n": found.repeats,
            "by the paper's test alone": found.by_paper / found.repeats,
        }
        rows.append(row)
        print(
            f"simulated: {design.name}: licensed {row['licensed']:.3f} [{low:.3f}, {high:.3f}], "
            f"by the paper's test alone {row['by the paper' + chr(39) + 's test alone']:.3f}",
            flush=True,
        )
    for right, later in ((0.9, 0.9), (0.85, 0.85), (0.9, 0.75), (0.9, 0.6), (0.9, 0.5)):
        gone = lapses(right, later, repeats=args.repeats)
        low, high = wilson(gone, args.repeats)
        said = f"audit: judge right {right:.0%}, later {later:.0%}, {LATER} later reviews"
        rows.append({"simulated": said, "lapsed": gone / args.repeats, "low": low, "high": high})
        print(f"simulated: {said}: lapsed {gone / args.repeats:.3f} [{low:.3f}, {high:.3f}]")
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
