"""Do outputs still look like those that were labelled? A test by groups, at a stated rate.

For each feature: the largest distance of the two distribution functions (Smirnov 1948), in which a
group weighs as one however many outputs it has, and the difference of the shares that lack it. What
chance alone gives is found by exchanging whole groups between the two sides (a permutation test;
Davison and Hinkley 1997, ch. 4.3), so that outputs of the same groups are not counted as
independent. Bonferroni over all that is tested: outputs that have not drifted are refused at most
once in 1 / LEVEL. A shift must also be large, so that many outputs alone do not alarm. A handful of
groups on one side cannot be told from chance, and is not refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LEVEL = 0.01
LEAST_SHIFT = 0.15
LEAST_MISSING = 0.3
MOST_GROUPS = 1000  # of each side; of more, so many are drawn
_POINTS = 101
_AT_ONCE = 200


class Grouped(NamedTuple):
    """Feature values of shape (outputs, features), NaN where missing, and each output's group."""

    values: Floats
    members: Ints


class _Column(NamedTuple):
    """What is summed over groups: shape (groups, k); the first of k says what to divide by."""

    says: str
    rows: Floats
    least: float


def find_shifts(names: Sequence[str], before: Grouped, now: Grouped, *, seed: int = 0) -> list[str]:
    """Sentences on the features that have shifted, or are missing as they were not before."""
    if not len(now.values):
        return []
    rng = np.random.default_rng(seed)
    sides = [_numbered(_some_groups(side, rng)) for side in (before, now)]
    groups = [int(side.members.max()) + 1 for side in sides]
    columns = [column for j, name in enumerate(names) for column in _columns(name, j, sides)]
    is_new = np.repeat([0.0, 1.0], groups)[None, :]
    found = []
    for column in columns:
        distance = float(_distance(column.rows, is_new)[0])
        if distance > column.least and _is_rare(column.rows, distance, groups, len(columns), rng):
            found.append(column.says.format(distance))
    return found


def _some_groups(side: Grouped, rng: np.random.Generator) -> Grouped:
    kinds = np.unique(side.members)
    if len(kinds) <= MOST_GROUPS:
        return side
    kept = np.isin(side.members, rng.choice(kinds, MOST_GROUPS, replace=False))
    return Grouped(side.values[kept], side.members[kept])


def _numbered(side: Grouped) -> Grouped:
    _, members = np.unique(side.members, return_inverse=True)
    return Grouped(side.values, members.astype(np.int64))


def _columns(name: str, j: int, sides: Sequence[Grouped]) -> Iterator[_Column]:
    """The distribution function of a feature by group, and the share of outputs that lack it."""
    values = np.concatenate([side.values[:, j] for side in sides])
    present = values[~np.isnan(values)]
    lost = [float(np.isnan(side.values[:, j]).mean()) for side in sides]
    if len(present):
        shares = np.linspace(0, 1, _POINTS)
        points = np.unique(np.quantile(present, shares, method="inverted_cdf"))
        rows = np.vstack([_distribution(side.values[:, j], side.members, points) for side in sides])
        yield _Column(f"{name} has shifted (distance {{:.2f}})", rows, LEAST_SHIFT)
    gone = np.concatenate(
        [np.bincount(s.members, np.isnan(s.values[:, j])) / np.bincount(s.members) for s in sides]
    )
    rows = np.column_stack([np.ones(len(gone)), gone])
    says = f"{name} is missing in {lost[1]:.0%}, was in {lost[0]:.0%}"
    yield _Column(says, rows, LEAST_MISSING)


def _distribution(values: Floats, members: Ints, points: Floats) -> Floats:
    """For each group 1 and its distribution function at the points; nought without any value."""
    present = ~np.isnan(values)
    groups = int(members.max()) + 1
    place = np.searchsorted(points, values[present])
    counts = np.zeros((groups, len(points)))
    inside = place < len(points)
    np.add.at(counts, (members[present][inside], place[inside]), 1.0)
    n = np.bincount(members[present], minlength=groups)[:, None]
    return np.hstack([n > 0, np.cumsum(counts, axis=1) / np.maximum(n, 1)])


def _distance(rows: Floats, is_new: Floats) -> Floats:
    """Largest gap of the two sides' means for each division of the groups, shape (divisions, )."""
    new = is_new @ rows
    old = rows.sum(axis=0) - new
    with np.errstate(invalid="ignore", divide="ignore"):
        gaps = np.abs(new[:, 1:] / new[:, :1] - old[:, 1:] / old[:, :1])
    found: Floats = np.nan_to_num(gaps, nan=0.0).max(axis=1)
    return found


def _is_rare(
    rows: Floats, distance: float, groups: Sequence[int], tests: int, rng: np.random.Generator
) -> bool:
    """Whether exchanging groups gives such a distance in less than LEVEL / tests of the cases."""
    divisions, level = round(2 * tests / LEVEL) - 1, LEVEL / tests
    allowed, met = level * (divisions + 1) - 1, 0
    for start in range(0, divisions, _AT_ONCE):
        size = min(_AT_ONCE, divisions - start)
        is_new = rng.permuted(np.tile(np.repeat([0.0, 1.0], groups), (size, 1)), axis=1)
        met += int(np.count_nonzero(_distance(rows, is_new) >= distance * (1 - 1e-9)))
        if met > allowed:
            return False
    return True
