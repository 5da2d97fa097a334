"""Gaps of a figure between groups of examples, with intervals that hold all at once.

Each group's figure has an interval of its own by the method that serves its kind
(`evaluators.aggregate`: Wilson, bootstrap-t, BCa; clustered). The interval of a gap is made of the
two (MOVER, Zou and Donner 2008, Stat. Med. 27:1693; for rates it is Newcombe's hybrid score, 1998,
Stat. Med. 17:873), at a level so high that all gaps are covered at once: that level comes from the
joint normal law of the gaps, whose correlations are those of their influence values summed within
clusters (Hothorn, Bretz and Westfall 2008, Biom. J. 50:346; with a level of its own for each
contrast's law, Hasler and Hothorn 2008, Biom. J. 50:793). Simulated: tests/benchmarks/parity.py.

A small group stays in. Its interval is wide, and what is said of it is that it cannot be told.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from evaluators.errors import EvaluatorError, InvalidValues, UndefinedFigure
from evaluators.fairness.measures import Floats, Marginal, Measure, Members
from evaluators.results import Gap, GroupFigure, Parity
from evaluators.statistics.bootstrap import expanded_level

LEVEL = 0.95
REST = "all others"
MOST_GROUPS = 12
"""A key with more values than this names examples, and no groups of them."""
JOINT_DRAWS = 20_000

APART, WITHIN, BEYOND, UNTOLD = "apart", "within the margin", "beyond the margin", "cannot be told"


@dataclass(frozen=True, slots=True)
class _GroupPart:
    """A group, or all others than one."""

    members: Members
    influence: Floats


@dataclass(frozen=True, slots=True)
class _Table:
    """One measure by one key: its parts, and which of them are held against which."""

    measure: Measure
    key: str
    names: tuple[str, ...]
    parts: Mapping[tuple[str, bool], _GroupPart]
    unnamed: int

    def pairs(self) -> Iterator[tuple[tuple[str, bool], tuple[str, bool]]]:
        """Every two groups; of three or more also each against all others."""
        for one, other in itertools.combinations(self.names, 2):
            yield (one, False), (other, False)
        if len(self.names) > 2:
            for name in self.names:
                yield (name, False), (name, True)


def compare_groups(
    measures: Sequence[Measure],
    keys: Mapping[str, Sequence[str | None]],
    *,
    level: float = LEVEL,
    margin: float | None = None,
    across_metrics: bool = False,
    seed: int = 0,
) -> list[Parity]:
    """Every measure by every key, in order.

    Args:
        measures: of the same units.
        keys: key -> the group of each unit, None where it has none.
        margin: a gap up to this is of no account, in the measure's units; without it nothing is
            said to be within it.
        across_metrics: the level holds over all measures at once; else over the keys of each.

    Raises:
        UndefinedFigure: a key has fewer than two groups.
        InvalidValues: a key has more than MOST_GROUPS, or another number of units.
    """
    if not 0 < level < 1:
        raise InvalidValues(f"{level} is no confidence level.", hint="Write 0.95.")
    tables = [[_table(m, key, values) for key, values in keys.items()] for m in measures]
    families = [list(itertools.chain(*tables))] if across_metrics else tables
    found = []
    for family in families:
        each, size = _joint_level(family, level, seed)
        found += [_parity(table, level, each, size, margin) for table in family]
    return found


def _table(measure: Measure, key: str, values: Sequence[str | None]) -> _Table:
    if len(values) != len(measure.clusters):
        raise InvalidValues(f"{key}: {len(values)} groups of {len(measure.clusters)} units.")
    names = tuple(sorted({value for value in values if value is not None}))
    if len(names) < 2:
        only = f"one only, {names[0]!r}" if names else "none"
        raise UndefinedFigure(
            f"There are no two groups by {key!r}: {only}.",
            hint="Name a key of the slices that has several values.",
        )
    if len(names) > MOST_GROUPS:
        raise InvalidValues(
            f"{key!r} has {len(names)} values, more than the {MOST_GROUPS} that can be compared.",
            hint="Put the values into bands, such as age_band, before the import.",
        )
    column = np.array([names.index(v) if v is not None else -1 for v in values])
    named = column >= 0
    parts = {}
    for place, name in enumerate(names):
        for rest in (False, True):
            members = named & ((column != place) if rest else (column == place))
            parts[name, rest] = _GroupPart(members, measure.influence(members))
    return _Table(measure, key, names, parts, int((~named).sum()))


def _joint_level(family: Sequence[_Table], level: float, seed: int) -> tuple[float, int]:
    """The level of each gap at which all are covered at once with `level`; and how many there are.

    Between Bonferroni's and the plain one. A gap of unknown spread counts as independent.
    """
    columns = [
        table.parts[a].influence - table.parts[b].influence
        for table in family
        for a, b in table.pairs()
    ]
    size, alpha = len(columns), 1 - level
    if size == 1:
        return level, size
    matrix = np.column_stack(columns)
    lengths = np.linalg.norm(matrix, axis=0)
    known = lengths > 0
    correlation = np.eye(size)
    if known.any():
        unit = matrix[:, known] / lengths[known]
        correlation[np.ix_(known, known)] = unit.T @ unit
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0))
    normal = np.random.default_rng([seed, 2]).standard_normal((JOINT_DRAWS, size))
    critical = float(np.quantile(np.abs(normal @ root.T).max(axis=1), level))
    one = 2 * NormalDist().cdf(-critical)
    return 1 - min(max(one, alpha / size), alpha), size


def _parity(table: _Table, level: float, each: float, size: int, margin: float | None) -> Parity:
    measure = table.measure
    marginals: dict[tuple[str, bool], Marginal | str] = {}
    for part, known in table.parts.items():
        marginals[part] = _marginal(measure, known.members, _widened(measure, known, each))
    gaps = [_gap(table, a, b, marginals, margin) for a, b in table.pairs()]
    groups = [_own_figure(table, name, level) for name in table.names]
    between = [gap for gap in gaps if gap.other != REST]
    told = [gap for gap in between if gap.value is not None]
    largest = max(told, key=lambda gap: abs(gap.value or 0.0), default=None)
    low = max(
        (max(g.low, -g.high, 0.0) for g in told if g.low is not None and g.high is not None),
        default=None,
    )
    signature = next((m.signature for m in marginals.values() if isinstance(m, Marginal)), "")
    untold = [group.group for group in groups if group.error is not None]
    high = _widest(between)
    return Parity(
        metric=measure.name,
        key=table.key,
        groups=tuple(groups),
        gaps=tuple(gaps),
        largest=None if largest is None else abs(largest.value or 0.0),
        low=low,
        high=high,
        between=None if largest is None else _ordered(largest),
        n=sum(group.n for group in groups),
        unnamed=table.unnamed,
        level=level,
        each=each,
        family=size,
        scale=measure.scale,
        better=measure.better,
        said=_say(low, high, margin, apart=bool(low)),
        signature=f"parity:{measure.name}:{table.key}|groups:{len(groups)}|family:{size}|"
        f"level:{level:g}|each:{each:.5f}|max-t+mover|{signature}",
        margin=margin,
        note=f"no figure of {', '.join(map(repr, untold))}" if untold else "",
    )


def _ordered(gap: Gap) -> tuple[str, str]:
    """The group with the larger figure first."""
    return (gap.group, gap.other) if (gap.value or 0.0) >= 0 else (gap.other, gap.group)


def _widest(gaps: Sequence[Gap]) -> float | None:
    """The upper bound of the largest gap: of all gaps at once; None where one cannot be told."""
    bounds = []
    for gap in gaps:
        if gap.low is None or gap.high is None:
            return None
        bounds.append(max(abs(gap.low), abs(gap.high)))
    return max(bounds, default=None)


def _marginal(measure: Measure, members: Members, level: float) -> Marginal | str:
    try:
        return measure.figure(members, level=level)
    except EvaluatorError as error:
        return error.message


def _widened(measure: Measure, part: _GroupPart, level: float) -> float:
    """A level that makes up for the normal law's short tails where clusters are few (Student's).

    Far out, where bounds lie that many gaps share, this is more than at the plain level.
    """
    clusters = len(np.unique(measure.clusters[part.members]))
    return expanded_level(level, clusters) if clusters > 1 else level


def _own_figure(table: _Table, name: str, level: float) -> GroupFigure:
    members = table.parts[name, False].members
    found = _marginal(table.measure, members, level)
    if isinstance(found, str):
        return GroupFigure(name, n=0, error=found)
    return GroupFigure(
        *(name, found.n, found.failed, found.clusters, found.value, found.low, found.high),
        note=found.note,
    )


def _gap(
    table: _Table,
    a: tuple[str, bool],
    b: tuple[str, bool],
    marginals: Mapping[tuple[str, bool], Marginal | str],
    margin: float | None,
) -> Gap:
    other = REST if b[1] else b[0]
    one, two = marginals[a], marginals[b]
    if isinstance(one, str) or isinstance(two, str):
        why = one if isinstance(one, str) else str(two)
        here, there = (0 if isinstance(side, str) else side.n for side in (one, two))
        return Gap(a[0], other, here, there, None, None, None, UNTOLD, why)
    value, note = one.value - two.value, ""
    sides = [_bounds(side, table.measure.scale) for side in (one, two)]
    if sides[0] is None or sides[1] is None:
        why = next(m.note for m, s in zip((one, two), sides, strict=True) if s is None)
        return Gap(a[0], other, one.n, two.n, value, None, None, UNTOLD, why)
    if None in (one.low, two.low):
        note = "nothing is known of a side's spread: its whole range is taken"
    together = _correlation(table.parts[a].influence, table.parts[b].influence)
    low, high = _mover(one.value, sides[0], two.value, sides[1], together)
    apart = low > 0 or high < 0
    ends = (max(low, -high, 0.0), max(abs(low), abs(high)))
    said = _say(*ends, margin, apart=apart)
    return Gap(a[0], other, one.n, two.n, value, low, high, said, note)


def _bounds(found: Marginal, scale: float | None) -> tuple[float, float] | None:
    """A figure's bounds; the whole scale where nothing is known and there is one."""
    if found.low is not None and found.high is not None:
        return found.low, found.high
    return None if scale is None else (0.0, scale)


def _correlation(one: Floats, other: Floats) -> float:
    """Of two figures; 0 where they share no cluster."""
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / size if size > 0 else 0.0


def _mover(
    a: float, of_a: tuple[float, float], b: float, of_b: tuple[float, float], together: float
) -> tuple[float, float]:
    """Interval of a - b from the intervals of a and b and the correlation of the two."""
    down = (max(a - of_a[0], 0.0), max(of_b[1] - b, 0.0))
    up = (max(of_a[1] - a, 0.0), max(b - of_b[0], 0.0))
    halves = [math.sqrt(max(x * x + y * y - 2 * together * x * y, 0.0)) for x, y in (down, up)]
    return a - b - halves[0], a - b + halves[1]


def _say(low: float | None, high: float | None, margin: float | None, *, apart: bool) -> str:
    """What the bounds of a gap's size allow to say."""
    if low is None:
        return UNTOLD
    if margin is not None and high is not None and high <= margin:
        return WITHIN
    if margin is not None and low > margin:
        return BEYOND
    return APART if apart else UNTOLD
