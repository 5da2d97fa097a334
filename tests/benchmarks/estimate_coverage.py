"""Do estimates cover, however many metrics they choose among? Simulated, with seeds.

    python -m tests.benchmarks.estimate_coverage [--out FILE.json] [--repeats 2000]

Ratings of 12, 30 and 60 of 500 to 1,000 items (or of as many groups of three), as stars of 1 to 5
or as a rate of .6, with 1, 6 and 20 metrics, none of which tells anything, or the first of which
correlates by .7 with what is rated. Coverage of a 95% interval should lie between .935 and .965;
its Monte-Carlo error stands beside it, and the width as a share of that of the ratings alone. A
naive estimate, with the metric that correlates best with the ratings that are used, is shown
failing.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from functools import partial
from itertools import chain, product
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from backend.executors.spread import spreading
from backend.settings import load_settings
from evaluators.spread import cut
from evaluators.statistics.prediction_powered import Estimate, estimate_mean

CUTS = (-1.2, -0.5, 0.2, 0.9)
RATE = 0.6
GROUP = 3


class Design(NamedTuple):
    """What is simulated; `rated` counts groups where they are grouped."""

    rated: int
    total: int
    metrics: int
    correlation: float
    is_rate: bool
    grouped: bool

    @property
    def truth(self) -> float:
        """The mean of the population."""
        if self.is_rate:
            return RATE
        return 1 + sum(1 - NormalDist().cdf(cut) for cut in CUTS)

    @property
    def name(self) -> str:
        """In words."""
        kind = "rate" if self.is_rate else "stars"
        unit = f"groups of {GROUP}" if self.grouped else "items"
        return (
            f"{kind}, {self.rated} {unit} of {self.total} items, {self.metrics} metrics, "
            f"correlation {self.correlation}"
        )


class Drawn(NamedTuple):
    """One simulated study."""

    ratings: list[float | None]
    scores: dict[str, np.ndarray]
    groups: list[str | None] | None


def draw(design: Design, rng: np.random.Generator) -> Drawn:
    """Items of which some are rated, and scores of all."""
    total, latent = design.total, rng.normal(size=design.total)
    groups: list[str | None] | None = None
    rated = rng.choice(total, design.rated, replace=False)
    if design.grouped:
        members = np.arange(total) // GROUP
        shared = rng.normal(size=int(members.max()) + 1)[members]
        latent = math.sqrt(0.5) * (latent + shared)
        kept = rng.choice(int(members.max()) + 1, design.rated, replace=False)
        rated, groups = np.flatnonzero(np.isin(members, kept)), [str(m) for m in members]
    cuts = [NormalDist().inv_cdf(1 - RATE)] if design.is_rate else CUTS
    truth = np.digitize(latent, cuts) + (0.0 if design.is_rate else 1.0)
    noise = rng.normal(size=(design.metrics, total))
    noise[0] = design.correlation * latent + math.sqrt(1 - design.correlation**2) * noise[0]
    ratings: list[float | None] = [None] * total
    for i in rated:
        ratings[i] = float(truth[i])
    return Drawn(ratings, {f"m{k}": scores for k, scores in enumerate(noise)}, groups)


def estimate(design: Design, drawn: Drawn) -> Estimate:
    """The estimate of the product."""
    return estimate_mean(drawn.ratings, drawn.scores, groups=drawn.groups, rate=design.is_rate)


def naive(design: Design, drawn: Drawn) -> Estimate:
    """By the metric that correlates best with the ratings that are then used."""
    rated = [i for i, rating in enumerate(drawn.ratings) if rating is not None]
    y = [drawn.ratings[i] for i in rated]
    best = max(drawn.scores.values(), key=lambda f: abs(np.corrcoef(y, f[rated])[0, 1]))
    y_all = np.array([np.nan if r is None else r for r in drawn.ratings])
    c = float(np.cov(y_all[rated], best[rated])[0, 1] / best[rated].var(ddof=1))
    gap = c * (best.mean() - best[rated].mean())
    rest = y_all[rated] - c * best[rated]
    plain = estimate_mean(drawn.ratings, {}, groups=drawn.groups, rate=design.is_rate)
    half = 1.96 * rest.std(ddof=1) / math.sqrt(len(rated))
    value = plain.plain_value + gap
    return Estimate(
        **{name: getattr(plain, name) for name in plain.__dataclass_fields__}
        | {"value": value, "low": value - half, "high": value + half}
    )


def coverage(
    design: Design, repeats: int, *, seed: int = 0, how: object = estimate
) -> dict[str, float]:
    """Share of intervals that hold the truth, its error, and widths against the ratings alone."""
    rng = np.random.default_rng([seed, design.rated, design.metrics, design.is_rate])
    hits = plain = wide = narrow = used = done = 0.0
    while done < repeats:
        found = how(design, draw(design, rng))  # type: ignore[operator]
        done += 1
        if found.low is None or found.plain_low is None:
            continue  # ratings all alike have no interval: they count as not covered
        hits += found.low <= design.truth <= found.high
        plain += found.plain_low <= design.truth <= found.plain_high
        wide += found.plain_high - found.plain_low
        narrow += found.high - found.low
        used += found.method == "ppi++"
    share = hits / repeats
    return {
        "coverage": share,
        "error": math.sqrt(share * (1 - share) / repeats),
        "ratings alone": plain / repeats,
        "width": narrow / wide,
        "used": used / repeats,
        "repeats": repeats,
    }


def _coverages(repeats: int, some: Sequence[Design]) -> list[dict[str, float]]:
    return [coverage(design, repeats) for design in some]


def designs() -> list[Design]:
    """Every combination."""
    sizes = ((12, 500), (30, 500), (60, 1000))
    return [
        Design(rated, total, metrics, correlation, is_rate, grouped)
        for grouped, is_rate, (rated, total), metrics, correlation in product(
            (False, True), (False, True), sizes, (1, 6, 20), (0.0, 0.7)
        )
    ]


def main() -> None:
    """Run all, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--repeats", type=int, default=2000)
    arguments = parser.parse_args()
    table: dict[str, object] = {"simulated": True}
    with spreading(load_settings()) as spread:
        rows = chain.from_iterable(
            spread(partial(_coverages, arguments.repeats), cut(designs(), 1))
        )
        for design, row in zip(designs(), rows, strict=True):
            table[design.name] = row
            print(design.name, json.dumps(row), flush=True)
    worst = Design(12, 500, 20, 0.0, is_rate=False, grouped=False)
    table["NAIVE, " + worst.name] = coverage(worst, arguments.repeats, how=naive)
    print("NAIVE", json.dumps(table["NAIVE, " + worst.name]), flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    from tests.benchmarks import estimate_coverage  # other processes know the work by this name

    estimate_coverage.main()
