"""The scripted reviewer: it goes the way of people, says that it is simulated, and errs as told."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import InvalidInput
from backend.jobs.simulated_experts import answer_queue, judge
from backend.rubrics import find_rubric, library_names
from backend.services import review
from backend.services.curation import Recipe, freeze_training_set, training_rows
from backend.services.synthetic.draftings import drafts_of_drafting
from backend.tables.review import Correction, Review
from backend.tables.runs import Generation
from tests.fixtures_review import NOW, Desk, build_desk
from tests.fixtures_synthetic import (
    DOCUMENTS,
    ask_documents,
    draft_here,
    open_drafts,
    synthetic_project,
)


@pytest.fixture
def desk(sessions: sessionmaker[Session]) -> Desk:
    with sessions.begin() as session:
        desk = build_desk(session, splits={"train": 10})
        for expert in desk.experts:
            expert.simulated = True
        outputs = select(Generation).where(Generation.model_version_id == desk.models[1].id)
        for output in session.scalars(outputs):
            output.text = output.example.references[0]
        return desk


def open_queue(sessions: sessionmaker[Session], desk: Desk, **options: object) -> int:
    with sessions.begin() as session:
        return desk.open(session, **options).id


def run(
    sessions: sessionmaker[Session], desk: Desk, queue_id: int, **options: object
) -> dict[str, float]:
    work = answer_queue(sessions, queue_id, desk.experts[0].id, clock=lambda: NOW, **options)  # type: ignore[arg-type]
    return {name: getattr(work, name) for name in work.__slots__}


@pytest.mark.parametrize(
    ("output", "reference", "complaint"),
    [
        ("billing", "billing", None),
        ("Billing ", "billing", None),
        ("roaming", "billing", "label"),
        ("Pays EUR 29.90 a month now", "Pays EUR 29.90 a month today", None),
        ("Pays EUR 39.90 a month now", "Pays EUR 29.90 a month today", "invented"),
        ("Pays EUR 29.90 a month, 40 GB", "Pays EUR 29.90 a month today", None),
        ("Pays EUR 29.90 to Anna a month", "Pays EUR 29.90 a month today", "invented"),
        ("Something else entirely was said", "Pays EUR 29.90 a month today", "words"),
    ],
)
def test_judgement(output: str, reference: str, complaint: str | None) -> None:
    assert judge(output, reference, "the source speaks of 40 GB").complaint == complaint


@pytest.mark.parametrize(
    ("error_rate", "said"), [(0, ["yes", "yes", "no"]), (1, ["no", "no", "yes"])]
)
def test_drafts_are_held_to_their_source(
    sqlite_sessions: sessionmaker[Session], error_rate: float, said: list[str]
) -> None:
    """One is approved, of one a sentence is left out, of one nothing can be kept."""
    with sqlite_sessions.begin() as session:
        desk = synthetic_project(session)
        desk.experts[0].simulated = True
        ask = ask_documents(DOCUMENTS[:3], n=3, attempts=1, shots=0)
        drafting = draft_here(session, desk.project.id, ask)
        drafts = [d for d in drafts_of_drafting(session, drafting) if d.reason is None]
        answers = [session.get_one(Generation, d.answer_id or 0) for d in drafts]
        right = answers[1].text
        answers[1].text = f"{right} It costs 999 euros."
        answers[2].text = "It costs 999 euros."
        queue_id = open_drafts(session, desk, drafting).id
    run(sqlite_sessions, desk, queue_id, error_rate=error_rate)
    with sqlite_sessions() as session:
        found = {r.item.generation_a_id: r for r in session.scalars(select(Review))}
        reviews = [found[d.answer_id or 0] for d in drafts]
        assert [r.ratings[0].value for r in reviews] == said
        assert [[fix.text for fix in r.corrections] for r in reviews] == [
            [],
            [] if error_rate else [right],
            [],
        ]
        assert all(r.simulated and r.annotator_kind == "code" for r in reviews)


def test_bad_outputs_are_corrected_to_the_reference(
    sessions: sessionmaker[Session], desk: Desk
) -> None:
    queue_id = open_queue(sessions, desk)
    work = run(sessions, desk, queue_id, error_rate=0)
    assert (work["n_ratings"], work["n_corrections"], work["n_slips"]) == (10, 10, 0)
    with sessions() as session:
        for correction in session.scalars(select(Correction)):
            assert correction.text == correction.generation.example.references[0]


def test_every_row_says_that_it_is_simulated(sessions: sessionmaker[Session], desk: Desk) -> None:
    queue_id = open_queue(sessions, desk)
    run(sessions, desk, queue_id)
    with sessions.begin() as session:
        reviews = session.scalars(select(Review)).all()
        assert all(r.simulated and r.annotator_kind == "code" for r in reviews)
        frozen = freeze_training_set(
            session, project_id=desk.project.id, name="s", recipe=Recipe(queues=("q",))
        )
        assert frozen.simulated
        assert all(row.provenance["simulated"] for row in training_rows(session, frozen.id))


def test_votes_go_to_the_better_model(sessions: sessionmaker[Session], desk: Desk) -> None:
    queue_id = open_queue(sessions, desk, kind="pair")
    run(sessions, desk, queue_id, error_rate=0)
    with sessions() as session:
        [summary] = review.preference_summary(session, queue_id)
    assert (summary.wins_a, summary.wins_b, summary.n_simulated) == (0, 10, 10)


def test_it_errs_as_often_as_it_says(sessions: sessionmaker[Session], desk: Desk) -> None:
    queue_id = open_queue(sessions, desk, kind="pair")
    work = run(sessions, desk, queue_id, error_rate=1.0)
    assert work["n_slips"] == work["n_votes"] == 10
    with sessions() as session:
        [summary] = review.preference_summary(session, queue_id)
    assert (summary.wins_a, summary.wins_b) == (10, 0)


def test_the_same_seed_gives_the_same_answers(sessions: sessionmaker[Session], desk: Desk) -> None:
    first, second = (open_queue(sessions, desk, name=name) for name in ("one", "two"))
    assert run(sessions, desk, first, error_rate=0.5) == run(sessions, desk, second, error_rate=0.5)


def test_a_limit_is_kept(sessions: sessionmaker[Session], desk: Desk) -> None:
    queue_id = open_queue(sessions, desk)
    seen: list[int] = []
    run(sessions, desk, queue_id, limit=3, on_answer=seen.append)
    assert seen == [1, 2, 3]


def test_it_does_not_answer_in_a_persons_name(sessions: sessionmaker[Session], desk: Desk) -> None:
    queue_id = open_queue(sessions, desk)
    with sessions.begin() as session:
        session.merge(desk.experts[0]).simulated = False
    with pytest.raises(InvalidInput, match="person"):
        run(sessions, desk, queue_id)


@pytest.mark.parametrize("name", library_names())
def test_it_can_answer_every_rubric_of_the_library(
    sessions: sessionmaker[Session], desk: Desk, name: str
) -> None:
    with sessions.begin() as session:
        version = review.save_rubric(session, desk.project.id, find_rubric(name))
    kind = "single" if find_rubric(name).name != "blind_pair" else "pair"
    queue_id = open_queue(sessions, desk, kind=kind, rubric_version_id=version.id)
    assert run(sessions, desk, queue_id, error_rate=0.5)["n_slips"] > 0
