"""Moving rounds: each step in a transaction of its own, which locks the round."""

from __future__ import annotations

import logging
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from backend.db import reading
from backend.errors import StropError, reason_of
from backend.services.metric_specs import allowed_metrics
from backend.services.models.versions import ensure_base
from backend.services.rounds.plans import RoundPlan, check_plan, stored_plan
from backend.services.rounds.steps import Moved, Turn, Waits, take_step
from backend.services.rounds.turns import lay_down_round, note
from backend.settings import Settings
from backend.tables.rounds import Phase, Round, RoundState

MOST_STEPS = 20

log = logging.getLogger(__name__)


def advance_rounds(sessions: sessionmaker[Session], settings: Settings, *, now: datetime) -> int:
    """Move every active round as far as it goes; returns how many steps were taken."""
    with reading(sessions) as session:
        query = select(Round.id).where(Round.state == RoundState.ACTIVE)
        active = list(session.scalars(query.order_by(Round.id)))
    return sum(_advance_far(sessions, round_id, settings, now) for round_id in active)


def _advance_far(
    sessions: sessionmaker[Session], round_id: int, settings: Settings, now: datetime
) -> int:
    for taken in range(MOST_STEPS):
        if not advance_round(sessions, round_id, settings=settings, now=now):
            return taken
    return MOST_STEPS


def advance_round(
    sessions: sessionmaker[Session], round_id: int, *, settings: Settings, now: datetime
) -> bool:
    """Take one step; False when the round waits, has failed or has ended.

    A step that fails, by whatever it raises, is rolled back whole, and the round keeps the reason:
    it can be mended and taken up again, and no other round stands still for it.
    """
    try:
        _read_base_first(sessions, round_id)
        with sessions.begin() as session:
            row = _lock(session, round_id)
            return row is not None and _step(session, row, settings, now)
    except OperationalError:  # the database is away or locked, and no fault of the round
        raise
    except Exception as error:  # the outermost loop of a round: whatever it was, its row says so
        if not isinstance(error, StropError):
            log.exception("a step of round %s failed by a defect", round_id)
        _fail(sessions, round_id, reason_of(error), now)
        return False


def _fail(sessions: sessionmaker[Session], round_id: int, reason: str, now: datetime) -> None:
    with sessions.begin() as session:
        row = _lock(session, round_id)
        if row is not None:
            row.state, row.error, row.since = RoundState.FAILED, reason, now
            note(session, row, f"failed: {reason}", now)


def _read_base_first(sessions: sessionmaker[Session], round_id: int) -> None:
    """Have the project's base registered, whose files are read in no transaction."""
    with reading(sessions) as session:
        row = session.get(Round, round_id)
    if row is not None and row.state == RoundState.ACTIVE and row.phase == Phase.EVALUATE:
        ensure_base(sessions, row.project_id)


def _lock(session: Session, round_id: int) -> Round | None:
    """The round, if it is active, to this transaction alone."""
    query = select(Round).where(Round.id == round_id, Round.state == RoundState.ACTIVE)
    return session.scalar(query.with_for_update())


def _step(session: Session, row: Round, settings: Settings, now: datetime) -> bool:
    match take_step(Turn(session, row, stored_plan(row.plan), settings, now)):
        case Waits(what):
            row.waits_for = what
            return False
        case Moved(phase, did):
            note(session, row, did, now)
            row.phase, row.since, row.waits_for = phase, now, None
            return True
        case None:
            _end(session, row, settings, now)
            return False


def _end(session: Session, row: Round, settings: Settings, now: datetime) -> None:
    assert row.phase == Phase.END
    row.state, row.finished_at, row.waits_for = RoundState.FINISHED, now, None
    note(session, row, "ended", now)
    plan = stored_plan(row.plan)
    if plan.repeat:
        following = plan.next_turn(began=max(row.started_at, plan.not_before or row.started_at))
        _begin_next(session, row, following, settings, now)


def _begin_next(
    session: Session, row: Round, plan: RoundPlan, settings: Settings, now: datetime
) -> None:
    """Lay the following round down; where its plan does not hold any more, failed and with why.

    So what was reached stands, and the next round can be mended and taken up.
    """
    following = lay_down_round(
        session, row.project_id, plan, started_by_id=row.started_by_id, now=now
    )
    try:
        check_plan(session, row.project_id, plan, allowed_metrics(settings, row.project_id))
    except StropError as error:
        following.state, following.error = RoundState.FAILED, reason_of(error)
        note(session, following, f"failed: {following.error}", now)
