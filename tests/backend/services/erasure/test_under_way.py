"""An example is erased while somebody has it, while a run writes on it and while it is taught."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import Session, sessionmaker

from backend.engines.base import GenerationResult, SamplingParams
from backend.errors import Conflict
from backend.services import queue
from backend.services.curation import Recipe, freeze_training_set
from backend.services.curation.recipes import ReplayPart
from backend.services.review import Answer, claim_review_item, save_draft
from backend.services.review.desk.revise import revise
from backend.services.runs import generation, scoring
from backend.services.training import runs as training
from backend.tables.curation import TrainingSetRow
from backend.tables.queue import Job, JobState
from backend.tables.review import Review, ReviewSlot, SlotState
from backend.tables.runs import Generation, Score, ScoreRun
from tests.backend.services.erasure.conftest import SECRET, House, everything_in, told
from tests.backend.services.erasure.test_examples import erase
from tests.fixtures_review import BAD, NOW
from training.config import partial_dir


def test_who_holds_the_item_is_told_and_nothing_of_the_answer_is_kept(
    sqlite_sessions: sessionmaker[Session], house: House
) -> None:
    slot_id, version = house.slot
    with sqlite_sessions() as session:
        owner = session.get_one(ReviewSlot, slot_id).owner_id
    assert owner is not None
    erase(sqlite_sessions, house)
    from backend.services.review import submit_review

    late = Answer(BAD, correction=told("Late"), comment=told("Late comment"))
    with sqlite_sessions.begin() as session:
        with pytest.raises(Conflict, match=r"gone. Erased on 2026-05-04: consent withdrawn"):
            submit_review(
                session, slot_id=slot_id, version=version, user_id=owner, answer=late, now=NOW
            )
        with pytest.raises(Conflict, match="gone"):
            save_draft(session, slot_id, version, owner, {"correction": SECRET}, now=NOW)
    with sqlite_sessions.begin() as session:
        assert session.get_one(ReviewSlot, slot_id).state == SlotState.OUT
        assert SECRET not in everything_in(session)
        for expert in house.desk.experts:
            claim = claim_review_item(session, house.drafting.id, expert.id, now=NOW)
            assert claim is None or claim.slot_id != slot_id


def test_a_queue_is_finished_when_only_the_erased_item_was_left(
    sqlite_sessions: sessionmaker[Session], house: House
) -> None:
    erase(sqlite_sessions, house)
    with sqlite_sessions.begin() as session:
        for slot in session.scalars(
            select(ReviewSlot).where(ReviewSlot.queue_id == house.drafting.id)
        ):
            assert slot.state != SlotState.LEASED


def test_an_answer_of_before_is_not_revised(
    sqlite_sessions: sessionmaker[Session], house: House
) -> None:
    with sqlite_sessions() as session:
        review = session.scalars(select(Review).where(Review.comment.is_not(None))).one()
    erase(sqlite_sessions, house)
    with sqlite_sessions.begin() as session, pytest.raises(Conflict, match="gone"):
        revise(session, review.id, review.reviewer_id, now=NOW)


def test_what_an_engine_answers_late_is_not_kept_and_the_run_ends(
    sqlite_sessions: sessionmaker[Session], house: House
) -> None:
    run_id, model = house.desk.run.id, house.desk.models[1]
    with sqlite_sessions.begin() as session:
        house_run = session.merge(house.desk.run)
        house_run.split = "train"
        session.execute(delete(Score))
        session.execute(
            delete(Generation).where(
                Generation.example_id == house.example_id,
                Generation.model_version_id == model.id,
            )
        )
    with sqlite_sessions() as session:
        (request,) = generation.pending_requests(session, run_id)
    done = erase(sqlite_sessions, house)
    assert done.found["runs"] == [run_id]
    with sqlite_sessions.begin() as session:
        late = GenerationResult(key=request.key, text=told("Late output"))
        assert generation.save_generations(session, run_id, [late]) == 0
        assert generation.pending_requests(session, run_id) == []
        assert SECRET not in everything_in(session)
        assert generation.clear_failed(session, run_id) == 0


def test_a_later_run_is_over_what_is_left(
    sqlite_sessions: sessionmaker[Session], house: House
) -> None:
    erase(sqlite_sessions, house)
    with sqlite_sessions.begin() as session:
        run = generation.create_run(
            session,
            project_id=house.desk.project.id,
            dataset_version_id=house.desk.version.id,
            split="train",
            model_ids=[house.desk.models[0].id],
            engine="fake",
            params=SamplingParams(),
        )
        assert run.example_ids is not None
        assert house.example_id not in run.example_ids
        assert len(run.example_ids) == 5


def test_a_score_that_comes_late_keeps_its_number_and_no_word(
    sqlite_sessions: sessionmaker[Session], house: House
) -> None:
    erase(sqlite_sessions, house)
    with sqlite_sessions.begin() as session:
        output = session.scalars(
            select(Generation).where(Generation.example_id == house.example_id)
        ).first()
        assert output is not None
        run = ScoreRun(generation_run_id=output.run_id, metrics=[])
        session.add(run)
        session.flush()
        late = {
            "generation_id": output.id,
            "metric": "grounding",
            "value": 0.5,
            "explanation": told("Late"),
            "spans": [{"start": 0, "end": 3, "reason": told("Late")}],
            "stats": [1.0],
            "label": None,
            "error": None,
            "not_applicable": False,
            "signature": "s",
            "annotator_kind": "code",
        }
        assert scoring.save_scores(session, run.id, [late]) == 1
        assert SECRET not in everything_in(session)


def test_a_training_is_cancelled_and_the_set_teaches_nobody_any_more(
    sqlite_sessions: sessionmaker[Session], house: House
) -> None:
    with sqlite_sessions.begin() as session:
        run = training.create_training_run(
            session,
            project_id=house.desk.project.id,
            training_set_id=1,
            adapter_name="v3",
            config={},
            settings=house.settings,
        )
        job = queue.enqueue_job(session, queue.JobKind.TRAIN, run.id)
        queue.start_job(session, job.id, job.attempt, executor_id="w", now=NOW)
        half = partial_dir(Path(run.output_dir))
        half.mkdir(parents=True)
        (half / "checkpoint").write_text("weights")
    done = erase(sqlite_sessions, house)
    assert done.found["trainings"] == [run.id]
    assert not half.exists()
    with sqlite_sessions.begin() as session:
        assert session.get_one(Job, job.id).state == JobState.CANCELLED
        assert not queue.holds_job(session, job.id, job.attempt)
        with pytest.raises(Conflict, match="of the set 's' were erased"):
            training.create_training_run(
                session,
                project_id=house.desk.project.id,
                training_set_id=1,
                adapter_name="v4",
                config={},
                settings=house.settings,
            )


def test_the_next_set_is_frozen_without_it(
    sqlite_sessions: sessionmaker[Session], house: House
) -> None:
    erase(sqlite_sessions, house)
    with sqlite_sessions.begin() as session:
        recipe = Recipe(queues=("q",), references=ReplayPart(count=3))
        frozen = freeze_training_set(
            session, project_id=house.desk.project.id, name="s2", recipe=recipe
        )
        rows = session.scalars(
            select(TrainingSetRow.example_id).where(TrainingSetRow.training_set_id == frozen.id)
        ).all()
        assert house.example_id not in rows
        assert rows
        assert frozen.recipe["reasons"] == {"it was erased": 1}
        assert not session.scalars(
            select(TrainingSetRow.id).where(
                TrainingSetRow.completion.startswith("Erased on "),
                TrainingSetRow.training_set_id == frozen.id,
            )
        ).all()
