"""A claim reads its slot from a partial index and scans no table: its cost does not grow."""

from __future__ import annotations

import sqlite3

from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from backend.services import review
from backend.services.review import Answer
from backend.tables.accounts import Membership
from tests.fixtures_review import GOOD, NOW, build_desk, review_next


def trace(session: Session) -> list[str]:
    """All that SQLite is asked from now on, by whichever way."""
    sent: list[str] = []
    driver = session.connection().connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.set_trace_callback(sent.append)
    return sent


def plans_of(session: Session, sent: list[str]) -> list[str]:
    """How SQLite finds the rows of what it was asked."""
    driver = session.connection().connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.set_trace_callback(None)
    asked = [text for text in sent if text.lstrip().startswith(("SELECT", "UPDATE"))]
    return [str(row[-1]) for text in asked for row in driver.execute(f"EXPLAIN QUERY PLAN {text}")]


def test_no_statement_of_a_claim_and_a_submit_scans_a_table(
    sqlite_sessions: sessionmaker[Session],
) -> None:
    with sqlite_sessions.begin() as session:
        desk = build_desk(session, splits={"train": 3})
        queue = desk.open(session, overlap=2, overlap_share=1.0)
    with sqlite_sessions.begin() as session:
        sent = trace(session)
        expert = desk.experts[0]
        while review.claim_review_item(session, queue.id, expert.id, now=NOW):
            review_next(session, queue, expert, Answer(GOOD))
        plans = plans_of(session, sent)
    assert len(plans) > 50
    assert [plan for plan in plans if plan.startswith("SCAN")] == []
    assert any("ix_review_slots_open" in plan for plan in plans)
    assert any("ix_review_slots_leased" in plan for plan in plans)
    # PostgreSQL's generic plans see a partial index only if the state is written out.
    claims = [statement for statement in sent if "AS free" in statement]
    assert claims
    assert all("free.state = '" in statement for statement in claims)


def test_nothing_else_that_a_desk_asks_scans_a_table(
    sqlite_sessions: sessionmaker[Session],
) -> None:
    with sqlite_sessions.begin() as session:
        desk = build_desk(session, splits={"train": 3})
        queue = desk.open(session)
        queue.rules = {"max_share": 0.9, "extra_below": 0.5, "skip_policy": "me"}
        session.execute(update(Membership).values(skills=["law"]))
    with sqlite_sessions.begin() as session:
        sent = trace(session)
        expert = desk.experts[0]
        done = review_next(session, queue, expert, Answer(GOOD))
        held = review.claim_review_item(session, queue.id, expert.id, now=NOW)
        assert held is not None
        token = (held.slot_id, held.version, expert.id)
        review.save_draft(session, *token, {"comment": "half"}, now=NOW)
        review.item_view(session, held.slot_id, expert.id)
        review.queue_progress(session, queue.id, user_id=expert.id)
        review.revise(session, done.review_id, expert.id, now=NOW)
        review.claim_adjudication(session, queue.id, expert.id, now=NOW)
        review.skip_review(
            session, slot_id=token[0], version=token[1], user_id=expert.id, reason="?", now=NOW
        )
        plans = plans_of(session, sent)
    assert len(plans) > 20
    assert [plan for plan in plans if plan.startswith("SCAN")] == []
