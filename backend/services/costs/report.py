"""What the newest runs, trainings, rounds and queues of a project took, with the prices."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.schemas.costs import CostReport, Prices
from backend.services.costs.people import review_costs
from backend.services.costs.rounds import round_costs
from backend.services.costs.work import run_costs, training_costs
from backend.services.projects import find_manifest, manifest_of
from backend.tables.review import ReviewQueue
from backend.tables.rounds import Round
from backend.tables.runs import GenerationRun
from backend.tables.training import TrainingRun

NOTES = (
    "Generating and scoring are told by the clock of the last attempt at their jobs, which several "
    "workers may have shared. Their processor seconds are those of all workers and attempts; GPU "
    "seconds are by the clock, while an engine or a model of the worker itself was on a GPU. What "
    "servers that were asked took is in neither.",
    "Waiting, for a worker or for people, is in no figure.",
    "What is not recorded is unknown and in no sum: a sum that lacks something is told as "
    "'at least', with n of how many.",
)


def project_costs(
    session: Session, project_id: int, *, training_hour: float | None, limit: int = 20
) -> CostReport:
    """What the newest `limit` things of each kind took.

    Args:
        training_hour: what an hour of the training machine costs now (STROP_PRICE_PER_HOUR).
    """
    bar = find_manifest(session, project_id)
    price, name = None, None
    if bar is not None and bar.content:
        price, name = manifest_of(bar).price, f"{manifest_of(bar).name}, version {bar.version}"
    stated = dict.fromkeys(("prompt", "completion", "currency")) if price is None else dict(price)
    rounds = select(Round).where(Round.project_id == project_id).order_by(Round.id.desc())
    return CostReport(
        prices=Prices(bar=name if price else None, training_hour=training_hour, **stated),
        limit=limit,
        runs=run_costs(session, _newest(session, GenerationRun, project_id, limit), price=price),
        trainings=training_costs(session, _newest(session, TrainingRun, project_id, limit)),
        rounds=round_costs(session, list(session.scalars(rounds.limit(limit))), price=price),
        reviews=review_costs(session, _newest(session, ReviewQueue, project_id, limit)),
        notes=NOTES,
    )


def _newest(session: Session, table: Any, project_id: int, limit: int) -> list[int]:
    """Ids of a table's newest rows of a project."""
    query = select(table.id).where(table.project_id == project_id)
    return list(session.scalars(query.order_by(table.id.desc()).limit(limit)))
