"""What the newest runs, trainings, rounds and queues of a project took, with the prices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.schemas.projects import Price
from backend.services.costs.people import ReviewCost, review_costs
from backend.services.costs.rounds import RoundCost, round_costs
from backend.services.costs.work import RunCost, TrainingCost, run_costs, training_costs
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


@dataclass(frozen=True, slots=True)
class Prices:
    """What a lead has stated; None where nothing is stated, and then there is no money figure.

    Attributes:
        bar: the version of the bar from which the prices of tokens come.
        prompt, completion: a million tokens read, and written, in `currency`.
        training_hour: an hour of the training machine, for trainings to come; those that have
            ended keep the price of their time.
    """

    bar: str | None
    prompt: float | None
    completion: float | None
    currency: str | None
    training_hour: float | None


@dataclass(frozen=True, slots=True)
class CostReport:
    """What things took, the newest first of each kind; `limit` is the most that is shown of one."""

    prices: Prices
    limit: int
    runs: list[RunCost]
    trainings: list[TrainingCost]
    rounds: list[RoundCost]
    reviews: list[ReviewCost]
    notes: tuple[str, ...] = NOTES


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
    rounds = select(Round).where(Round.project_id == project_id).order_by(Round.id.desc())
    return CostReport(
        prices=_prices(price, name, training_hour),
        limit=limit,
        runs=run_costs(session, _newest(session, GenerationRun, project_id, limit), price=price),
        trainings=training_costs(session, _newest(session, TrainingRun, project_id, limit)),
        rounds=round_costs(session, list(session.scalars(rounds.limit(limit))), price=price),
        reviews=review_costs(session, _newest(session, ReviewQueue, project_id, limit)),
    )


def _prices(price: Price | None, bar: str | None, training_hour: float | None) -> Prices:
    if price is None:
        return Prices(None, None, None, None, training_hour)
    return Prices(bar, price.prompt, price.completion, price.currency, training_hour)


def _newest(session: Session, table: Any, project_id: int, limit: int) -> list[int]:
    """Ids of a table's newest rows of a project."""
    query = select(table.id).where(table.project_id == project_id)
    return list(session.scalars(query.order_by(table.id.desc()).limit(limit)))
