"""What a scenario claims: a figure with n and interval beside its aim, and whether it was shown.

A claim is shown when the whole interval is on the right side of the aim, seen when only the value
is, and not shown otherwise. Figures and differences are those of the scoring service; the share by
which a rate was cut has a percentile interval over paired clusters (Efron and Tibshirani 1993,
ch. 13).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from backend.errors import CannotCompute

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.tables.model_versions import ModelVersion

RESAMPLES = 4000
SEED = 7


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence that can turn out wrong.

    Attributes:
        aim: what the value has to reach; from below with `at_least`, else from above.
        interval: how the interval was made.
    """

    text: str
    value: float
    low: float
    high: float
    n: int
    aim: float
    at_least: bool
    interval: str

    @property
    def result(self) -> str:
        """`shown`, `seen, but the interval reaches beyond` or `not shown`."""
        near, far = (self.low, self.high) if self.at_least else (self.high, self.low)
        if self._reaches(near) and self._reaches(far):
            return "shown"
        return "seen, but the interval reaches beyond" if self._reaches(self.value) else "not shown"

    def _reaches(self, value: float) -> bool:
        return value >= self.aim if self.at_least else value <= self.aim

    def as_dict(self) -> dict[str, Any]:
        """JSON-serialisable, with the result in words."""
        return {
            "claim": self.text,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "n": self.n,
            "aim": self.aim,
            "direction": "at least" if self.at_least else "at most",
            "interval": self.interval,
            "result": self.result,
        }


@dataclass(frozen=True, slots=True)
class Arm:
    """A model of a scenario and what went into it.

    Attributes:
        reviews: simulated reviews that the rows were made of, so far as the recipe used them.
        facts: what else is measured of its training, by name; units are in the names.
    """

    model: str
    about: str
    rows: int
    reviews: int
    seconds: float | None
    facts: Mapping[str, float | str]

    def as_dict(self) -> dict[str, Any]:
        """Flat and JSON-serialisable."""
        return {
            "model": self.model,
            "trained on": self.about,
            "rows": self.rows,
            "simulated reviews": self.reviews,
            "training seconds": self.seconds,
            **self.facts,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a scenario came to: the run that measured its arms on held-out data, and its claims."""

    run_id: int
    arms: tuple[Arm, ...]
    claims: tuple[Claim, ...]
    notes: tuple[str, ...] = ()


class _Bounded(Protocol):
    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def n(self) -> int: ...
    @property
    def method(self) -> str: ...


def claim_of(found: _Bounded, text: str, *, aim: float, at_least: bool) -> Claim:
    """A claim about a figure or a difference of the scoring service."""
    return Claim(text, found.value, found.low, found.high, found.n, aim, at_least, found.method)


def claim_cut(
    session: Session,
    score_run_id: int,
    metric: str,
    *,
    old: ModelVersion,
    new: ModelVersion,
    text: str,
    aim: float,
) -> Claim:
    """The share by which a mean fell, 1 - new / old, on the same examples.

    Raises:
        CannotCompute: the old mean is zero, or no example has a value on both sides.
    """
    before = read_values(session, score_run_id, metric, old.id)
    after = read_values(session, score_run_id, metric, new.id)
    both = sorted(set(before) & set(after))
    if not both:
        raise CannotCompute(f"No example has {metric} of {old.label} and of {new.label}.")
    pairs = [(before[unit], after[unit]) for unit in both]
    value, low, high = share_cut(pairs, [unit[0] for unit in both], seed=SEED)
    return Claim(text, value, low, high, len(both), aim, True, "paired percentile bootstrap")


def share_cut(
    pairs: Sequence[tuple[float, float]], groups: Sequence[str], *, seed: int
) -> tuple[float, float, float]:
    """1 - (sum of new) / (sum of old) with its 95% interval, whole groups drawn.

    Raises:
        CannotCompute: nothing to cut.
    """
    import numpy as np

    from evaluators.statistics.bootstrap import percentile_interval, resampled_figures
    from evaluators.statistics.clusters import number_clusters, sum_clusters

    rows = np.asarray(pairs, dtype=np.float64)
    if rows[:, 0].sum() <= 0:
        raise CannotCompute("Nothing was there to be cut: the old rate is zero.")
    sums = sum_clusters(rows, number_clusters(list(groups)))
    (drawn,) = resampled_figures(_cut, [sums], seed=seed, resamples=RESAMPLES)
    low, high = percentile_interval(drawn, level=0.95)
    return float(_cut(rows.sum(axis=0))), low, high


def _cut(totals: Any) -> Any:
    import numpy as np

    return 1 - totals[..., 1] / np.maximum(totals[..., 0], 1e-9)


def read_values(
    session: Session, score_run_id: int, metric: str, model_id: int
) -> dict[tuple[str, int], float]:
    """Scores that have a value, by (group, example); an example without a group is its own."""
    from sqlalchemy import select

    from backend.tables.datasets import Example
    from backend.tables.generation import Generation
    from backend.tables.scoring import Score

    query = (
        select(Example.group, Example.id, Score.value)
        .join(Generation, Generation.example_id == Example.id)
        .join(Score, Score.generation_id == Generation.id)
        .where(
            Score.score_run_id == score_run_id,
            Score.metric == metric,
            Score.value.is_not(None),
            Generation.model_version_id == model_id,
        )
    )
    return {
        (group or f"example {example_id}", example_id): value
        for group, example_id, value in session.execute(query)
        if value is not None
    }
