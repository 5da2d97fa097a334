"""The queue of drafts, and the same set with and without them."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import Conflict, InvalidInput
from backend.services.curation import Recipe, ReplayPart, freeze_training_set, training_rows
from backend.services.curation.recipes import Mix
from backend.services.review.opening.checks import opening_defaults
from backend.services.synthetic.desk import drafts_progress
from backend.services.synthetic.draftings import drafts_of_drafting, get_drafting
from backend.services.synthetic.records import drafting_record
from backend.services.synthetic.twins import freeze_twins, require_same_others
from backend.tables.curation import TrainingSet
from backend.tables.review import QueueKind, ReviewItem
from backend.tables.runs import Score, ScoreRun
from tests.fixtures_review import signature_id
from tests.fixtures_synthetic import (
    DOCUMENTS,
    ask_documents,
    decide,
    draft_here,
    open_drafts,
    synthetic_project,
)

RECIPE = Recipe(queues=("drafts",), references=ReplayPart(), dataset="tickets")


def test_a_queue_shows_each_kept_draft_once(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        desk = synthetic_project(session)
        before = opening_defaults(session, desk.project.id, QueueKind.SINGLE).rubric
        id_ = draft_here(session, desk.project.id, ask_documents(DOCUMENTS[:5], n=5))
        open_drafts(session, desk, id_, name="some", n_items=2)
        rest = open_drafts(session, desk, id_, name="rest")
        items = session.scalars(select(ReviewItem)).all()
        assert len(items) == len({item.generation_a_id for item in items}) == 5
        assert len([item for item in items if item.queue_id == rest.id]) == 3
        with pytest.raises(Conflict, match="in a queue already"):
            open_drafts(session, desk, id_, name="more")
        assert opening_defaults(session, desk.project.id, QueueKind.SINGLE).rubric == before


def test_what_cannot_be_opened(sqlite_sessions: sessionmaker[Session]) -> None:
    with sqlite_sessions.begin() as session:
        desk = synthetic_project(session)
        nothing = draft_here(
            session, desk.project.id, ask_documents(n=2, name="none"), lambda request: "no"
        )
        with pytest.raises(Conflict, match="kept no draft"):
            open_drafts(session, desk, nothing)
        id_ = draft_here(session, desk.project.id, ask_documents(DOCUMENTS[:3], n=3))
        for approves in ("usable=perhaps", "usable>=1", "usable", "usable=no"):
            with pytest.raises(InvalidInput):
                open_drafts(session, desk, id_, name="q", approves=approves)
        with pytest.raises(InvalidInput, match="No risk was computed"):
            open_drafts(session, desk, id_, name="q", risk_max=0.5)


def test_drafts_above_the_risk_are_shown_to_nobody(sqlite_sessions: sessionmaker[Session]) -> None:
    with sqlite_sessions.begin() as session:
        desk = synthetic_project(session)
        id_ = draft_here(session, desk.project.id, ask_documents(DOCUMENTS[:4], n=4))
        drafting = get_drafting(session, id_)
        scored = ScoreRun(generation_run_id=drafting.run_id or 0, metrics=[])
        session.add(scored)
        session.flush()
        drafts = drafts_of_drafting(session, id_)
        for draft, risk in zip(drafts, (0.1, 0.9, 0.2, 0.8), strict=True):
            session.add(
                Score(
                    score_run_id=scored.id,
                    generation_id=draft.answer_id or 0,
                    metric="risk:1",
                    value=risk,
                    signature_id=signature_id(session, "x"),
                )
            )
        session.flush()
        queue = open_drafts(session, desk, id_, risk_max=0.5)
        shown = session.scalars(select(ReviewItem).where(ReviewItem.queue_id == queue.id)).all()
        assert {item.generation_a_id for item in shown} == {
            drafts[0].answer_id,
            drafts[2].answer_id,
        }
        states = [(one.draft.reason, one.risk) for one in drafts_progress(session, drafting)]
        assert states == [(None, 0.1), ("risky", 0.9), (None, 0.2), ("risky", 0.8)]


def test_twins_differ_by_their_synthetic_rows_alone(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        desk = synthetic_project(session)
        id_ = draft_here(session, desk.project.id, ask_documents(DOCUMENTS[:4], n=4))
        queue = open_drafts(session, desk, id_)
        for _ in range(3):
            decide(session, queue, desk.experts[0])
        twins = freeze_twins(session, project_id=desk.project.id, name="t", recipe=RECIPE)
        assert (twins.with_.n_rows, twins.without.n_rows) == (11, 8)
        assert twins.without.name == "t-without-synthetic"
        told = [
            [
                row.completion
                for row in training_rows(session, one.id)
                if "origin" not in row.provenance
            ]
            for one in (twins.with_, twins.without)
        ]
        assert sorted(told[0]) == sorted(told[1])
        record = drafting_record(session, get_drafting(session, id_))
        assert record["states"] == {
            "dropped": 0,
            "waiting": 1,
            "approved": 3,
            "corrected": 0,
            "refused": 0,
        }


def test_twins_of_which_one_would_be_the_other_are_refused_and_neither_is_kept(
    sqlite_sessions: sessionmaker[Session],
) -> None:
    with sqlite_sessions.begin() as session:
        desk = synthetic_project(session)
        project = desk.project.id
        id_ = draft_here(session, project, ask_documents(DOCUMENTS[:4], n=4))
        queue = open_drafts(session, desk, id_)
    with pytest.raises(InvalidInput, match="no synthetic row"), sqlite_sessions.begin() as session:
        freeze_twins(session, project_id=project, name="t", recipe=RECIPE)
    with sqlite_sessions.begin() as session:
        decide(session, queue, desk.experts[0])
    mixed = RECIPE.model_copy(
        update={"mix": Mix(by="dataset", shares={"tickets": 0.5, "synthetic-1": 0.5})}
    )
    mixing = pytest.raises(InvalidInput, match="to mix in")
    with mixing, sqlite_sessions.begin() as session:
        freeze_twins(session, project_id=project, name="t", recipe=mixed)
    with sqlite_sessions() as session:
        assert session.scalars(select(TrainingSet)).all() == []
    with sqlite_sessions.begin() as session:
        ours = freeze_training_set(session, project_id=project, name="a", recipe=RECIPE)
        fewer = RECIPE.model_copy(
            update={"references": ReplayPart(count=5), "without_synthetic": True}
        )
        others = freeze_training_set(session, project_id=project, name="b", recipe=fewer)
        with pytest.raises(InvalidInput, match="3 other rows would differ"):
            require_same_others(session, ours, others)
