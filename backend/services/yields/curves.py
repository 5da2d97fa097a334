"""The yield over rounds: trained on, held back, and the overall figure of each candidate."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import StropError
from backend.services.figures import model_figure
from backend.services.review.measured import Measured, of_figure, unknown
from backend.services.yields.bottleneck import Diagnosis
from backend.services.yields.reports import yield_report
from backend.tables.comparison import Comparison
from backend.tables.curation import TrainingSet
from backend.tables.model_versions import ModelVersion
from backend.tables.rounds import Round


@dataclass(frozen=True, slots=True)
class RoundPoint:
    """A round on the curve.

    Attributes:
        overall: the candidate on the first line of the bar that has a figure of its own.
        overall_title: that line in words.
        error: why there is no yield.
    """

    number: int
    candidate: str
    trained: Measured
    held_back: Measured
    per_hour: Measured
    overall: Measured
    overall_title: str
    diagnosis: Diagnosis | None
    simulated: bool
    error: str | None = None


def yield_curve(session: Session, project_id: int) -> list[RoundPoint]:
    """The rounds of a project that have a candidate, oldest first."""
    query = (
        select(Round)
        .where(Round.project_id == project_id, Round.candidate_id.is_not(None))
        .order_by(Round.number)
    )
    return [_point(session, row) for row in session.scalars(query)]


def _point(session: Session, row: Round) -> RoundPoint:
    candidate = session.get_one(ModelVersion, row.candidate_id)
    frozen = session.get_one(TrainingSet, row.training_set_id)
    title, overall = _overall(session, row)
    try:
        report = yield_report(session, frozen, candidate)
    except StropError as error:
        none = unknown(error.message)
        return RoundPoint(
            number=row.number,
            candidate=candidate.label,
            trained=none,
            held_back=none,
            per_hour=none,
            overall=overall,
            overall_title=title,
            diagnosis=None,
            simulated=frozen.simulated,
            error=error.message,
        )
    return RoundPoint(
        number=row.number,
        candidate=candidate.label,
        trained=report.trained,
        held_back=report.held_back,
        per_hour=report.per_hour,
        overall=overall,
        overall_title=title,
        diagnosis=report.diagnosis,
        simulated=report.simulated,
    )


def _overall(session: Session, row: Round) -> tuple[str, Measured]:
    """The candidate's own figure, not its difference from the model to beat."""
    comparison = session.get(Comparison, row.comparison_id) if row.comparison_id else None
    if comparison is None:
        return "", unknown("the round has come to no verdict yet")
    reason = "no line of the bar has a figure of one model"
    for line in comparison.lines:
        try:
            figure = model_figure(
                session,
                comparison.score_run_id,
                comparison.candidate_id,
                line["metric"],
                slice=line.get("slice") or None,
            )
        except StropError as error:
            reason = error.message
            continue
        return str(line["metric"]), of_figure(figure)
    return "", unknown(reason)
