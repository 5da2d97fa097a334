"""What people do with a round: start, pause, take up, cancel, sign, and ask what it waits for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.errors import Conflict, NotFound
from backend.services import queue, review
from backend.services.cancelling import Cancellation, cancel_unfinished
from backend.services.metric_specs import BUILT_IN, AllowedMetrics
from backend.services.models.serving import Move, ServingReport
from backend.services.projects import current_manifest, lock_project
from backend.services.queue import JobKind
from backend.services.rounds.figures import replay_runs
from backend.services.rounds.plans import AcceptedLeaks, RoundPlan, check_plan
from backend.services.rounds.steps import PHASES
from backend.services.verdicts.promotion import get_comparison, hold, plan_promotion, promote
from backend.tables.accounts import User
from backend.tables.rounds import Phase, Round, RoundEvent, RoundState

ENDED = (RoundState.CANCELLED, RoundState.FINISHED)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a round waits for, since when, and what it will do next."""

    number: int
    state: str
    phase: str
    waits_for: str
    since: datetime
    next: str
    error: str | None


@dataclass(frozen=True, slots=True)
class Signature:
    """What a lead decides on the candidate of a round.

    Attributes:
        hold: reason to keep what stands; the candidate is not promoted then.
        override: reason to promote without a PASS.
        serving, unserved: what the servers made of it, and why it may stand though one does not.
    """

    user_id: int
    hold: str | None = None
    override: str | None = None
    serving: ServingReport | None = None
    unserved: str | None = None


def start_round(
    session: Session,
    project_id: int,
    plan: RoundPlan,
    *,
    started_by_id: int | None,
    now: datetime,
    allowed: AllowedMetrics = BUILT_IN,
) -> Round:
    """Begin a round; the worker moves it from here.

    Raises:
        Conflict: no success manifest is set, or another round of the project is under way.
        StropError: the plan cannot be gone through to its end, as `check_plan` has it.
    """
    current_manifest(session, project_id)
    check_plan(session, project_id, plan, allowed)
    return lay_down_round(session, project_id, plan, started_by_id=started_by_id, now=now)


def lay_down_round(
    session: Session, project_id: int, plan: RoundPlan, *, started_by_id: int | None, now: datetime
) -> Round:
    """The row of a round whose plan was checked. Raises Conflict when another is under way."""
    under_way = select(Round).where(Round.project_id == project_id, Round.state.not_in(ENDED))
    if (other := session.scalar(under_way.limit(1))) is not None:
        raise Conflict(
            f"Round {other.number} is {other.state}.",
            hint="Let it end, or cancel it: strop round cancel",
        )
    last = select(func.max(Round.number)).where(Round.project_id == project_id)
    row = Round(
        project_id=project_id,
        number=(session.scalar(last) or 0) + 1,
        plan=plan.model_dump(mode="json"),
        started_by_id=started_by_id,
        started_at=now,
        since=now,
    )
    session.add(row)
    session.flush()
    note(session, row, "started", now)
    return row


def find_round(session: Session, project_id: int, number: int | None = None) -> Round:
    """A round of a project by number, or the newest; NotFound when there is none."""
    query = select(Round).where(Round.project_id == project_id).order_by(Round.number.desc())
    if number is not None:
        query = query.where(Round.number == number)
    row = session.scalar(query.limit(1))
    if row is None:
        what = "no round yet" if number is None else f"no round {number}"
        raise NotFound(
            f"There is {what} in this project.", hint="Start one: strop round start PLAN"
        )
    return row


def list_rounds(session: Session, project_id: int) -> list[Round]:
    """The rounds of a project, oldest first."""
    query = select(Round).where(Round.project_id == project_id)
    return list(session.scalars(query.order_by(Round.number)))


def pause_round(session: Session, row: Round, *, now: datetime) -> None:
    """Begin no further step; what a worker is doing for it goes on. Conflict when it has ended."""
    _refuse_ended(row)
    if row.state == RoundState.ACTIVE:
        row.state = RoundState.PAUSED
        note(session, row, "paused", now)


def take_up_round(
    session: Session, row: Round, *, now: datetime, accept: AcceptedLeaks | None = None
) -> None:
    """Go on with a paused or failed round; a job that failed or was cancelled is queued again.

    Args:
        accept: who lets the leaks stand for which it failed, and why.

    Raises:
        Conflict: it has ended.
    """
    _refuse_ended(row)
    if row.state == RoundState.ACTIVE:
        return
    row.state, row.error = RoundState.ACTIVE, None
    if accept is not None:
        row.plan = {**row.plan, "accepted_leaks": accept.model_dump()}
    for kind, subject in _jobs_of(session, row):
        job = queue.find_job(session, kind, subject)
        if job is not None and job.state in ("failed", "stopped", "cancelled"):
            queue.resume_job(session, job.id)
    note(session, row, "taken up", now)


def cancel_round(
    session: Session, row: Round, *, reason: str, now: datetime, by: User | None = None
) -> None:
    """End a round without a verdict; its jobs and its queue end too, what it made stays.

    Args:
        by: who cancels; None for the machine's own command line.

    Raises:
        Conflict: it has ended.
    """
    _refuse_ended(row)
    why = Cancellation(by, now, f"with round {row.number}, {reason}")
    cancel_unfinished(session, _jobs_of(session, row), why)
    row.state, row.waits_for, row.finished_at = RoundState.CANCELLED, None, now
    if row.review_queue_id is not None:
        review.close_queue(session, row.review_queue_id, now=now)
    name = "" if by is None else f" by {by.name}"
    note(session, row, f"cancelled{name}: {reason}", now)


def plan_signing(session: Session, row: Round, *, override: str | None = None) -> Move:
    """What the servers are to be told when the round's promotion is signed.

    Raises:
        Conflict: it waits for no signature, or as `plan_promotion`.
    """
    _refuse_unless_signing(row)
    comparison = get_comparison(session, row.comparison_id)
    return plan_promotion(session, comparison, override=override)


def _refuse_unless_signing(row: Round) -> None:
    if row.phase != Phase.SIGN or row.state != RoundState.ACTIVE:
        raise Conflict(f"Round {row.number} waits for no signature.", hint="strop round status")


def sign_round(session: Session, row: Round, signature: Signature, *, now: datetime) -> None:
    """Sign the promotion that the round waits for, by a lead's name, or sign that it is held.

    Raises:
        Conflict: as `plan_signing`, or a server does not serve the model.
        Forbidden: the person is no lead.
    """
    lock_project(session, row.project_id)  # the second of two at once sees the first
    session.refresh(row)
    _refuse_unless_signing(row)
    comparison = get_comparison(session, row.comparison_id)
    if signature.hold is not None:
        by, reason = signature.user_id, signature.hold
        decision = hold(session, comparison, decided_by_id=by, reason=reason)
    else:
        decision = promote(
            session,
            comparison,
            decided_by_id=signature.user_id,
            override=signature.override,
            serving=signature.serving,
            unserved=signature.unserved,
        )
    row.promotion_id = decision.id
    row.phase, row.since, row.waits_for = Phase.END, now, None
    note(session, row, f"signed: {decision.reason}", now)


_WAITS_FOR = {
    RoundState.ACTIVE: "a worker to take the next step",
    RoundState.PAUSED: "somebody to take it up again: strop round resume",
    RoundState.FAILED: "its fault to be mended, then: strop round resume",
    **dict.fromkeys(ENDED, "nothing"),
}


def explain_round(row: Round) -> Explanation:
    """What it waits for, since when, and what comes next."""
    state = RoundState(row.state)
    waits = (state == RoundState.ACTIVE and row.waits_for) or _WAITS_FOR[state]
    following = "nothing" if state in ENDED else PHASES[Phase(row.phase)].following
    return Explanation(row.number, state, row.phase, waits, row.since, following, row.error)


def note(session: Session, row: Round, text: str, now: datetime) -> None:
    """Write an event of a round."""
    session.add(RoundEvent(round_id=row.id, at=now, phase=row.phase, text=text))
    session.flush()


def _refuse_ended(row: Round) -> None:
    if row.state in ENDED:
        raise Conflict(f"Round {row.number} is {row.state}.")


def _jobs_of(session: Session, row: Round) -> list[tuple[JobKind, int]]:
    asked = [
        (JobKind.TRAIN, row.training_run_id),
        (JobKind.GENERATE, row.generation_run_id),
        (JobKind.SCORE, row.score_run_id),
    ]
    replays = [(JobKind.GENERATE, run_id) for run_id in replay_runs(session, row)]
    return [*((kind, subject) for kind, subject in asked if subject is not None), *replays]
