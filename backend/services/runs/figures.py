"""Figures of a score run: each with its n, its interval and its recipe, by model and slice.

A score run keeps scores of single examples; here they are read back and summarised. What cannot be
computed is an error text in place of the figure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.orm import Session

from backend.errors import CannotCompute, NotFound
from backend.services.metric_specs import WIN_RATE, MetricSpec, get_score_run, metric_specs
from backend.services.runs.kept_figures import KeptFigures
from backend.services.runs.scores import ScoreReads, data_part, read_scores

if TYPE_CHECKING:
    from backend.tables.scoring import ScoreRun
    from evaluators.metric import Metric
    from evaluators.metrics.labels import ClassRow
    from evaluators.types import Difference, Figure

LEVEL = 0.95
T = TypeVar("T")
Who = TypeVar("Who", int, tuple[int, int])  # a model, or baseline and candidate


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
    known = {"metric": spec.metric, "error": error, **metric_traits(spec.metric)}
    return known if figure is None else {**known, **figure.as_dict()}


def metric_traits(metric: str) -> dict[str, Any]:
    """The `scale` of a metric, None where there is no bound, and its `better` side.

    As its registry entry says. The share of won votes is no metric, and lies in 0 to 1.
    """
    from evaluators.registry import METRICS

    if metric == WIN_RATE:
        return {"scale": 1.0, "better": "higher"}
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

    mine = list(reads.of_model(model_id, spec).values())
    scores, groups = [r.score for r in mine], [r.group for r in mine]
    figure = aggregate(_metric(spec, reads.run), scores, groups, seed=reads.run.seed, level=level)
    return replace(figure, signature=figure.signature + data_part(reads.run))


def _compare(
    pair: tuple[int, int], spec: MetricSpec, reads: ScoreReads, level: float
) -> Difference:
    from evaluators.aggregate import paired_difference

    old, new = (reads.of_model(model_id, spec) for model_id in pair)
    units = [unit for unit in old if unit in new]
    difference = paired_difference(
        _metric(spec, reads.run),
        [old[unit].score for unit in units],
        [new[unit].score for unit in units],
        [old[unit].group for unit in units],
        seed=reads.run.seed,
        level=level,
    )
    return replace(difference, signature=difference.signature + data_part(reads.run))


def _metric(spec: MetricSpec, run: ScoreRun) -> Metric:
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
    mine = read_scores(session, run, {spec.metric}).of_model(model_version_id, spec).values()
    try:
        return classification_report([read.score for read in mine])
    except EvaluatorError as error:
        raise CannotCompute(error.message, hint=error.hint) from error
