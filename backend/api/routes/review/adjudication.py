"""Where reviews of a queue differ, and what was decided: for leads. Experts decide at the desk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from fastapi import APIRouter

from backend.api.deps import PageDep, SessionDep
from backend.schemas.common import Page
from backend.schemas.review import quality as shapes
from backend.services.review.quality import adjudication
from backend.tables.review import Adjudication, Review, SlotState
from backend.tables.runs import Generation

router = APIRouter(tags=["adjudications"])


@router.get("/review-queues/{queue_id}/adjudications")
def list_adjudications(
    queue_id: int, session: SessionDep, page: PageDep
) -> Page[shapes.AdjudicationOut]:
    """Disagreements with the answers that differ, the newest first, by pseudonym."""
    found = adjudication.list_adjudications(session, queue_id, page)
    answers = adjudication.disputed_answers(session, found.rows)
    shown = [_show(one, answers[one.item_id]) for one in found.rows]
    return Page[shapes.AdjudicationOut](items=shown, next=found.next)


@router.get("/review-queues/{queue_id}/adjudications/progress")
def show_progress(queue_id: int, session: SessionDep) -> shapes.AdjudicationProgressOut:
    """How many were opened, decided, and are with somebody now."""
    return adjudication.adjudication_progress(session, queue_id)


def _show(one: Adjudication, answers: Sequence[Review]) -> shapes.AdjudicationOut:
    outputs = [o for o in (one.item.generation_a, one.item.generation_b) if o is not None]
    return shapes.AdjudicationOut.of(
        one,
        state=_state(one),
        generation_ids=[output.id for output in outputs],
        models=[output.model_version.label for output in outputs],
        example=one.item.generation_a.example.external_id,
        answers=[_say(review, outputs) for review in answers],
        verdict=None if one.review is None else _say(one.review, outputs),
    )


def _state(one: Adjudication) -> Literal["open", "held", "decided"]:
    if one.decided_at is not None:
        return "decided"
    return "held" if one.slot.state == SlotState.LEASED else "open"


def _say(review: Review, outputs: Sequence[Generation]) -> shapes.SaidOut:
    winner = review.preferences[0].winner if review.preferences else None
    models = dict(zip("ab", (output.model_version.label for output in outputs), strict=False))
    return shapes.SaidOut.of(
        review,
        review_id=review.id,
        reviewer=review.reviewer.pseudonym,
        ratings={rating.criterion: rating.value for rating in review.ratings},
        winner=None if winner is None else models.get(winner, winner),
        correction=review.corrections[0].text if review.corrections else None,
    )
