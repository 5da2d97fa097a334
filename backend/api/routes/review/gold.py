"""Known answers of a queue, contests, pauses: for leads; and an expert's word against one."""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy.orm import Session

from backend.api.deps import CurrentUser, NowDep, PageDep, SessionDep
from backend.api.once import OnceDep
from backend.schemas.common import Page
from backend.schemas.review import desk as desk_shapes
from backend.schemas.review import quality as shapes
from backend.services.overview import pseudonym_of
from backend.services.review.quality import gold, gold_contests, gold_items, pauses
from backend.services.review.quality.adjudication import answers_of
from backend.services.review.quality.gold_items import GoldRow
from backend.tables.accounts import User
from backend.tables.review import GoldAnswer, GoldResult

router = APIRouter(tags=["known answers"])


@router.get("/review-queues/{queue_id}/gold")
def list_gold(queue_id: int, session: SessionDep, page: PageDep) -> Page[shapes.GoldOut]:
    """The known answers of a queue, the newest first, withdrawn ones too."""
    found = gold_items.list_gold(session, queue_id, page)
    counted = gold_items.count_results(session, [one.id for one in found.rows])
    shown = [_show(one, counted[one.id]) for one in found.rows]
    return Page[shapes.GoldOut](items=shown, next=found.next)


def _show(one: GoldAnswer, counted: gold_items.GoldCounts) -> shapes.GoldOut:
    outputs = [o for o in (one.item.generation_a, one.item.generation_b) if o is not None]
    return shapes.GoldOut.of(
        one,
        generation_ids=[output.id for output in outputs],
        models=[output.model_version.label for output in outputs],
        example=one.item.generation_a.example.external_id,
        n=counted.n,
        met=counted.met,
        contested=counted.contested,
    )


@router.post("/review-queues/{queue_id}/gold", status_code=201)
def add_gold(
    queue_id: int, body: shapes.GoldListIn, session: SessionDep, user: CurrentUser, once: OnceDep
) -> shapes.GoldAdded:
    """Add known answers: all of them, or none when one is wrong."""
    rows = [GoldRow(**row.model_dump()) for row in body.rows]
    added = gold_items.add_gold(session, queue_id, rows, by=user.id)
    return once.answer(shapes.GoldAdded(queue_id=queue_id, ids=[one.id for one in added]))


@router.post("/review-queues/{queue_id}/gold/adjudicated", status_code=201)
def add_adjudicated(
    queue_id: int, body: shapes.AdjudicatedIn, session: SessionDep, user: CurrentUser, once: OnceDep
) -> shapes.GoldAdded:
    """Make known answers of what was decided in the queue."""
    added = gold_items.add_adjudicated(
        session, queue_id, by=user.id, adjudication_ids=body.adjudication_ids
    )
    return once.answer(shapes.GoldAdded(queue_id=queue_id, ids=[one.id for one in added]))


@router.get("/review-queues/{queue_id}/gold-standing")
def list_standing(queue_id: int, session: SessionDep) -> list[shapes.GoldStandingOut]:
    """How every reviewer stands on known answers, paused ones first."""
    return pauses.gold_progress(session, queue_id)


@router.post("/review-queues/{queue_id}/pauses")
def pause_reviewer(
    queue_id: int, body: shapes.PauseIn, session: SessionDep, now: NowDep
) -> shapes.GoldStandingOut:
    """Give a reviewer nothing more of this queue for now; what they hold they may submit."""
    person = pauses.find_reviewer(session, queue_id, body.reviewer)
    pauses.pause_reviewer(session, queue_id, person.id, reason=body.reason, now=now)
    return _standing_of(session, queue_id, person)


@router.post("/review-queues/{queue_id}/pauses/lift")
def lift_pause(queue_id: int, body: shapes.LiftIn, session: SessionDep) -> shapes.GoldStandingOut:
    """Let a reviewer work on; their known answers are counted anew from here."""
    person = pauses.find_reviewer(session, queue_id, body.reviewer)
    pauses.lift_pause(session, queue_id, person.id)
    return _standing_of(session, queue_id, person)


def _standing_of(session: Session, queue_id: int, person: User) -> shapes.GoldStandingOut:
    everybody = pauses.gold_progress(session, queue_id)
    return next(one for one in everybody if one.pseudonym == person.pseudonym)


@router.get("/review-queues/{queue_id}/gold-contests")
def list_contests(
    queue_id: int, session: SessionDep, settled: bool = False
) -> list[shapes.ContestOut]:
    """Contests that wait for a lead, the oldest first; or those that were settled, newest first."""
    listed = gold_contests.list_settled if settled else gold_contests.list_contests
    found = listed(session, queue_id)
    said = answers_of(session, [one.review_id for one in found])
    return [
        _show_contest(one, {name: given.value for name, given in said[one.review_id].items()})
        for one in found
    ]


def _show_contest(one: GoldResult, said: dict[str, str]) -> shapes.ContestOut:
    return shapes.ContestOut.of(
        one,
        result_id=one.id,
        item_id=one.gold.item_id,
        reviewer=one.user.pseudonym,
        simulated=one.review.simulated,
        reason=one.contest_reason or "",
        contested_at=one.contested_at or one.created_at,
        said=said,
        known=one.gold.answer,
        explanation=one.gold.explanation,
    )


@router.post("/gold-results/{result_id}/resolve")
def resolve_contest(
    result_id: int, body: shapes.ResolutionIn, session: SessionDep, user: CurrentUser, now: NowDep
) -> shapes.ResolutionOut:
    """Uphold a contested known answer, or withdraw it and undo what rested on it."""
    result = gold_contests.get_result(session, result_id)
    undone = gold_contests.resolve_contest(
        session, result_id, body.resolution, by=user.id, reason=body.reason, now=now
    )
    if undone is None:
        return shapes.ResolutionOut(resolution="upheld", gold_id=result.gold_id)
    return _show_withdrawal(session, undone)


@router.post("/gold-answers/{gold_id}/withdraw")
def withdraw_gold(
    gold_id: int, body: shapes.WithdrawalIn, session: SessionDep, user: CurrentUser, now: NowDep
) -> shapes.ResolutionOut:
    """Withdraw a known answer and undo what rested on it."""
    undone = gold_contests.withdraw_gold(session, gold_id, by=user.id, reason=body.reason, now=now)
    return _show_withdrawal(session, undone)


def _show_withdrawal(session: Session, undone: gold_contests.Withdrawal) -> shapes.ResolutionOut:
    return shapes.ResolutionOut(
        resolution="withdrawn",
        gold_id=undone.gold_id,
        n_results=undone.n_results,
        unpaused=[pseudonym_of(session, id_) or "" for id_ in undone.unpaused_ids],
    )


@router.post("/my/gold-results/{result_id}/contest")
def contest_gold(
    result_id: int, body: desk_shapes.ContestIn, session: SessionDep, user: CurrentUser, now: NowDep
) -> desk_shapes.GoldFeedback:
    """Say that a known answer is wrong; a lead looks at it."""
    result = gold_contests.contest(session, result_id, user.id, reason=body.reason, now=now)
    return gold.feedback_on(result)


@router.get("/my/review-queues/{queue_id}/gold-results")
def list_my_results(
    queue_id: int, session: SessionDep, user: CurrentUser
) -> list[desk_shapes.GoldFeedback]:
    """How I did on known answers, the last one first; withdrawn ones are left out."""
    return gold.my_results(session, queue_id, user.id)
