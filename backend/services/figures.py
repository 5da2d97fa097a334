"""Figures of a score run: each with its n, its interval and its recipe, by model and slice.

A score run keeps scores of single examples; here they are read back and summarised. What cannot be
computed is an error text in place of the figure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import CannotCompute, NotFound
from backend.services.generation import examples_of_run
from backend.services.metric_specs import MetricSpec, get_score_run, metric_specs
from backend.tables.generation import Generation
from backend.tables.scoring import Score, ScoreRun

if TYPE_CHECKING:
    from evaluators.metric import Metric
    from evaluators.metrics.labels import ClassRow
    from evaluators.types import Difference, Figure
    from evaluators.types import Score as Scored

LEVEL = 0.95
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ModelFigure:
    """One metric of one model on one slice: a figure, or the reason why there is none."""

    model_version_id: int
    model: str
    spec: MetricSpec
    figure: Figure | None
    error: str | None = None

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
    return {"metric": spec.metric, "error": error} if figure is None else figure.as_dict()


@dataclass(frozen=True, slots=True)
class _Read:
    """A score read back, with what places it."""

    model_id: int
    example_id: int
    sample: int
    group: str | None
    slices: dict[str, Any]
    score: Scored


@dataclass(frozen=True, slots=True)
class _Reads:
    """The scores of a run by metric, in order of example and sample; and how many there must be."""

    run: ScoreRun
    by_metric: dict[str, list[_Read]]
    slices: list[dict[str, Any]]

    def of_model(self, model_id: int, spec: MetricSpec) -> dict[tuple[int, int], _Read]:
        """Scores of one model on one slice by (example, sample).

        Raises:
            CannotCompute: some of its outputs are not scored, so a figure would be of a part.
        """
        found = {
            (read.example_id, read.sample): read
            for read in self.by_metric.get(spec.metric, [])
            if read.model_id == model_id and spec.covers(read.slices)
        }
        due = sum(spec.covers(slices) for slices in self.slices) * self.run.generation_run.samples
        if len(found) < due:
            raise CannotCompute(
                f"Only {len(found)} of {due} outputs are scored with {spec.label}.",
                hint=f"Finish it with strop run --resume {self.run.generation_run_id}, "
                "or score with that metric.",
            )
        return found


def _read_scores(session: Session, run: ScoreRun, metrics: Iterable[str]) -> _Reads:
    from evaluators.types import Score as Scored

    columns = (
        select(
            Score.metric,
            Generation.model_version_id,
            Generation.example_id,
            Generation.sample,
            Score.value,
            Score.error,
            Score.not_applicable,
            Score.label,
            Score.stats,
        )
        .join(Generation, Generation.id == Score.generation_id)
        .where(Score.score_run_id == run.id, Score.metric.in_(list(metrics)))
        .order_by(Generation.example_id, Generation.sample)
    )
    found: dict[str, list[_Read]] = {}
    examples = {example.id: example for example in examples_of_run(session, run.generation_run)}
    for metric, model, example_id, sample, *rest in session.execute(columns):
        value, error, not_applicable, label, stats = rest
        placed = examples[example_id]
        score = Scored(value, error, not_applicable, label=label, stats=tuple(stats))
        read = _Read(model, example_id, sample, placed.group, placed.slices, score)
        found.setdefault(metric, []).append(read)
    return _Reads(run, found, [example.slices for example in examples.values()])


def _data_part(run: ScoreRun) -> str:
    generation_run = run.generation_run
    digest = generation_run.dataset_version.digest[:12]
    return f"|data:{digest}|split:{generation_run.split}"


def model_figures(session: Session, score_run_id: int) -> list[ModelFigure]:
    """Every metric of every model on its slices, seeded 95% interval clustered by group."""
    run = get_score_run(session, score_run_id)
    asked = metric_specs(run)
    reads = _read_scores(session, run, {spec.metric for spec in asked})
    found = []
    for spec in asked:
        for model in run.generation_run.models:
            made, error = _or_reason(_summarise, run, model.id, spec, reads, LEVEL)
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
) -> Figure:
    """One metric of one model on one slice, which need not be one that the run was asked for.

    Raises:
        CannotCompute: there is no score of it, or none with a value.
    """
    run = get_score_run(session, score_run_id)
    spec = MetricSpec(metric, dict(slice or {}))
    reads = _read_scores(session, run, {metric})
    made, error = _or_reason(_summarise, run, model_version_id, spec, reads, level)
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
) -> list[PairedFigure]:
    """Candidate minus baseline for every metric and slice, paired by example and sample.

    Args:
        specs: what to compare; default: what the run was asked for.

    Raises:
        NotFound: a model takes no part in the run.
    """
    run = get_score_run(session, score_run_id)
    taking_part = {model.id for model in run.generation_run.models}
    for model_id in (baseline_id, candidate_id):
        if model_id not in taking_part:
            raise NotFound(f"Model version {model_id} takes no part in score run {run.id}.")
    asked = metric_specs(run) if specs is None else specs
    reads = _read_scores(session, run, {spec.metric for spec in asked})
    found = []
    for spec in asked:
        made, error = _or_reason(_compare, run, (baseline_id, candidate_id), spec, reads, LEVEL)
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
    reads = _read_scores(session, run, {metric})
    made, error = _or_reason(_compare, run, (baseline_id, candidate_id), spec, reads, level)
    if made is None:
        raise CannotCompute(error or "")
    return made


def _or_reason(
    compute: Callable[..., T], run: ScoreRun, who: object, spec: MetricSpec, *rest: object
) -> tuple[T | None, str | None]:
    """What is computed, or the reason why it cannot be."""
    from evaluators.errors import EvaluatorError

    try:
        return compute(run, who, spec, *rest), None
    except (EvaluatorError, CannotCompute) as error:
        return None, str(error)


def _summarise(
    run: ScoreRun, model_id: int, spec: MetricSpec, reads: _Reads, level: float
) -> Figure:
    from evaluators.aggregate import aggregate

    kept = list(reads.of_model(model_id, spec).values())
    scores, groups = [r.score for r in kept], [r.group for r in kept]
    figure = aggregate(_metric(spec), scores, groups, seed=run.seed, level=level)
    return replace(figure, signature=figure.signature + _data_part(run))


def _compare(
    run: ScoreRun, pair: tuple[int, int], spec: MetricSpec, reads: _Reads, level: float
) -> Difference:
    from evaluators.aggregate import paired_difference

    old, new = (reads.of_model(model_id, spec) for model_id in pair)
    units = [unit for unit in old if unit in new]
    difference = paired_difference(
        _metric(spec),
        [old[unit].score for unit in units],
        [new[unit].score for unit in units],
        [old[unit].group for unit in units],
        seed=run.seed,
        level=level,
    )
    return replace(difference, signature=difference.signature + _data_part(run))


def _metric(spec: MetricSpec) -> Metric:
    from evaluators.registry import resolve_metrics

    return resolve_metrics([spec.metric])[0]


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
    mine = _read_scores(session, run, {spec.metric}).of_model(model_version_id, spec).values()
    try:
        return classification_report([read.score for read in mine])
    except EvaluatorError as error:
        raise CannotCompute(error.message, hint=error.hint) from error
