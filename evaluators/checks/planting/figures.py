"""What a check finds on a bench: recall by kind, false alarms, and how its values are read."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from evaluators.checks.planting.plant import KINDS
from evaluators.errors import UndefinedFigure
from evaluators.metric import Metric
from evaluators.statistics import RESAMPLES
from evaluators.types import Figure, Sample, Score

ALLOWED = 0.05
WHAT_IS_SIMULATED = (
    "simulated: errors are planted in right outputs; they are no sample of a model's own errors"
)


@dataclass(frozen=True, slots=True)
class PlantedSample:
    """A sample with one planted error, and which of the outputs as they were it was."""

    sample: Sample
    of: int
    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Bench:
    """Outputs as they were, and the same with one error each.

    Attributes:
        left_out: outputs that cannot be used, by reason.
    """

    unedited: tuple[Sample, ...]
    planted: tuple[PlantedSample, ...]
    kinds: tuple[str, ...]
    seed: int
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KindFigure:
    """What a check finds of one kind of planted error.

    Attributes:
        recall: share of planted errors with an alarm.
        worse: share in which the check scores the output worse than the same one as it was, ties
            half; needs no threshold.
        located: share with an alarm whose marks touch the planted place; None where the check
            marks no places.
    """

    kind: str
    recall: Figure
    worse: Figure
    located: Figure | None


@dataclass(frozen=True, slots=True)
class CheckFigures:
    """How one check does.

    Attributes:
        threshold: the value from which an alarm is raised; None where the check says yes or no.
        reading: how its values are read, in words.
        problem: why nothing can be said of it; all figures are missing then.
    """

    check: str
    version: int
    reading: str
    threshold: float | None
    false_alarms: Figure | None
    recall: Figure | None
    kinds: tuple[KindFigure, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class BenchReport:
    """The figures of a bench."""

    n: int
    groups: int
    seed: int
    note: str = field(default=WHAT_IS_SIMULATED, kw_only=True)
    left_out: Mapping[str, int]
    plantable: tuple[Figure, ...]
    checks: tuple[CheckFigures, ...]

    def as_dict(self) -> dict[str, Any]:
        """All fields, JSON-serialisable."""
        return asdict(self)


def plantable(bench: Bench, kind: str, level: float) -> Figure:
    with_it = {p.of for p in bench.planted if p.kind == kind}
    hits = [i in with_it for i in range(len(bench.unedited))]
    groups = [sample.group for sample in bench.unedited]
    return _rate(f"plantable:{kind}", hits, groups, level, f"plant:1|kind:{kind}|seed:{bench.seed}")


def _rate(
    name: str,
    hits: Sequence[float | bool],
    groups: Sequence[str | None],
    level: float,
    recipe: str,
    *,
    failed: int = 0,
) -> Figure:
    """A share, its interval over groups: Wilson's for yes or no, else that of a mean."""
    import numpy as np

    from evaluators.statistics.clusters import number_clusters, sum_clusters
    from evaluators.statistics.intervals import mean_interval, rate_interval

    values = np.asarray(hits, dtype=np.float64)
    members = number_clusters(groups)
    sums = np.asarray(sum_clusters(np.column_stack([values, np.ones(len(values))]), members))
    if set(values) <= {0.0, 1.0}:
        interval = rate_interval(sums, level=level)
    else:
        interval = mean_interval(sums, scale=1.0, seed=0, resamples=RESAMPLES, level=level)
    return Figure(
        metric=name,
        value=float(values.mean()),
        low=interval.low,
        high=interval.high,
        n=len(values),
        failed=failed,
        signature=f"{recipe}|simulated|{interval.recipe}|level:{level}",
        rough=interval.rough,
        clusters=len(sums),
        level=level,
        method=interval.method,
        note=interval.note,
    )


def measure_check(
    bench: Bench, metric: Metric, scores: Sequence[Score], level: float
) -> CheckFigures:
    """The figures of one check, or why there are none.

    Args:
        scores: of the outputs as they were, then of those with an error, in the bench's order.
    """
    n = len(bench.unedited)
    before, after = scores[:n], scores[n:]
    badness = _badness(metric)
    read = _read_values(bench, metric, scores)
    if isinstance(read, str):
        return CheckFigures(metric.name, metric.version, "", None, None, None, (), read)
    found = _Alarms(
        bench,
        read.measured,
        [_alarm(badness, read.worst, score) for score in before],
        [_alarm(badness, read.worst, score) for score in after],
        level,
        metric.signature(bench=1, plant=1, seed=bench.seed),
    )
    kinds = [
        KindFigure(
            kind, recall, found.worse(kind, before, after, badness), found.located(kind, after)
        )
        for kind in bench.kinds
        if (recall := found.recall(kind)) is not None
    ]
    return CheckFigures(
        metric.name,
        metric.version,
        read.words,
        read.threshold,
        found.false_alarms(),
        found.recall(None),
        tuple(kinds),
    )


@dataclass(frozen=True, slots=True)
class _AlarmReading:
    """From which badness on there is an alarm, and which of the outputs are measured."""

    measured: Sequence[bool]
    worst: float
    threshold: float | None
    words: str


def _read_values(bench: Bench, metric: Metric, scores: Sequence[Score]) -> _AlarmReading | str:
    """How the values of a check are read, or why they cannot be."""
    before = scores[: len(bench.unedited)]
    valued = [score for score in scores if score.value is not None]
    if not valued:
        errors = sorted({score.error for score in scores if score.error is not None})
        return errors[0] if errors else "it applies to none of the outputs"
    if metric.scale == 1.0 and all(score.value in (0.0, 1.0) for score in valued):
        worst = -0.5 if metric.higher_is_better else 0.5
        return _AlarmReading([True] * len(before), worst, None, _YES_OR_NO)
    measured, badness = _other_half(bench), _badness(metric)
    chooses = [s for s, apart in zip(before, measured, strict=True) if not apart and not s.error]
    values = [value for score in chooses if (value := badness(score)) is not None]
    if not any(measured) or not values:
        return _TOO_FEW
    worst = choose_threshold(values, len(chooses))
    threshold = -worst if metric.higher_is_better else worst
    if worst > max(values):
        share = values.count(max(values)) / len(chooses)
        return _AlarmReading(measured, worst, None, _NO_ROOM.format(share=share, allowed=ALLOWED))
    return _AlarmReading(measured, worst, threshold, _reading(metric, threshold, len(chooses)))


_YES_OR_NO = "says yes or no: read as it is, measured on all groups"
_NO_ROOM = (
    "raises no alarm: {share:.0%} of the unedited outputs in the half that chooses have the worst "
    "value there is, so that no threshold alarms at {allowed:.0%} of them or fewer"
)
_TOO_FEW = "too few groups to choose a threshold on one half and measure on the other"


def _reading(metric: Metric, threshold: float, n: int) -> str:
    way = "at most" if metric.higher_is_better else "at least"
    return (
        f"alarm where it is {way} {threshold:.4g}: chosen on one half of the groups so that at "
        f"most {ALLOWED:.0%} of {n} unedited outputs raise one, measured on the other half"
    )


Badness = Callable[[Score], float | None]


def _badness(metric: Metric) -> Badness:
    """The value with the sign by which larger is worse; None where the check does not apply."""
    sign = -1.0 if metric.higher_is_better else 1.0
    return lambda score: None if score.value is None else sign * score.value


def choose_threshold(badness: Sequence[float], n: int, allowed: float = ALLOWED) -> float:
    """The lowest value at which at most a share of n unedited outputs raises an alarm.

    Args:
        badness: of the outputs that have a value, larger is worse; those to which the check does
            not apply raise no alarm.

    Returns:
        a value between two that occur, or above all of them.
    """
    ordered = sorted(badness, reverse=True)
    for i, value in enumerate(ordered):
        if i + 1 < len(ordered) and ordered[i + 1] == value:
            continue
        if (i + 1) > allowed * n:
            above = [v for v in ordered if v > value]
            return (value + above[-1]) / 2 if above else value + max(1e-9, abs(value) * 1e-9)
    return ordered[-1]


def _alarm(badness: Badness, worst: float, score: Score) -> bool | None:
    """Whether it raises an alarm; None where it could not be computed."""
    if score.error is not None:
        return None
    value = badness(score)
    return value is not None and value >= worst


def _other_half(bench: Bench) -> list[bool]:
    """For each output as it was whether its group is in the half that is measured."""
    keys: list[object] = [
        (i,) if sample.group is None else sample.group for i, sample in enumerate(bench.unedited)
    ]
    distinct = sorted(dict.fromkeys(keys), key=repr)
    random.Random(f"halves|{bench.seed}").shuffle(distinct)
    chosen = set(distinct[len(distinct) // 2 :])
    return [key in chosen for key in keys]


@dataclass(frozen=True, slots=True)
class _Alarms:
    """Alarms of one check, and which outputs are measured."""

    bench: Bench
    measured: Sequence[bool]
    before: Sequence[bool | None]
    after: Sequence[bool | None]
    level: float
    recipe: str

    def _figure(self, name: str, pairs: Sequence[tuple[float | bool | None, int]]) -> Figure | None:
        kept = [(value, of) for value, of in pairs if value is not None]
        if not kept:
            return None
        groups = [self.bench.unedited[of].group or f"\0{of}" for _, of in kept]
        values, failed = [value for value, _ in kept], len(pairs) - len(kept)
        return _rate(name, values, groups, self.level, self.recipe, failed=failed)

    def _places(self, kind: str | None) -> list[int]:
        return [
            i
            for i, p in enumerate(self.bench.planted)
            if self.measured[p.of]
            and (p.kind == kind or (kind is None and KINDS[p.kind].misstates))
        ]

    def false_alarms(self) -> Figure | None:
        """Share of the outputs as they were that raise an alarm."""
        pairs = [(self.before[i], i) for i, apart in enumerate(self.measured) if apart]
        return self._figure("false_alarms", pairs)

    def recall(self, kind: str | None) -> Figure | None:
        """Share of planted errors of a kind, or of all that misstate something, with an alarm."""
        pairs = [(self.after[i], self.bench.planted[i].of) for i in self._places(kind)]
        return self._figure(f"recall:{kind or 'all'}", pairs)

    def worse(
        self, kind: str, before: Sequence[Score], after: Sequence[Score], badness: Badness
    ) -> Figure:
        """Share in which the planted output is scored worse than the same one as it was."""
        pairs: list[tuple[float | bool | None, int]] = []
        for i in self._places(kind):
            of = self.bench.planted[i].of
            pairs.append((_is_worse(before[of], after[i], badness), of))
        figure = self._figure(f"worse:{kind}", pairs)
        if figure is None:
            raise UndefinedFigure(f"No pair of outputs of the kind {kind} has two scores.")
        return figure

    def located(self, kind: str, after: Sequence[Score]) -> Figure | None:
        """Share in which a mark touches the planted place; None for checks without marks."""
        if not any(score.spans for score in after):
            return None
        pairs: list[tuple[float | bool | None, int]] = []
        for i in self._places(kind):
            planted, score = self.bench.planted[i], after[i]
            touched = any(s.start <= planted.end and planted.start <= s.end for s in score.spans)
            pairs.append((None if score.error else touched, planted.of))
        return self._figure(f"located:{kind}", pairs)


def _is_worse(before: Score, after: Score, badness: Badness) -> float | None:
    """1 where it is worse than before, a half where alike; not applicable is as good as can be."""
    if before.error is not None or after.error is not None:
        return None
    one, other = badness(before), badness(after)
    if one is None or other is None:
        return 0.5 if one is other else float(one is None)
    return 0.5 if one == other else float(other > one)
