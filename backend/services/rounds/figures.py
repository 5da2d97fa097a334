"""What a round came to: its verdict, its rows, and the expert time that went into it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.errors import CannotCompute
from backend.schemas.rounds import RoundFigures
from backend.services.metric_specs import get_score_run, metric_specs
from backend.services.review import stands
from backend.services.runs.figures import KeptFigures, metric_traits, model_figure
from backend.services.runs.score_columns import read_scores
from backend.services.yields import replays_of
from backend.tables.curation import TrainingSet, TrainingSetRow
from backend.tables.review import Review, ReviewItem
from backend.tables.rounds import Round
from backend.tables.training import TrainingRun
from backend.tables.verdicts import Comparison

HALLUCINATION = "invented"


def round_outcome(session: Session, row: Round, *, kept: KeptFigures | None = None) -> RoundFigures:
    """The figures of a round as they are now.

    Args:
        kept: as in `figures.model_figures`.
    """
    comparison = session.get(Comparison, row.comparison_id) if row.comparison_id else None
    frozen = session.get(TrainingSet, row.training_set_id) if row.training_set_id else None
    return RoundFigures(
        verdict=None if comparison is None else comparison.verdict,
        lines=[
            {**line, **metric_traits(str(line["metric"]))}
            for line in (comparison.lines if comparison else ())
        ],
        rows=None if frozen is None else frozen.n_rows,
        expert_minutes=None if frozen is None else _minutes(session, row),
        simulated=bool((frozen and frozen.simulated) or (comparison and comparison.n_simulated)),
        hallucination=[] if comparison is None else _hallucination(session, comparison, kept),
        training=_ledger(session, row),
    )


def _ledger(session: Session, row: Round) -> dict[str, Any]:
    run = session.get(TrainingRun, row.training_run_id) if row.training_run_id else None
    return {} if run is None else dict(run.result.get("ledger", {}))


def _hallucination(
    session: Session, comparison: Comparison, kept: KeptFigures | None
) -> list[dict[str, Any]]:
    run = get_score_run(session, comparison.score_run_id)
    asked = [spec for spec in metric_specs(run) if spec.metric == HALLUCINATION]
    if not asked:
        return []
    reads = read_scores(session, run, {HALLUCINATION})
    sides = {"candidate": comparison.candidate_id, "baseline": comparison.baseline_id}
    found: list[dict[str, Any]] = []
    for spec in asked:
        for side, model_id in sides.items():
            entry: dict[str, Any] = {"of": side, "title": spec.label}
            try:
                figure = model_figure(
                    session, run.id, model_id, spec.metric, slice=spec.slice, reads=reads, kept=kept
                )
            except CannotCompute as error:
                found.append({**entry, "error": str(error)})
            else:
                found.append({**entry, **figure.as_dict(), **metric_traits(spec.metric)})
    return found


def _minutes(session: Session, row: Round) -> float:
    taught = (
        select(TrainingSetRow.review_id)
        .where(TrainingSetRow.training_set_id == row.training_set_id)
        .where(TrainingSetRow.review_id.is_not(None))
    )
    seconds = select(func.coalesce(func.sum(Review.active_seconds), 0.0))
    total = session.scalar(seconds.where(Review.id.in_(taught))) or 0.0
    if row.review_queue_id is not None:
        votes = seconds.join(ReviewItem, ReviewItem.id == Review.item_id).where(
            ReviewItem.queue_id == row.review_queue_id, *stands()
        )
        total += session.scalar(votes) or 0.0
    return round(total / 60, 1)


def replay_runs(session: Session, row: Round) -> list[int]:
    """The generation runs of the replays that a round has begun."""
    if row.training_set_id is None or row.candidate_id is None:
        return []
    found = replays_of(session, row.training_set_id, row.candidate_id)
    return [replay.generation_run_id for replay in found]
