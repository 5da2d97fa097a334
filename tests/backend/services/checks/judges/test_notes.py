"""Grading notes: kept in versions, shown to judges, and never trained on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from backend.engines.base import GenerationRequest
from backend.errors import InvalidInput, NotFound
from backend.services.checks.judges.judges import add_judge
from backend.services.checks.judges.notes import (
    NoteCounts,
    add_notes,
    find_dataset,
    note_reader,
    read_notes,
)
from backend.services.curation import Recipe, freeze_training_set, training_rows
from backend.services.datasets.prompts.shots import render_all
from backend.services.runs.scoring import sample_of
from backend.settings import Settings
from backend.tables.checks.judges import GradingNote
from backend.tables.curation import TrainingSetRow
from backend.tables.runs import Generation, Score
from tests.backend.services.checks.judges.test_licences import reviewed, right
from tests.fixtures_judges import judged_desk, says, score_by_judge
from tests.fixtures_review import build_desk

SECRET = "names the fee of 17.40 and the day that it falls due"


def test_a_changed_note_is_its_next_version(session: Session) -> None:
    desk = judged_desk(session, 3)
    dataset = find_dataset(session, desk.project.id, None)
    assert add_notes(session, dataset, {"test-0": "a", "test-1": "b"}) == NoteCounts(2, 0, 0)
    assert add_notes(session, dataset, {"test-0": " a ", "test-1": "c"}) == NoteCounts(0, 1, 1)
    rows = session.execute(
        select(GradingNote.external_id, GradingNote.version, GradingNote.note).order_by(
            GradingNote.id
        )
    ).all()
    assert [tuple(row) for row in rows] == [
        ("test-0", 1, "a"),
        ("test-1", 1, "b"),
        ("test-1", 2, "c"),
    ]
    note_of = note_reader(session, desk.project.id)
    said = {
        row.example.external_id: note_of(sample_of(row, row.example))
        for row in session.scalars(select(Generation))
    }
    assert said == {"test-0": "a", "test-1": "c", "test-2": None}


def test_a_note_of_another_project_is_not_shown(session: Session) -> None:
    ours = judged_desk(session, 3)
    theirs = build_desk(session, splits={"test": 3}, name="theirs")
    add_notes(session, find_dataset(session, theirs.project.id, None), {"test-0": "a"})
    note_of = note_reader(session, ours.project.id)
    row = session.scalars(select(Generation).where(Generation.run_id == ours.run.id)).first()
    assert row is not None
    assert note_of(sample_of(row, row.example)) is None


WRONG: list[tuple[dict[str, str], str]] = [
    ({"test-9": "a", "test-0": "b"}, "1 of 2 ids are of no example of tickets: test-9"),
    ({"test-0": " "}, "it is empty"),
    ({"test-0": "x" * 4_001}, "4,001 characters"),
    ({"test-0": "\x00"}, "NUL"),
]


@pytest.mark.parametrize(("notes", "message"), WRONG)
def test_all_notes_are_kept_or_none(session: Session, notes: dict[str, str], message: str) -> None:
    desk = judged_desk(session, 3)
    with pytest.raises(InvalidInput, match=message):
        add_notes(session, find_dataset(session, desk.project.id, None), notes)
    assert session.scalar(select(func.count(GradingNote.id))) == 0


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "has no note"),
        ([{"id": "a"}], "Row 1 has no id and note"),
        ([{"id": "a", "note": 3}], "Row 1 has no id and note"),
        ([{"id": "a", "note": "x"}, {"id": "a", "note": "y"}], "'a' has another note above"),
    ],
)
def test_a_row_is_an_id_and_a_note(rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_notes(rows)
    assert read_notes([{"id": 7, "note": "x"}, {"id": "7", "note": "x"}]) == {"7": "x"}


def test_the_dataset_is_named_where_there_are_several(session: Session) -> None:
    from backend.services.datasets.versions import import_dataset
    from tests.fixtures_review import make_rows

    desk = judged_desk(session, 3)
    import_dataset(session, desk.project.id, "more", make_rows({"test": 2}), source_name="x")
    with pytest.raises(InvalidInput, match="several datasets"):
        find_dataset(session, desk.project.id, None)
    assert find_dataset(session, desk.project.id, "more").name == "more"
    with pytest.raises(NotFound):
        find_dataset(session, desk.project.id, "none")


def test_a_judge_is_shown_the_note_and_says_where_there_is_none(
    sessions: sessionmaker[Session], settings: Settings
) -> None:
    with sessions.begin() as session:
        desk = judged_desk(session, 2)
        add_notes(session, find_dataset(session, desk.project.id, None), {"test-0": SECRET})
        add_judge(session, desk.project.id, "noted", model="base", criterion="quality")
    asked: list[str] = []

    def say(request: GenerationRequest) -> str:
        asked.append(request.messages[0]["content"])
        return says(4)

    score_by_judge(sessions, settings, desk, "judge:noted@1", say)
    assert [SECRET in text for text in asked] == [True, False, True, False]
    with sessions() as session:
        said = list(session.scalars(select(Score.explanation).order_by(Score.id)))
    assert said == ["so it is", "so it is (There is no grading note for this example.)"] * 2


def test_a_changed_note_changes_the_recipe_of_a_score(
    sessions: sessionmaker[Session], settings: Settings
) -> None:
    with sessions.begin() as session:
        desk = judged_desk(session, 2)
        dataset = find_dataset(session, desk.project.id, None)
        add_judge(session, desk.project.id, "noted", model="base", criterion="quality")
    for note in ("first", "second"):
        with sessions.begin() as session:
            add_notes(session, session.merge(dataset), {"test-0": note})
        score_by_judge(sessions, settings, desk, "judge:noted@1", lambda request: says(4))
    with sessions() as session:
        signatures = {said for _, said in session.execute(select(Score.id, Score.signature))}
    assert len(signatures) == 2


RULE = {"criterion": "faithful", "equals": "yes"}


@pytest.mark.parametrize("part", ["approved", "kto", "references"])
def test_notes_enter_no_training_set_and_no_prompt(session: Session, part: str) -> None:
    """Of held-out examples and of those that are trained on alike."""
    desk = build_desk(session, splits={"train": 6, "test": 6})
    dataset = find_dataset(session, desk.project.id, None)
    names = [example.external_id for example in desk.examples]
    add_notes(session, dataset, {name: f"{SECRET} ({name})" for name in names})
    reviewed(session, desk, "q", right)
    given = {"count": 3} if part == "references" else RULE
    recipe = Recipe.model_validate({"queues": ["q"], "dataset": "tickets", part: given})
    frozen = freeze_training_set(session, project_id=desk.project.id, name="s", recipe=recipe)
    rows = [str(row) for row in training_rows(session, frozen.id)]
    assert rows
    kept = [str(vars(row)) for row in session.scalars(select(TrainingSetRow))]
    prompts = render_all(session, desk.project.id, desk.examples, None, encoders=None)
    for text in [*rows, *kept, json.dumps(prompts)]:
        assert SECRET not in text
