"""The review desk: all that an expert may call. Everything here is for members of the queue."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from backend.api.deps import CurrentUser, NowDep, SessionDep
from backend.schemas.review import desk as shapes
from backend.services import review
from backend.services.review.blind import name_for_reviewers
from backend.services.review.desk.history import lapsed_item, left_for, next_queue_for
from backend.services.review.desk.item_view import claimed_view, find_links, risk_after_answer
from backend.services.review.quality import adjudication, gold
from backend.tables.review import Purpose, ReviewQueue

router = APIRouter(tags=["review desk"])


@router.get("/my/review-queues")
def list_my_queues(
    session: SessionDep, user: CurrentUser, now: NowDep
) -> list[shapes.ReviewQueueForMe]:
    """The queues that I may claim from, open ones first."""
    mine = review.my_queues(session, user.id)
    return [_show_queue(session, queue, user.id, now) for queue in mine]


@router.get("/my/review-queues/{queue_id}")
def show_my_queue(
    queue_id: int, session: SessionDep, user: CurrentUser, now: NowDep
) -> shapes.ReviewQueueForMe:
    """A queue with its rubric and its progress."""
    return _show_queue(session, review.get_queue(session, queue_id), user.id, now)


def _show_queue(
    session: Session, queue: ReviewQueue, user_id: int, now: datetime
) -> shapes.ReviewQueueForMe:
    return shapes.ReviewQueueForMe.of(
        queue,
        name=name_for_reviewers(session, queue),
        closed=queue.closed_at is not None,
        rubric=review.rubric_of(queue),
        progress=_progress(session, queue.id, user_id),
        left_for_me=left_for(session, queue.id, user_id, now=now),
    )


def _progress(session: Session, queue_id: int, user_id: int) -> shapes.QueueProgress:
    return review.queue_progress(session, queue_id, user_id=user_id)


@router.get("/my/review-queues/{queue_id}/reviews")
def list_my_reviews(
    queue_id: int,
    session: SessionDep,
    user: CurrentUser,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    before: Annotated[int | None, Query(description="Only those before this review.")] = None,
) -> list[shapes.OwnReview]:
    """My own finished reviews, the last one first."""
    return review.my_reviews(session, queue_id, user.id, limit=limit, before_id=before)


@router.post("/review-queues/{queue_id}/claim")
def claim_item(
    queue_id: int, session: SessionDep, user: CurrentUser, now: NowDep
) -> shapes.ClaimAnswer:
    """My next item under a lease, or the one that I hold with its draft; or why there is none."""
    found = review.claim_next(session, queue_id, user.id, now=now)
    return _show_claim(session, queue_id, user.id, found, now)


@router.post("/review-queues/{queue_id}/adjudications/claim")
def claim_adjudication(
    queue_id: int, session: SessionDep, user: CurrentUser, now: NowDep
) -> shapes.ClaimAnswer:
    """The next disagreement for me to decide, with the answers that differ."""
    found = review.claim_adjudication(session, queue_id, user.id, now=now)
    return _show_claim(session, queue_id, user.id, found, now)


@router.post("/my/reviews/{review_id}/revise")
def revise_review(
    review_id: int, session: SessionDep, user: CurrentUser, now: NowDep
) -> shapes.ClaimAnswer:
    """Take my own answer back to the desk; it stands until I submit the new one.

    A skip is taken back as long as nobody else was given the item; what else I hold goes back to
    the queue, with its draft.
    """
    found = review.revise(session, review_id, user.id, now=now)
    return _show_claim(session, found.queue_id, user.id, found, now)


def _show_claim(
    session: Session,
    queue_id: int,
    user_id: int,
    found: review.Claim | review.NoItem,
    now: datetime,
) -> shapes.ClaimAnswer:
    if isinstance(found, review.NoItem):
        return shapes.ClaimAnswer(
            claim=None,
            progress=_progress(session, queue_id, user_id),
            reason=found.reason.value,
            message=found.message,
            next_queue=_other_queue(session, queue_id, user_id, now),
        )
    item, progress = claimed_view(session, found.slot_id, user_id)
    shown = shapes.ClaimOut.of(
        found,
        kind=item.kind,
        item=item,
        draft=shapes.AnswerIn.model_validate(found.draft) if found.draft else None,
        progress=progress,
        adjudication=_dispute(session, found),
    )
    return shapes.ClaimAnswer(claim=shown, progress=progress)


def _other_queue(
    session: Session, queue_id: int, user_id: int, now: datetime
) -> shapes.QueueWithWork | None:
    found = next_queue_for(session, user_id, now=now, but=queue_id)
    if found is None:
        return None
    return shapes.QueueWithWork(id=found.id, name=name_for_reviewers(session, found))


def _dispute(session: Session, found: review.Claim) -> shapes.AdjudicationView | None:
    if found.purpose != Purpose.ADJUDICATION:
        return None
    return adjudication.dispute_of(session, found.slot_id)


@router.post("/review-slots/{slot_id}/heartbeat")
def extend_lease(
    slot_id: int, body: shapes.HeartbeatIn, session: SessionDep, user: CurrentUser, now: NowDep
) -> shapes.LeaseOut:
    """A sign of life: the lease begins anew."""
    until = review.heartbeat(session, slot_id, body.version, user.id, now=now)
    return shapes.LeaseOut(slot_id=slot_id, version=body.version, lease_until=until, at=now)


@router.put("/review-slots/{slot_id}/draft")
def save_draft(
    slot_id: int, body: shapes.DraftIn, session: SessionDep, user: CurrentUser, now: NowDep
) -> shapes.LeaseOut:
    """Keep an unfinished answer; the lease begins anew."""
    draft: dict[str, Any] = body.answer.model_dump(mode="json", exclude_defaults=True)
    until = review.save_draft(session, slot_id, body.version, user.id, draft, now=now)
    return shapes.LeaseOut(slot_id=slot_id, version=body.version, lease_until=until, at=now)


@router.get("/my/review-queues/{queue_id}/lapsed")
def show_lapsed(
    queue_id: int,
    slot_id: Annotated[int, Query(ge=1)],
    version: Annotated[int, Query(ge=1, description="Of the lease that has lapsed.")],
    session: SessionDep,
    user: CurrentUser,
    now: NowDep,
) -> shapes.ClaimAnswer:
    """An item that went to somebody else before I had answered, with what I had saved of it.

    It is not mine any more: an answer is kept as a further one.
    """
    item, draft = lapsed_item(session, queue_id, slot_id, version, user.id)
    progress = _progress(session, queue_id, user.id)
    shown = shapes.ClaimOut(
        slot_id=slot_id,
        version=version,
        lease_until=now,
        resumed=True,
        kind=item.kind,
        item=item,
        draft=shapes.AnswerIn.model_validate(draft) if draft else None,
        progress=progress,
    )
    return shapes.ClaimAnswer(claim=shown, progress=progress)


@router.get("/review-slots/{slot_id}/links")
def list_links(slot_id: int, session: SessionDep, user: CurrentUser) -> list[shapes.LinkOut]:
    """What the output states, and where the source says so; nothing for a blind pair."""
    item = review.item_view(session, slot_id, user.id)
    if item.output is None:
        return []
    return [
        shapes.LinkOut.model_validate(replace(link, reason=link.reason or "The source says so."))
        for link in find_links(item)
    ]


@router.post("/review-slots/{slot_id}/submit")
def submit_answer(
    slot_id: int, body: shapes.SubmitIn, session: SessionDep, user: CurrentUser, now: NowDep
) -> shapes.ReviewReceipt:
    """The final answer; sent again under the same lease it is the same answer."""
    done = review.submit_review(
        session,
        slot_id=slot_id,
        version=body.version,
        user_id=user.id,
        answer=review.Answer.of_given(body.answer),
        now=now,
    )
    return shapes.ReviewReceipt.of(
        done,
        state="submitted",
        gold=gold.feedback(session, done.review_id) if done.purpose == Purpose.GOLD else None,
        risk=risk_after_answer(session, done.item_id) if done.scored else None,
        next=_next(session, done.queue_id, user.id, now) if body.next else None,
    )


def _next(session: Session, queue_id: int, user_id: int, now: datetime) -> shapes.ClaimAnswer:
    found = review.claim_next(session, queue_id, user_id, now=now)
    return _show_claim(session, queue_id, user_id, found, now)


@router.post("/review-slots/{slot_id}/skip")
def skip_item(
    slot_id: int, body: shapes.SkipIn, session: SessionDep, user: CurrentUser, now: NowDep
) -> shapes.ReviewReceipt:
    """Do not answer, and say why; the queue's rules say where the item goes."""
    skipped = review.skip_review(
        session, slot_id=slot_id, version=body.version, user_id=user.id, reason=body.reason, now=now
    )
    return shapes.ReviewReceipt(
        review_id=skipped.review_id,
        state="skipped",
        next=_next(session, skipped.queue_id, user.id, now) if body.next else None,
    )
