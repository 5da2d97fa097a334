"""A claim reads its slot from a partial index and scans no table: its cost does not grow."""

from __future__ import annotations

import sqlite3

from sqlalchemy.orm import Session, sessionmaker

from backend.services import review
from backend.services.review import Answer
from tests.fixtures_review import GOOD, NOW, build_desk, review_next


def test_no_statement_of_a_claim_and_a_submit_scans_a_table(
    sqlite_sessions: sessionmaker[Session],
) -> None:
    with sqlite_sessions.begin() as session:
        desk = build_desk(session, splits={"train": 3})
        queue = desk.open(session, overlap=2, overlap_share=1.0)
    sent: list[str] = []
    with sqlite_sessions.begin() as session:
        driver = session.connection().connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_trace_callback(sent.append)  # all that SQLite is asked, by whichever way
        expert = desk.experts[0]
        while review.claim_review_item(session, queue.id, expert.id, now=NOW):
            review_next(session, queue, expert, Answer(GOOD))
        driver.set_trace_callback(None)
        plans = []
        for statement in sent:
            if statement.lstrip().startswith(("SELECT", "UPDATE")):
                explained = session.connection().exec_driver_sql(
                    f"EXPLAIN QUERY PLAN {statement.replace('%', '%%')}"
                )
                plans += [str(row[-1]) for row in explained]
    assert len(plans) > 50
    assert [plan for plan in plans if plan.startswith("SCAN")] == []
    assert any("ix_review_slots_open" in plan for plan in plans)
    assert any("ix_review_slots_leased" in plan for plan in plans)
    # PostgreSQL's generic plans see a partial index only if the state is written out.
    claims = [statement for statement in sent if "AS free" in statement]
    assert claims
    assert all("free.state = '" in statement for statement in claims)
