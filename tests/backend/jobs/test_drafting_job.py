"""The drafting job: batch by batch, again after any end, and an end when nothing new comes."""

from __future__ import annotations

import json
from itertools import islice

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from backend.db import utc_now
from backend.engines.fake import FakeEngine
from backend.errors import EngineUnavailable
from backend.services import queue
from backend.services.cancelling import Cancellation, cancel_subjects
from backend.services.queue import JobKind
from backend.services.synthetic.batches import drafting_progress
from backend.services.synthetic.desk import DraftState, drafts_progress, rows_drawn_from
from backend.services.synthetic.draftings import drafts_of_drafting, get_drafting
from backend.settings import Settings
from backend.tables.datasets import Dataset, Example, Origin
from backend.tables.queue import JobState
from backend.tables.runs import Generation
from backend.tables.synthetic import Draft, DraftingBatch
from tests.fixtures_synthetic import (
    DOCUMENTS,
    Scripted,
    ask_documents,
    asked,
    by_document,
    draft_all,
    good_pair,
    parts_of,
    synthetic_project,
)


@pytest.fixture
def project(sessions: sessionmaker[Session]) -> int:
    with sessions.begin() as session:
        return synthetic_project(session).project.id


def count(session: Session, *columns: object) -> list[int]:
    return [session.scalar(select(func.count()).select_from(c)) or 0 for c in columns]  # type: ignore[arg-type]


def test_a_drafting_to_its_end(
    sessions: sessionmaker[Session], settings: Settings, project: int
) -> None:
    id_ = draft_all(sessions, settings, project, ask_documents(n=12), by_document())
    with sessions() as session:
        drafting = get_drafting(session, id_)
        assert drafting.stopped == "enough drafts were kept"
        assert drafting.figures is not None
        kept = drafting.figures["kept"]["count"]
        assert kept >= 12
        made = session.scalars(select(Example).where(Example.origin == Origin.SYNTHETIC)).all()
        assert len(made) == kept
        assert {e.split for e in made} == {"train"}
        assert {str(e.group).split(":")[0] for e in made} == {"document"}
        digests = {(e.provenance or {})["document_sha256"] for e in made}
        assert digests <= {one.sha256 for one in DOCUMENTS}
        job = queue.find_job(session, "draft", id_)
        assert job is not None
        assert job.state == JobState.DONE
        scored = [queue.find_job(session, "score", n) for n in job.arguments["then_score"]]
        assert [one.state for one in scored if one] == [JobState.QUEUED]
        found = drafts_progress(session, drafting)
        assert {one.state for one in found} <= {DraftState.WAITING, DraftState.DROPPED}
        one = made[0]
        shown = (one.provenance or {})["shown_example_ids"]
        assert one.id in {row.id for row in rows_drawn_from(session, project, shown)}


@pytest.mark.parametrize("after", [2, 3, 5])
def test_cut_off_at_any_part_it_goes_on_and_nothing_is_there_twice(
    sqlite_sessions: sessionmaker[Session], settings: Settings, after: int
) -> None:
    with sqlite_sessions.begin() as session:
        project = synthetic_project(session).project.id
    id_ = asked(sqlite_sessions, project, ask_documents(n=12))
    first = FakeEngine(answer=by_document())
    list(islice(parts_of(sqlite_sessions, settings, id_, first), after))
    second = FakeEngine(answer=by_document())
    list(parts_of(sqlite_sessions, settings, id_, second))
    again = FakeEngine(answer=by_document())
    list(parts_of(sqlite_sessions, settings, id_, again))
    assert again.asked == []
    with sqlite_sessions() as session:
        assert set(first.asked).isdisjoint(second.asked)
        units = count(session, Draft)[0]
        assert units == len(first.asked) + len(second.asked)
        assert len(drafts_of_drafting(session, id_)) == units
        kept, _, wanted = drafting_progress(session, id_)
        assert kept >= wanted
        names = session.scalars(select(Dataset.name)).all()
        assert sorted(names) == ["synthetic-1", "synthetic-1 briefs", "tickets"]
        answers = session.scalars(
            select(Generation.example_id)
            .join(Example, Example.id == Generation.example_id)
            .where(Example.origin == Origin.SYNTHETIC)
        ).all()
        assert len(answers) == len(set(answers)) == kept


def test_a_server_that_dies_leaves_what_it_wrote(
    sessions: sessionmaker[Session], settings: Settings, project: int
) -> None:
    id_ = asked(sessions, project, ask_documents(n=10))
    with pytest.raises(EngineUnavailable):
        list(parts_of(sessions, settings, id_, FakeEngine(answer=by_document(), dies_after=4)))
    engine = FakeEngine(answer=by_document())
    list(parts_of(sessions, settings, id_, engine))
    with sessions() as session:
        first_run = session.scalars(select(DraftingBatch.generation_run_id)).first()
        runs = select(func.count(Generation.id)).where(Generation.run_id == first_run)
        assert session.scalar(runs) == 10
    assert len(engine.asked) >= 6


def test_a_model_that_repeats_itself_is_stopped_and_that_is_said(
    sqlite_sessions: sessionmaker[Session], settings: Settings
) -> None:
    with sqlite_sessions.begin() as session:
        project = synthetic_project(session).project.id
    same = Scripted([json.dumps(good_pair(0))])
    ask = ask_documents(DOCUMENTS[:1], n=40)
    id_ = draft_all(sqlite_sessions, settings, project, ask, same)
    with sqlite_sessions() as session:
        drafting = get_drafting(session, id_)
        assert drafting.stopped is not None
        assert "mostly repeats: 39 of the last 40" in drafting.stopped
        assert drafting.figures is not None
        assert drafting.figures["dropped"] == {"like_draft": 39}
        assert drafting.figures["repeats"]["value"] == pytest.approx(39 / 40)
        assert len(same.said) == 40


def test_a_model_that_writes_nothing_of_use_ends_when_every_brief_was_answered(
    sqlite_sessions: sessionmaker[Session], settings: Settings
) -> None:
    with sqlite_sessions.begin() as session:
        project = synthetic_project(session).project.id
    noise = Scripted(["I like trains.", "", '{"input": "x"}'])
    id_ = draft_all(sqlite_sessions, settings, project, ask_documents(n=4, attempts=3), noise)
    with sqlite_sessions() as session:
        drafting = get_drafting(session, id_)
        assert (drafting.stopped, drafting.run_id) == ("every brief was answered", None)
        assert drafting.figures is not None
        assert sum(drafting.figures["dropped"].values()) == len(noise.said) == 12


def test_a_document_that_is_answered_is_not_asked_again(
    sqlite_sessions: sessionmaker[Session], settings: Settings
) -> None:
    with sqlite_sessions.begin() as session:
        project = synthetic_project(session).project.id
    texts = ["The Zircon plan costs 99 euros.", "The plan costs euros each month."]
    ask = ask_documents(DOCUMENTS[:4], n=4, given_input="Say what it costs.", attempts=4)
    said = Scripted(texts)
    id_ = draft_all(sqlite_sessions, settings, project, ask, said)
    with sqlite_sessions() as session:
        kept = [d for d in drafts_of_drafting(session, id_) if d.reason is None]
        contexts = [session.get_one(Example, draft.brief_id).context for draft in kept]
        assert len(contexts) == len(set(contexts))


def test_a_cancelled_drafting_stores_nothing_and_can_go_on(
    sqlite_sessions: sessionmaker[Session], settings: Settings
) -> None:
    with sqlite_sessions.begin() as session:
        project = synthetic_project(session).project.id
    id_ = asked(sqlite_sessions, project, ask_documents(n=10))
    parts = parts_of(sqlite_sessions, settings, id_, FakeEngine(answer=by_document()))
    next(parts)
    with sqlite_sessions.begin() as session:
        cancel_subjects(session, [(JobKind.DRAFT, id_)], Cancellation(None, utc_now()))
    list(parts)
    with sqlite_sessions.begin() as session:
        assert get_drafting(session, id_).finished_at is None
        job = queue.find_job(session, "draft", id_)
        assert job is not None
        queue.resume_job(session, job.id)
    list(parts_of(sqlite_sessions, settings, id_, FakeEngine(answer=by_document())))
    with sqlite_sessions() as session:
        assert get_drafting(session, id_).finished_at is not None
