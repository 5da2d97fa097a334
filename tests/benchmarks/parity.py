"""Do simultaneous intervals of gaps cover all gaps at once, and is no gap found where none is?

    python -m tests.benchmarks.parity [--reps 400]

Groups are drawn with known rates, means or F1; counted is how often every interval of the family
holds its true gap, how often the bounds of the largest gap hold it, and how often some gap is said
to stand apart. All of it is simulated.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from evaluators.fairness.measures import ScoredMeasure
from evaluators.fairness.parity import APART, REST, compare_groups
from evaluators.metric import Metric
from evaluators.results import Gap
from evaluators.types import Score


@dataclass(frozen=True, slots=True)
class Setting:
    """Sizes of groups, and their true rates or means.

    Attributes:
        cluster: outputs that go together.
        kind: rate, beta (scores between 0 and 1) or lognormal (a mean of skewed values).
    """

    name: str
    sizes: tuple[int, ...]
    means: tuple[float, ...]
    cluster: int = 1
    kind: str = "rate"

    @property
    def is_alike(self) -> bool:
        """Whether there is no gap."""
        return len(set(self.means)) == 1


@dataclass(frozen=True, slots=True)
class Coverage:
    """Shares of repetitions: all gaps covered, the largest covered, some gap said to be apart."""

    reps: int
    all_gaps: float
    largest: float
    apart: float


SETTINGS = (
    Setting("rates .8; 400, 100, 30, 10", (400, 100, 30, 10), (0.8,) * 4),
    Setting("rates .95; 400, 100, 30, 10", (400, 100, 30, 10), (0.95,) * 4),
    Setting("rates .5; eight groups of 100", (100,) * 8, (0.5,) * 8),
    Setting("rates .9, .7, .8; 200, 100, 40", (200, 100, 40), (0.9, 0.7, 0.8)),
    Setting("rates .8 in clusters of 4; 200, 100, 40", (200, 100, 40), (0.8,) * 3, cluster=4),
    Setting("scores 0 to 1, mean .7; 200, 60, 20", (200, 60, 20), (0.7,) * 3, kind="beta"),
    Setting("lognormal; 200, 60, 40", (200, 60, 40), (1.0,) * 3, kind="lognormal"),
    Setting("lognormal; 200, 60, 15", (200, 60, 15), (1.0,) * 3, kind="lognormal"),
)


def _values(setting: Setting, mean: float, rng: np.random.Generator) -> Iterator[float]:
    for _ in range(setting.cluster):
        if setting.kind == "rate":
            yield float(rng.random() < mean)
        elif setting.kind == "beta":
            yield float(rng.beta(4 * mean, 4 * (1 - mean)))
        else:
            yield mean * float(rng.lognormal(-0.5, 1))


def _draw(setting: Setting, rng: np.random.Generator) -> tuple[list[Score], list[str], list[str]]:
    scores, groups, clusters = [], [], []
    for place, (size, mean) in enumerate(zip(setting.sizes, setting.means, strict=True)):
        for number in range(size // setting.cluster):
            own = float(rng.beta(6 * mean, 6 * (1 - mean))) if setting.cluster > 1 else mean
            for value in _values(setting, own, rng):
                scores.append(Score(value))
                groups.append(f"g{place}")
                clusters.append(f"{place}-{number}")
    return scores, groups, clusters


def _truth(setting: Setting, gap: Gap) -> float:
    means = {f"g{place}": mean for place, mean in enumerate(setting.means)}
    if gap.other != REST:
        return means[gap.group] - means[gap.other]
    rest = [
        (size, mean)
        for place, (size, mean) in enumerate(zip(setting.sizes, setting.means, strict=True))
        if f"g{place}" != gap.group
    ]
    return means[gap.group] - sum(n * m for n, m in rest) / sum(n for n, _ in rest)


def _holds(low: float | None, high: float | None, truth: float) -> bool:
    return (low is None or low - 1e-12 <= truth) and (high is None or truth <= high + 1e-12)


def simulate(setting: Setting, *, reps: int, seed: int, level: float = 0.95) -> Coverage:
    """Draw and compare so many times."""
    rng = np.random.default_rng(seed)
    scale = None if setting.kind == "lognormal" else 1.0
    metric = Metric("simulated", 1, lambda samples: [], scale=scale)
    covered = largest = apart = 0
    for rep in range(reps):
        scores, groups, clusters = _draw(setting, rng)
        measure = ScoredMeasure(metric, scores, clusters, seed=rep)
        [found] = compare_groups([measure], {"group": groups}, level=level, seed=rep)
        covered += all(_holds(gap.low, gap.high, _truth(setting, gap)) for gap in found.gaps)
        largest += _holds(found.low, found.high, max(setting.means) - min(setting.means))
        apart += any(gap.said == APART for gap in found.gaps)
    return Coverage(reps, covered / reps, largest / reps, apart / reps)


def main() -> None:
    """Print one line a setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reps", type=int, default=400)
    reps = parser.parse_args().reps
    error = 1.96 * math.sqrt(0.0475 / reps)
    print(f"simulated, {reps} repetitions, nominal .95, MC error ±{error:.3f}")
    print(f"{'setting':44} all gaps  largest  some gap said to be apart")
    for setting in SETTINGS:
        found = simulate(setting, reps=reps, seed=1)
        kind = "false alarms" if setting.is_alike else "found"
        covered = f"{found.all_gaps:8.3f} {found.largest:8.3f}"
        print(f"{setting.name:44} {covered}  {found.apart:.3f} {kind}", flush=True)


if __name__ == "__main__":
    main()
