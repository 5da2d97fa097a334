"""What a claim costs SQLite, counted in steps of its machine: no clock, and the same every time."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.dialects import sqlite

from backend.db import utc_now
from backend.services import review
from backend.services.review import statements
from tests.benchmarks._review_raw import services_turn
from tests.benchmarks._review_seed import Seeded, seed_queue


def _steps_of_a_claim(seeded: Seeded, user_id: int) -> int:
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with seeded.sessions() as session:
        driver = session.connection().connection.dbapi_connection
        assert driver is not None
        driver.set_progress_handler(count, 1)
        held = review.claim_next(session, seeded.queue_id, user_id, now=utc_now())
        driver.set_progress_handler(None, 0)
        assert isinstance(held, review.Claim)
        session.rollback()
    return steps


def test_a_claim_costs_the_same_however_much_a_person_has_done(tmp_path: Path) -> None:
    """An item has few reviews; whoever goes through all of a person's has more to do each day."""
    seeded = seed_queue(tmp_path, None, items=60, people=1, tokens=False)
    turn, (user_id,) = services_turn(seeded), seeded.user_ids
    for _ in range(5):
        turn(user_id)
    few = _steps_of_a_claim(seeded, user_id)
    for _ in range(50):
        turn(user_id)
    many = _steps_of_a_claim(seeded, user_id)
    seeded.sessions.kw["bind"].dispose()
    assert few > 100
    assert many < 1.1 * few


def test_states_of_slots_are_written_out_where_a_partial_index_has_them() -> None:
    """SQLite plans a statement anew at every call that compares such a column with a value."""
    prepared = [*statements.TAKE.values(), statements.RESUME, statements.RESUME_VERDICT,
                statements.TAKE_ONE, statements.TAKE_VERDICT]  # fmt: skip
    for one in prepared:
        sought = str(one._statement.compile(dialect=sqlite.dialect())).partition(" WHERE ")[2]
        for slots in ("held", "free", "one", "other"):
            assert f"{slots}.state = ?" not in sought
            assert f"{slots}.purpose = ?" not in sought
