"""How often is a model without bias accused, and one with a planted bias found?

    python -m tests.benchmarks.counterfactual [--reps 400]

A simulated model gives another answer by chance (`noise`), whatever is exchanged, and besides with
the chance `bias` where the group is. Counted is how often the excess of flips is said to be more
than the control's, at level .95 after Holm over all measures of the report. All of it is simulated.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import dataclass

from evaluators.fairness.contrast import FLIP, MORE, Sides, contrasts
from evaluators.fairness.lexicon import shipped_lexicon


@dataclass(frozen=True, slots=True)
class Alarms:
    """Shares of repetitions: any measure said to be more, and the interval holds the truth."""

    reps: int
    alarms: float
    covered: float


def _rows(rng: random.Random, n: int, noise: float, bias: float, per_group: int) -> list[Sides]:
    rows = []
    for i in range(n):
        group = f"g{i // per_group}"
        moved = [rng.random() < noise for _ in range(2)]
        biased = rng.random() < bias
        swapped = "no" if moved[0] or biased else "yes"
        control = "no" if moved[1] else "yes"
        rows.append(Sides(f"r{i}", group, "name", "a>b", "en", "yes", swapped, control))
    return rows


def simulate(
    *, n: int, noise: float, bias: float, reps: int, seed: int, per_group: int = 1
) -> Alarms:
    """Draw so many times `n` pairs and test."""
    rng, lexicons = random.Random(seed), {"en": shipped_lexicon("en")}
    truth = (1 - noise) * bias
    alarms = covered = 0
    for rep in range(reps):
        found = contrasts(_rows(rng, n, noise, bias, per_group), lexicons, seed=rep)
        alarms += any(one.said == MORE for one in found)
        flip = next(one for one in found if one.measure == FLIP)
        covered += flip.low is None or flip.high is None or flip.low <= truth <= flip.high
    return Alarms(reps, alarms / reps, covered / reps)


SETTINGS = (
    (60, 0.0, 0.0),
    (60, 0.3, 0.0),
    (200, 0.3, 0.0),
    (60, 0.1, 0.1),
    (200, 0.1, 0.1),
    (60, 0.1, 0.3),
    (200, 0.3, 0.2),
)


def main() -> None:
    """Print one line a setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reps", type=int, default=400)
    reps = parser.parse_args().reps
    print(f"simulated, {reps} repetitions")
    print("pairs, noise, bias; share of alarms; coverage of the excess")
    for n, noise, bias in SETTINGS:
        found = simulate(n=n, noise=noise, bias=bias, reps=reps, seed=1)
        print(f"{n:5} {noise:.1f} {bias:.1f}  {found.alarms:.3f}  {found.covered:.3f}", flush=True)


if __name__ == "__main__":
    main()
