"""What more training rows would bring: the learning curve of a project, and where it goes.

The points are models of one held-out run that were trained here on different numbers of examples:
on the same base, by the same method, and asked with the same prompt. An example that several
trainings behind a model have in common counts once. The law and its interval are those of
`evaluators.forecast`; whatever else may differ between the trainings is said, not modelled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.errors import CannotCompute, InvalidInput
from backend.schemas.review.reports import Measured
from backend.schemas.yields import CurveForecastOut, CurvePointOut
from backend.services.derivation import runs_behind
from backend.services.metric_specs import MetricSpec, metric_specs
from backend.services.projects import find_manifest
from backend.services.review.reports.measured import of_figure, unknown
from backend.services.runs.figures import metric_of_run, model_figure
from backend.services.runs.score_columns import Read, read_scores
from backend.tables.curation import TrainingSet, TrainingSetRow
from backend.tables.datasets import Split
from backend.tables.models import ModelVersion
from backend.tables.runs import GenerationRun, ScoreRun
from backend.tables.training import TrainingRun

MORE = 200
MOST_MORE = 1_000_000
_NEWEST_LOOKED_AT = 50
_NO_MATTER = frozenset({"seed", "threads", "report_to", "price_per_hour", "start_from", "prompt"})


@dataclass(frozen=True, slots=True)
class _Trained:
    model: ModelVersion
    run: TrainingRun
    rows: int
    simulated: bool


def forecast_curve(
    session: Session, project_id: int, *, metric: str | None = None, more: int = MORE
) -> CurveForecastOut:
    """The newest learning curve of a project, and what `more` examples would bring.

    Args:
        metric: as the run was scored with, `f1` or `f1@task=intent`; None is the first line of the
            bar that it was scored with, else its first metric.
        more: examples beyond the largest training.

    Raises:
        CannotCompute: no held-out run has scored two such models.
        InvalidInput: `more` is no number of examples that anybody could give.
    """
    if not 0 < more <= MOST_MORE:
        raise InvalidInput(f"A forecast is of 1 to {MOST_MORE} more examples, not of {more}.")
    run, spec, curve = _newest_curve(session, project_id, metric)
    forecast, left_out = _forecast(session, run, spec, curve, more)
    figures = [_figure(session, run, one, spec) for one in curve]
    return CurveForecastOut(
        metric=spec.label,
        run_id=run.generation_run_id,
        split=run.generation_run.split,
        points=[
            CurvePointOut(candidate=one.model.label, rows=one.rows, figure=figure)
            for one, figure in zip(curve, figures, strict=True)
        ],
        more=more,
        target=curve[-1].rows + more,
        forecast=forecast,
        notes=_notes(curve, left_out),
        simulated=any(one.simulated for one in curve),
    )


def _newest_curve(
    session: Session, project_id: int, metric: str | None
) -> tuple[ScoreRun, MetricSpec, list[_Trained]]:
    query = (
        select(ScoreRun)
        .join(GenerationRun)
        .where(
            GenerationRun.project_id == project_id,
            GenerationRun.split.in_((Split.VALIDATION, Split.TEST)),
        )
        .order_by(ScoreRun.id.desc())
    )
    for run in session.scalars(query.limit(_NEWEST_LOOKED_AT)):
        spec = _spec_of(session, project_id, run, metric)
        curve = _longest(_trained(session, run.generation_run))
        if spec is not None and curve:
            return run, spec, curve
    scored = "" if metric is None else f" with {metric[:80]}"
    raise CannotCompute(
        f"No held-out run has scored{scored} two models that were trained here on different "
        "numbers of examples, on one base, by one method and with one prompt.",
        hint="strop run --dataset D --split test --models v1,v2 --metrics ...",
    )


def _spec_of(
    session: Session, project_id: int, run: ScoreRun, metric: str | None
) -> MetricSpec | None:
    scored = {spec.label: spec for spec in metric_specs(run)}
    if metric is not None or not scored:
        return scored.get(metric or "")
    bar = find_manifest(session, project_id)
    lines = [] if bar is None else bar.content.get("lines") or []
    wanted = [MetricSpec(line["metric"], line.get("slice") or {}).label for line in lines]
    return scored[next((label for label in wanted if label in scored), next(iter(scored)))]


def _trained(session: Session, run: GenerationRun) -> dict[tuple[Any, ...], list[_Trained]]:
    """The models of a run that were trained here, by what has to be the same."""
    found: dict[tuple[Any, ...], list[_Trained]] = {}
    for model in run.models:
        training_run_id = model.without_prompt.training_run_id
        if training_run_id is None:
            continue
        training = session.get_one(TrainingRun, training_run_id)
        same = (model.base_id, model.prompt_id, training.config.get("method"))
        rows, simulated = _rows_behind(session, model)
        found.setdefault(same, []).append(_Trained(model, training, rows, simulated))
    return found


def _rows_behind(session: Session, model: ModelVersion) -> tuple[int, bool]:
    """How many examples a model has learned from, and whether any review of them was simulated."""
    runs = runs_behind(session, [model.id])
    sets = select(TrainingRun.training_set_id).where(TrainingRun.id.in_(runs))
    counted = select(func.count(TrainingSetRow.example_id.distinct()))
    rows = session.scalar(counted.where(TrainingSetRow.training_set_id.in_(sets))) or 0
    simulated = select(TrainingSet.id).where(TrainingSet.id.in_(sets), TrainingSet.simulated)
    return rows, session.scalar(simulated.limit(1)) is not None


def _longest(found: Mapping[tuple[Any, ...], list[_Trained]]) -> list[_Trained]:
    """The curve of most sizes, the smallest first; none where no two models differ in size."""
    curves = [[one for one in curve if one.rows > 0] for curve in found.values()]
    longest = max(curves, key=lambda curve: len({one.rows for one in curve}), default=[])
    if len({one.rows for one in longest}) < 2:
        return []
    return sorted(longest, key=lambda one: (one.rows, one.model.id))


def _forecast(
    session: Session, run: ScoreRun, spec: MetricSpec, curve: Sequence[_Trained], more: int
) -> tuple[Measured, int]:
    """The forecast, or the reason why there is none; and how many test answers it leaves out."""
    from evaluators.errors import EvaluatorError
    from evaluators.forecast import forecast_figure

    reads = read_scores(session, run, {spec.metric})
    try:
        sides = [reads.of_model(one.model.id, spec) for one in curve]
        units = [unit for unit in sides[0] if all(_has_value(side.get(unit)) for side in sides)]
        found = forecast_figure(
            metric_of_run(spec, run),
            [[side[unit].score for unit in units] for side in sides],
            [one.rows for one in curve],
            curve[-1].rows + more,
            [sides[0][unit].group for unit in units],
            seed=run.seed,
        )
    except (CannotCompute, EvaluatorError) as error:
        return unknown(str(error)), 0
    measured = Measured.of(found, unit="", rough=False, error=None)
    return measured, len(sides[0]) - len(units)


def _has_value(read: Read | None) -> bool:
    return read is not None and read.score.value is not None


def _figure(session: Session, run: ScoreRun, one: _Trained, spec: MetricSpec) -> Measured:
    try:
        return of_figure(model_figure(session, run.id, one.model.id, spec.metric, slice=spec.slice))
    except CannotCompute as error:
        return unknown(error.message)


def _notes(curve: Sequence[_Trained], left_out: int) -> list[str]:
    said = []
    if differing := _differing([one.run.config for one in curve]):
        said.append(
            f"The trainings differ in {', '.join(differing)}, too: the curve is not that of the "
            "number of examples alone."
        )
    if any(one.run.start_model_id is not None for one in curve):
        said.append("Some trainings went on from others: their examples are counted together.")
    if left_out:
        said.append(f"{left_out} answers are left out, since some model has no score for them.")
    return said


def _differing(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    keys = {key for config in configs for key in config} - _NO_MATTER
    return sorted(key for key in keys if any(c.get(key) != configs[0].get(key) for c in configs))
