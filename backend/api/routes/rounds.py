"""Rounds, lineage, and taking a review back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from backend.api.deps import CurrentUser, NowDep, ServingDep, SessionDep
from backend.api.once import OnceDep
from backend.api.routes.verdicts.served import ServedRound
from backend.errors import NotFound
from backend.schemas import rounds as shapes
from backend.schemas.review.quality import WithdrawalIn
from backend.services import rounds
from backend.services.lineage.trace import trace
from backend.services.metric_specs import allowed_metrics
from backend.services.review.desk.revise import withdraw_review
from backend.services.rounds.plans import plan_from_content
from backend.services.runs.figures import KeptFigures
from backend.services.training.runs import refuse_reporters
from backend.tables.rounds import Round

router = APIRouter(tags=["rounds"])


def _show(session: Session, row: Round, kept: KeptFigures) -> shapes.RoundOut:
    return shapes.RoundOut.of(
        row,
        adapter=row.plan["adapter"],
        figures=rounds.round_outcome(session, row, kept=kept),
        **asdict(rounds.explain_round(row)),
    )


def _round(session: Session, round_id: int) -> Round:
    row = session.get(Round, round_id, with_for_update=True)
    if row is None:
        raise NotFound(f"There is no round {round_id}.")
    return row


@router.get("/projects/{project_id}/rounds")
def list_rounds(project_id: int, session: SessionDep, serving: ServingDep) -> list[shapes.RoundOut]:
    """The rounds of a project, newest first."""
    found = rounds.list_rounds(session, project_id)
    return [_show(session, row, serving.kept) for row in reversed(found)]


@router.post("/projects/{project_id}/rounds", status_code=201)
def start_round(
    project_id: int,
    body: shapes.RoundIn,
    session: SessionDep,
    serving: ServingDep,
    user: CurrentUser,
    once: OnceDep,
    now: NowDep,
) -> shapes.RoundOut:
    """Begin a round; a worker takes its steps."""
    plan = plan_from_content(body.plan)
    refuse_reporters(plan.config)
    row = rounds.start_round(
        session,
        project_id,
        plan,
        started_by_id=user.id,
        now=now,
        allowed=allowed_metrics(serving.settings, project_id),
    )
    return once.answer(_show(session, row, serving.kept))


@router.get("/rounds/{round_id}")
def show_round(round_id: int, session: SessionDep, serving: ServingDep) -> shapes.RoundOut:
    """A round: what it waits for, since when, and what comes next."""
    return _show(session, _round(session, round_id), serving.kept)


@router.post("/rounds/{round_id}/pause")
def pause_round(
    round_id: int, session: SessionDep, serving: ServingDep, now: NowDep
) -> shapes.RoundOut:
    """Take no further step; what a worker is doing goes on."""
    row = _round(session, round_id)
    rounds.pause_round(session, row, now=now)
    return _show(session, row, serving.kept)


@router.post("/rounds/{round_id}/resume")
def take_up_round(
    round_id: int,
    body: shapes.RoundResumed,
    session: SessionDep,
    serving: ServingDep,
    user: CurrentUser,
    now: NowDep,
) -> shapes.RoundOut:
    """Go on with a paused or failed round."""
    row = _round(session, round_id)
    accept = None
    if body.accept_leaks is not None:
        accept = rounds.AcceptedLeaks(user_id=user.id, reason=body.accept_leaks)
    rounds.take_up_round(session, row, now=now, accept=accept)
    return _show(session, row, serving.kept)


@router.post("/rounds/{round_id}/cancel")
def cancel_round(
    round_id: int,
    body: shapes.RoundCancelled,
    session: SessionDep,
    serving: ServingDep,
    user: CurrentUser,
    now: NowDep,
) -> shapes.RoundOut:
    """End a round without a verdict; its jobs are cancelled, what they made stays."""
    row = _round(session, round_id)
    rounds.cancel_round(session, row, reason=body.reason, now=now, by=user)
    return _show(session, row, serving.kept)


@router.post("/rounds/{round_id}/sign")
def sign_round(
    round_id: int,
    body: shapes.RoundSigned,
    served: ServedRound,
    session: SessionDep,
    serving: ServingDep,
    user: CurrentUser,
    now: NowDep,
) -> shapes.RoundOut:
    """Sign the promotion that the round waits for, or that it is held, by who is signed in."""
    row = _round(session, round_id)
    signature = rounds.Signature(
        user.id, body.hold, body.override, serving=served, unserved=body.allow_unserved
    )
    rounds.sign_round(session, row, signature, now=now)
    return _show(session, row, serving.kept)


@router.get("/projects/{project_id}/lineage")
def show_lineage(
    project_id: int,
    session: SessionDep,
    of: Annotated[str, Query(max_length=200, description="v2, set:NAME, review:ID, run:ID, ...")],
) -> shapes.LineageOut:
    """What a thing was made of, and what it went into."""
    return trace(session, project_id, of)


@router.post("/reviews/{review_id}/withdraw")
def withdraw(
    review_id: int, body: WithdrawalIn, session: SessionDep, user: CurrentUser, now: NowDep
) -> shapes.Withdrawn:
    """Take a review back; it stays, and counts for nothing from now on."""
    row = withdraw_review(session, review_id, user_id=user.id, reason=body.reason, now=now)
    found = trace(session, row.item.queue.project_id, f"review:{review_id}")
    held = [node.title for node in found.nodes if any("withdrawn since" in m for m in node.marks)]
    assert row.withdrawn_at is not None
    return shapes.Withdrawn(review_id=review_id, withdrawn_at=row.withdrawn_at, held_by=held)
