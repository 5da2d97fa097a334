"""Promotions: the log of decisions, promoting, rolling back."""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy.orm import Session

from backend.api.deps import CurrentUser, SessionDep
from backend.api.once import OnceDep
from backend.api.routes.verdicts.served import ServedPromotion
from backend.errors import InvalidInput
from backend.schemas.verdicts import PromotionIn, PromotionOut
from backend.services import overview
from backend.services.verdicts import promotion
from backend.tables.verdicts import Promotion

router = APIRouter(tags=["promotion"])


def _show(session: Session, row: Promotion) -> PromotionOut:
    return PromotionOut.of(
        row,
        model=overview.labels_of_models(session, row.project_id)[row.model_version_id],
        decided_by=overview.pseudonym_of(session, row.decided_by_id),
        n_simulated=promotion.simulated_votes(session, row),
    )


@router.get("/projects/{project_id}/promotions")
def list_promotions(project_id: int, session: SessionDep) -> list[PromotionOut]:
    """All decisions, newest first."""
    found = promotion.list_promotions(session, project_id)
    return [_show(session, row) for row in reversed(found)]


@router.post("/projects/{project_id}/promotions", status_code=201)
def decide(
    project_id: int,
    body: PromotionIn,
    served: ServedPromotion,
    session: SessionDep,
    user: CurrentUser,
    once: OnceDep,
) -> PromotionOut:
    """Sign a promotion of the candidate of a comparison, or roll an alias back."""
    if body.action == "rollback":
        row = promotion.roll_back(
            session,
            project_id,
            decided_by_id=user.id,
            reason=_reason(body.reason),
            alias=body.alias,
            expected=body.expected_current,
            serving=served,
            unserved=body.allow_unserved,
        )
    else:
        row = promotion.promote(
            session,
            promotion.get_comparison(session, body.comparison_id),
            decided_by_id=user.id,
            alias=body.alias,
            override=body.override,
            expected=body.expected_current,
            serving=served,
            unserved=body.allow_unserved,
        )
    return once.answer(_show(session, row))


def _reason(given: str | None) -> str:
    if given is None:
        raise InvalidInput("Say why you roll back.", hint="Send reason.")
    return given
