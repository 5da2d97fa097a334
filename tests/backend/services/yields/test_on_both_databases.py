"""What depends on the database: the guards of what is held back, and the queries of a yield."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.services.curation import held_back_rows
from backend.services.yields import reviewed_prompts, states_of_review, yield_curve, yield_report
from backend.tables.curation import HeldBackRow, TrainingSetRow
from tests.fixtures_yields import add_round, build_turn


def test_held_back_prompts_are_guarded_and_their_yield_is_found(session: Session) -> None:
    """Below every service: a row put in by hand, or changed, is refused."""
    turn = build_turn(session)
    add_round(turn)
    turn.replay(turn.right)
    assert yield_report(session, turn.frozen, turn.candidate).held_back.value == 1.0
    [point] = yield_curve(session, turn.desk.project.id)
    assert point.trained.value == 1.0
    held = next(p for p in reviewed_prompts(session, turn.frozen.id) if p.held_back)
    assert len(states_of_review(session, held.review_id)) == 1
    session.commit()

    session.add(
        TrainingSetRow(
            training_set_id=turn.frozen.id,
            position=99,
            kind="sft",
            prompt=[],
            completion="x",
            source="reference",
            example_id=held.example.id,
        )
    )
    with pytest.raises(IntegrityError, match="held back"):
        session.flush()
    session.rollback()

    kept = session.get_one(HeldBackRow, held_back_rows(session, turn.frozen.id)[0].id)
    kept.completion = "another"
    with pytest.raises(IntegrityError, match="never changed"):
        session.flush()
