"""What a figure on validation rows may be off by: intervals that count a group once.

Rows of one group (one patient, one document) are no independent pieces of evidence, so every
interval here rests on the totals of groups. Which method serves which figure was chosen by
simulation: on skewed losses of 5 to 50 groups Student's interval of the mean holds .80 to .94 where
.95 is stated and the bootstrap's .92 to .98, while for differences of two trainings on the same
rows Student's holds .94 to .95. Knows nothing of torch.

What each validation row cost under the weights that were kept, and what may be said of them all.

One line a row in `validation_losses.jsonl` beside the adapter, in the order of the evaluation:

    {"group": "a3f...", "loss": 12.5, "count": 9, "right": true}

`loss` is the sum over the `count` tokens that are trained on (SFT, pre-training), or that of one
row whose count is 1 (DPO, KTO). `right`, of DPO alone: the chosen answer gained more than the
rejected one on where training began. Two trainings on the same rows are compared row by row. Knows
nothing of torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.config import TrainingError

LEVEL = 0.95
RESAMPLES = 2000
_FLOOR = 0.05  # the least variance of a resample, as a share of the sample's
_CELLS = 4_000_000  # resampled counts that are held at once
_ROUNDING = 1e-12
_ALL_ALIKE = "all groups are alike: nothing is known of their spread"
_ONE_GROUP = "one group only: it has no interval"
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FigureEstimate:
    """A figure with its interval.

    Attributes:
        n: rows; groups: independent groups among them.
        low, high: None where no interval can be given; `reason` then says why.
        level: share of such intervals that hold the truth, for losses and rates about.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    groups: int
    level: float
    method: str
    reason: str = ""


def group_totals(groups: Sequence[str | None], columns: Any) -> Floats:
    """Columns of shape (rows, k) summed within groups: shape (groups, k).

    A row whose group is None is a group of its own.
    """
    numbers: dict[object, int] = {}
    keys = ((i,) if group is None else group for i, group in enumerate(groups))
    members = [numbers.setdefault(key, len(numbers)) for key in keys]
    rows = np.asarray(columns, dtype=np.float64)
    totals = np.zeros((len(numbers), rows.shape[1]))
    np.add.at(totals, members, rows)
    return totals


def mean_estimate(totals: Floats, *, n: int, seed: int) -> FigureEstimate:
    """A mean with its bootstrap-t interval (Hall 1988, Ann. Statist. 16:927).

    Args:
        totals: shape (groups, 2): sum of the values and what they are divided by, of each group.
        n: rows.
        seed: of the resamples.
    """
    value, error = _ratio(totals)
    if len(totals) < 2:
        return _without_interval(value, n, totals)
    if error <= _ROUNDING * max(1.0, abs(value)):
        return _without_interval(value, n, totals, reason=_ALL_ALIKE)
    level = _expanded(LEVEL, totals)
    low, high = np.quantile(_studentised(totals, seed), [(1 - level) / 2, (1 + level) / 2])
    bounds = (value - high * error, value - low * error)
    return FigureEstimate(
        value, float(bounds[0]), float(bounds[1]), n, len(totals), LEVEL, "bootstrap-t"
    )


def difference_estimate(totals: Floats, *, n: int, level: float = LEVEL) -> FigureEstimate:
    """A mean of paired differences with Student's interval, linearised over groups.

    Args:
        totals: shape (groups, 2): sum of the differences and what they are divided by.
    """
    value, error = _ratio(totals)
    if len(totals) < 2:
        return _without_interval(value, n, totals, level)
    if error <= _ROUNDING * max(1.0, abs(value)):
        return _without_interval(value, n, totals, level, reason=_ALL_ALIKE)
    half = _student(level, len(totals)) * error
    return FigureEstimate(value, value - half, value + half, n, len(totals), level, "student")


def rate_estimate(totals: Floats, *, n: int) -> FigureEstimate:
    """A rate with Wilson's interval, its sample size divided by the groups' design effect.

    Wilson 1927 (JASA 22:209); Korn and Graubard 1998 (Survey Methodology 24:193).

    Args:
        totals: shape (groups, 2): successes and trials of each group.
    """
    rate, error = _ratio(totals)
    if len(totals) < 2:
        return _without_interval(rate, n, totals)
    alone = len(totals) == n
    size = float(n if alone else len(totals))
    if not alone and 0 < rate < 1 and error > 0:
        size = min(float(n), rate * (1 - rate) / error**2)
    z = _student(LEVEL, len(totals))
    centre = (rate + z * z / (2 * size)) / (1 + z * z / size)
    half = z / (1 + z * z / size) * math.sqrt(rate * (1 - rate) / size + (z / (2 * size)) ** 2)
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return FigureEstimate(rate, low, high, n, len(totals), LEVEL, "wilson")


def _ratio(totals: Floats) -> tuple[float, float]:
    """Ratio of the totals and its standard error by linearisation (Cochran 1977, ch. 6)."""
    total, count = totals[:, 0], totals[:, 1]
    value, groups = float(total.sum() / count.sum()), len(totals)
    if groups < 2:
        return value, 0.0
    spread = float(((total - value * count) ** 2).sum()) * groups / (groups - 1)
    return value, math.sqrt(spread) / float(count.sum())


def _studentised(totals: Floats, seed: int) -> Floats:
    """Distances of resampled ratios from the ratio, each in its own standard errors."""
    total, count = totals[:, 0], totals[:, 1]
    groups, (value, error) = len(totals), _ratio(totals)
    columns = np.column_stack([total, count, total**2, total * count, count**2])
    rng, step = np.random.default_rng(seed), max(1, _CELLS // groups)
    parts = []
    for start in range(0, RESAMPLES, step):
        drawn = rng.multinomial(groups, [1 / groups] * groups, min(step, RESAMPLES - start))
        t, c, tt, tc, cc = (drawn @ columns).T
        ratio = t / c
        variance = (tt - 2 * ratio * tc + ratio**2 * cc) / c**2 * groups / (groups - 1)
        parts.append((ratio - value) / np.sqrt(np.maximum(variance, _FLOOR * error**2)))
    return np.concatenate(parts)


def _expanded(level: float, totals: Floats) -> float:
    """A higher level where groups differ in size, since the bootstrap then falls short of it.

    Hesterberg 2015 (Am. Stat. 69:371, sec. 5.3): the normal quantile becomes Student's.
    """
    if totals[:, 1].min() == totals[:, 1].max():
        return level
    return min(2 * NormalDist().cdf(_student(level, len(totals))) - 1, 1 - 1e-9)


def _student(level: float, groups: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(groups - 1, 0.5 + level / 2))


def _without_interval(
    value: float, n: int, totals: Floats, level: float = LEVEL, *, reason: str = _ONE_GROUP
) -> FigureEstimate:
    return FigureEstimate(value, None, None, n, len(totals), level, "none", reason)


LOSSES_NAME = "validation_losses.jsonl"


@dataclass(frozen=True, slots=True)
class RowLoss:
    """What one row cost; see above."""

    group: str | None
    loss: float
    count: float
    right: bool | None = None


def write_losses(file: Path, rows: Sequence[RowLoss]) -> None:
    """Write the rows, one JSON object a line."""
    file.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows), encoding="utf-8")


def read_losses(folder: Path) -> list[RowLoss]:
    """The rows that a finished training left in its folder.

    Raises:
        TrainingError: it left none.
    """
    file = folder / LOSSES_NAME
    if not file.is_file():
        raise TrainingError(
            f"{folder} holds no losses of validation rows.",
            hint="It was trained before they were kept: delete that folder to train it again.",
        )
    return [RowLoss(**json.loads(line)) for line in file.read_text("utf-8").splitlines()]


def describe_losses(rows: Sequence[RowLoss], *, seed: int) -> dict[str, Any]:
    """Mean loss with its interval and, where it is known, the share of pairs that are right."""
    groups = [row.group for row in rows]
    told: dict[str, Any] = {"loss": asdict(mean_loss(rows, seed=seed))}
    if all(row.right is not None for row in rows):
        right = group_totals(groups, [(float(row.right or 0), 1.0) for row in rows])
        told["accuracy"] = asdict(rate_estimate(right, n=len(rows)))
    return told


def mean_loss(rows: Sequence[RowLoss], *, seed: int) -> FigureEstimate:
    """Loss over all rows divided by their count, with its interval."""
    totals = group_totals([row.group for row in rows], [(row.loss, row.count) for row in rows])
    return mean_estimate(totals, n=len(rows), seed=seed)


def behind_the_best(
    losses: Mapping[str, Sequence[RowLoss]], best: str, *, level: float = LEVEL
) -> dict[str, FigureEstimate]:
    """How much more each training loses than the best one, row by row, on the same rows.

    The intervals hold together, since the best was picked among all of them: each has the level
    1 - (1 - level) / comparisons (Bonferroni).

    Args:
        losses: by name, the best one's included.

    Raises:
        TrainingError: they were not measured on the same rows.
    """
    others = [name for name in losses if name != best]
    each = 1 - (1 - level) / max(1, len(others))
    return {name: _difference(losses[name], losses[best], level=each) for name in others}


def _difference(
    rows: Sequence[RowLoss], best: Sequence[RowLoss], *, level: float
) -> FigureEstimate:
    if [(row.group, row.count) for row in rows] != [(row.group, row.count) for row in best]:
        raise TrainingError("Two trainings were not validated on the same rows.")
    pairs = zip(rows, best, strict=True)
    columns = np.array([(row.loss - other.loss, row.count) for row, other in pairs])
    totals = group_totals([row.group for row in rows], columns)
    return difference_estimate(totals, n=len(rows), level=level)
