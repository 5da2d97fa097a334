"""Figures of a score run: each with its n, its interval and its recipe, by model and slice.

A score run keeps scores of single examples; here they are read back and summarised. What cannot be
computed is an error text in place of the figure.

Figures that one process has computed, kept by a digest of everything that they depend on.

A bootstrap takes seconds and reading what goes into it milliseconds: whoever asks for a figure
reads its rows anew, and computes only when they are not the rows of a figure that is kept. So a
figure of rows that have changed since is never shown. Knows nothing of what a figure is.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.orm import Session

from backend.errors import CannotCompute, NotFound, raised_as
from backend.schemas.projects import WIN_RATE
from backend.schemas.runs import DifferenceOut, FigureOut
from backend.services.metric_specs import MetricSpec, find_maximum, get_score_run, metric_specs
from backend.services.runs.score_columns import ScoreReads, data_part, paired, read_scores
from backend.tables.runs import ScoreRun

if TYPE_CHECKING:
    from evaluators.metric import Metric
    from evaluators.results import ClassRow
    from evaluators.types import Difference, Figure

MOST = 4096
"""Figures kept; one takes one to two kilobytes."""

T = TypeVar("T")
Key = tuple[Hashable, ...]


def digest_of(*parts: object) -> str:
    """SHA-256 of what Python writes of plain values: texts, numbers, None, tuples, lists, dicts.

    Not for rows of SQLAlchemy, of which it writes only the beginning.
    """
    return hashlib.sha256(repr(parts).encode()).hexdigest()


@dataclass(slots=True)
class KeptFigures:
    """The figures of one server process; the one not asked for the longest goes first.

    Several threads may use it. Two that ask for the same figure at once both compute it.

    Attributes:
        most: how many are kept.
        computed: how many were computed so far, because they were not kept.
    """

    most: int = MOST
    computed: int = 0
    _found: OrderedDict[Key, Any] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def get(self, key: Key, compute: Callable[[], T]) -> T:
        """What was computed under this key, now or before; what raises is not kept."""
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                kept: T = self._found[key]
                return kept
        made = compute()
        with self._lock:
            self.computed += 1
            self._found[key] = made
            while len(self._found) > self.most:
                self._found.popitem(last=False)
        return made


LEVEL = 0.95
Who = TypeVar("Who", int, tuple[int, int])  # a model, or baseline and candidate


@dataclass(frozen=True, slots=True)
class ModelFigure:
    """One metric of one model on one slice: a figure, or the reason why there is none."""

    model_version_id: int
    model: str
    spec: MetricSpec
    figure: Figure | None
    error: str | None = None

    def shown(self) -> FigureOut:
        """As it is shown."""
        return FigureOut(**self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """Flat and JSON-serialisable; `value` and interval are absent where there is an error."""
        return {
            "model_version_id": self.model_version_id,
            "model": self.model,
            "slice": dict(self.spec.slice),
            **_body(self.spec, self.figure, self.error),
        }


@dataclass(frozen=True, slots=True)
class PairedFigure:
    """Candidate minus baseline on one slice, paired by example; or the reason why there is none."""

    baseline_id: int
    candidate_id: int
    spec: MetricSpec
    difference: Difference | None
    error: str | None = None

    def shown(self, labels: Mapping[int, str]) -> DifferenceOut:
        """As it is shown, with how people write the models."""
        return DifferenceOut(
            **self.as_dict(),
            baseline_model=labels[self.baseline_id],
            candidate_model=labels[self.candidate_id],
        )

    def as_dict(self) -> dict[str, Any]:
        """Flat and JSON-serialisable."""
        return {
            "baseline_id": self.baseline_id,
            "candidate_id": self.candidate_id,
            "slice": dict(self.spec.slice),
            **_body(self.spec, self.difference, self.error),
        }


def _body(
    spec: MetricSpec, figure: Figure | Difference | None, error: str | None
) -> dict[str, Any]:
    known = {"metric": spec.metric, "error": error, **metric_traits(spec.metric)}
    return known if figure is None else {**known, **figure.as_dict()}


def metric_traits(metric: str) -> dict[str, Any]:
    """The `scale` of a metric, None where there is no bound, and its `better` side.

    As its registry entry says. The share of won votes is no metric, and lies in 0 to 1; what may
    only be bounded from above is none, and has no scale.
    """
    from evaluators.registry import METRICS

    if metric == WIN_RATE:
        return {"scale": 1.0, "better": "higher"}
    if find_maximum(metric):
        return {"scale": None, "better": "lower"}
    known = METRICS.get(metric)
    if known is None:
        return {"scale": None, "better": "higher"}
    return {"scale": known.scale, "better": "higher" if known.higher_is_better else "lower"}


def model_figures(
    session: Session,
    score_run_id: int,
    *,
    reads: ScoreReads | None = None,
    kept: KeptFigures | None = None,
) -> list[ModelFigure]:
    """Every metric of every model on its slices, seeded 95% interval clustered by group.

    Args:
        reads: the scores, where they were read already.
        kept: figures of before, and where these are kept; None computes them anew.
    """
    run = get_score_run(session, score_run_id)
    asked = metric_specs(run)
    reads = reads or read_scores(session, run, {spec.metric for spec in asked})
    found = []
    for spec in asked:
        for model in run.generation_run.models:
            made, error = _or_reason(_summarise, model.id, spec, reads, LEVEL, kept)
            found.append(ModelFigure(model.id, model.label, spec, made, error))
    return found


def model_figure(
    session: Session,
    score_run_id: int,
    model_version_id: int,
    metric: str,
    *,
    slice: Mapping[str, str] | None = None,
    level: float = LEVEL,
    reads: ScoreReads | None = None,
    kept: KeptFigures | None = None,
) -> Figure:
    """One metric of one model on one slice, which need not be one that the run was asked for.

    Args:
        reads, kept: as in `model_figures`.

    Raises:
        CannotCompute: there is no score of it, or none with a value.
    """
    run = get_score_run(session, score_run_id)
    spec = MetricSpec(metric, dict(slice or {}))
    reads = reads or read_scores(session, run, {metric})
    made, error = _or_reason(_summarise, model_version_id, spec, reads, level, kept)
    if made is None:
        raise CannotCompute(error or "")
    return made


def paired_figures(
    session: Session,
    score_run_id: int,
    baseline_id: int,
    candidate_id: int,
    *,
    specs: Sequence[MetricSpec] | None = None,
    reads: ScoreReads | None = None,
    kept: KeptFigures | None = None,
) -> list[PairedFigure]:
    """Candidate minus baseline for every metric and slice, paired by example and sample.

    Args:
        specs: what to compare; default: what the run was asked for.
        reads, kept: as in `model_figures`.

    Raises:
        NotFound: a model takes no part in the run.
    """
    run = get_score_run(session, score_run_id)
    taking_part = {model.id for model in run.generation_run.models}
    for model_id in (baseline_id, candidate_id):
        if model_id not in taking_part:
            raise NotFound(f"Model version {model_id} takes no part in score run {run.id}.")
    asked = metric_specs(run) if specs is None else specs
    reads = reads or read_scores(session, run, {spec.metric for spec in asked})
    found = []
    for spec in asked:
        made, error = _or_reason(_compare, (baseline_id, candidate_id), spec, reads, LEVEL, kept)
        found.append(PairedFigure(baseline_id, candidate_id, spec, made, error))
    return found


def paired_figure(
    session: Session,
    score_run_id: int,
    baseline_id: int,
    candidate_id: int,
    metric: str,
    *,
    slice: Mapping[str, str] | None = None,
    level: float = LEVEL,
) -> Difference:
    """Candidate minus baseline for one metric on one slice.

    Raises:
        CannotCompute: no example has a value on both sides.
    """
    run = get_score_run(session, score_run_id)
    spec = MetricSpec(metric, dict(slice or {}))
    reads = read_scores(session, run, {metric})
    made, error = _or_reason(_compare, (baseline_id, candidate_id), spec, reads, level, None)
    if made is None:
        raise CannotCompute(error or "")
    return made


def _or_reason(
    compute: Callable[[Who, MetricSpec, ScoreReads, float], T],
    who: Who,
    spec: MetricSpec,
    reads: ScoreReads,
    level: float,
    kept: KeptFigures | None,
) -> tuple[T | None, str | None]:
    """What is computed, or the reason why it cannot be; or what was kept of before."""
    from evaluators.errors import EvaluatorError

    def make() -> tuple[T | None, str | None]:
        try:
            return compute(who, spec, reads, level), None
        except (EvaluatorError, CannotCompute) as error:
            return None, str(error)

    if kept is None:
        return make()
    where = tuple(sorted(spec.slice.items()))
    key = (compute.__name__, reads.digest(spec.metric), who, spec.metric, where, level)
    return kept.get(key, make)


def _summarise(model_id: int, spec: MetricSpec, reads: ScoreReads, level: float) -> Figure:
    from evaluators.aggregate import aggregate

    mine = reads.side(model_id, spec)
    figure = aggregate(
        metric_of_run(spec, reads.run), mine.scores, mine.groups, seed=reads.run.seed, level=level
    )
    return replace(figure, signature=figure.signature + data_part(reads.run))


def _compare(
    pair: tuple[int, int], spec: MetricSpec, reads: ScoreReads, level: float
) -> Difference:
    from evaluators.aggregate import paired_difference

    old, new = (reads.side(model_id, spec) for model_id in pair)
    difference = paired_difference(
        metric_of_run(spec, reads.run), *paired(old, new), seed=reads.run.seed, level=level
    )
    return replace(difference, signature=difference.signature + data_part(reads.run))


def metric_of_run(spec: MetricSpec, run: ScoreRun) -> Metric:
    """The metric in the version that scored; a run of before versions were kept has today's."""
    from evaluators.registry import resolve_metrics

    metric = resolve_metrics([spec.metric])[0]
    scored = [entry.get("version") for entry in run.metrics if entry["metric"] == spec.metric]
    version = next((version for version in scored if version is not None), metric.version)
    return replace(metric, version=version)


def class_report(
    session: Session, score_run_id: int, model_version_id: int, spec: MetricSpec
) -> list[ClassRow]:
    """Precision and recall of every class, from a metric that keeps label pairs (f1 and kin).

    Raises:
        CannotCompute: the metric keeps none.
    """
    from evaluators.errors import EvaluatorError
    from evaluators.metrics.labels import classification_report

    run = get_score_run(session, score_run_id)
    mine = read_scores(session, run, {spec.metric}).side(model_version_id, spec)
    with raised_as(CannotCompute, EvaluatorError):
        return classification_report(mine.scores)
