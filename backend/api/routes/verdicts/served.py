"""What the servers make of a move that is about to be signed, asked before a route takes a session.

A server may take seconds to answer. A route that writes would hold the one writer of SQLite for as
long, so these dependencies stand before its session.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated

from fastapi import Depends
from sqlalchemy.orm import Session

from backend.api.deps import Serving, ServingDep
from backend.api.once import NotAnsweredDep
from backend.engines import open_server
from backend.errors import InvalidInput, NotFound
from backend.schemas.rounds import RoundSigned
from backend.schemas.verdicts import PromotionIn
from backend.services import rounds
from backend.services.accounts.access import require_in_project
from backend.services.models.serving import Move, ServingReport, serve_move
from backend.services.verdicts import promotion
from backend.tables.rounds import Round


def _serve(serving: Serving, plan: Callable[[Session], Move]) -> ServingReport:
    with serving.reading() as session:
        move = plan(session)
    opened = partial(open_server, settings=serving.settings)
    return serve_move(move, serving.settings.serving_urls, opened)


def get_served_promotion(
    project_id: int, body: PromotionIn, serving: ServingDep, _: NotAnsweredDep
) -> ServingReport:
    """What the servers make of a promotion or a roll-back."""

    def plan(session: Session) -> Move:
        if body.action == "rollback":
            return promotion.plan_roll_back(
                session, project_id, alias=body.alias, expected=body.expected_current
            )
        if body.comparison_id is None:
            raise InvalidInput(
                "A promotion rests on a comparison.", hint="Compare first, then send comparison_id."
            )
        require_in_project(session, project_id, comparison_id=body.comparison_id)
        found = promotion.get_comparison(session, body.comparison_id)
        return promotion.plan_promotion(
            session, found, alias=body.alias, override=body.override, expected=body.expected_current
        )

    return _serve(serving, plan)


def get_served_round(round_id: int, body: RoundSigned, serving: ServingDep) -> ServingReport:
    """What the servers make of the promotion that a round waits for; a hold asks none."""
    if body.hold is not None:
        return ServingReport()

    def plan(session: Session) -> Move:
        row = session.get(Round, round_id)
        if row is None:
            raise NotFound(f"There is no round {round_id}.")
        return rounds.plan_signing(session, row, override=body.override)

    return _serve(serving, plan)


ServedPromotion = Annotated[ServingReport, Depends(get_served_promotion)]
ServedRound = Annotated[ServingReport, Depends(get_served_round)]
