"""Versions of rubrics: an edit is a new one, and says what stays as it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import NotFound, UnknownName
from backend.rubrics import Rubric, find_rubric
from backend.services import review
from backend.services.review.rubrics import (
    describe_changes,
    edit_rubric,
    find_version,
    list_rubrics,
    list_versions,
)
from tests.fixtures_quality import answer_next
from tests.fixtures_review import GOOD, Desk, build_desk

RUBRIC = find_rubric("telecom_desk")


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Iterator[Session]:
    with sqlite_sessions() as session:
        yield session


@pytest.fixture
def desk(session: Session) -> Desk:
    return build_desk(session)


def changed(**changes: Any) -> Rubric:
    return Rubric.model_validate({**RUBRIC.model_dump(), **changes})


def reworded() -> Rubric:
    first, *rest = RUBRIC.model_dump()["criteria"]
    return changed(criteria=[{**first, "question": "Is it true?"}, *rest])


def replaced() -> Rubric:
    _, *rest = RUBRIC.model_dump()["criteria"]
    return changed(criteria=[*rest, {"name": "fit", "scale": "verdict", "question": "Fit?"}])


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (RUBRIC, ()),
        (reworded(), ("asks otherwise faithful",)),
        (replaced(), ("asks anew fit", "no longer asks faithful")),
        (changed(guidelines="Read twice."), ("changes its guidelines",)),
        (
            changed(criteria=RUBRIC.model_dump()["criteria"][::-1]),
            ("asks in another order",),
        ),
    ],
)
def test_changes_in_words(after: Rubric, told: tuple[str, ...]) -> None:
    assert describe_changes(RUBRIC, after) == told


def test_an_edit_says_which_queues_stay_and_with_how_much(session: Session, desk: Desk) -> None:
    queue, closed = desk.open(session, "open"), desk.open(session, "closed")
    desk.open(session, "pairs", kind="pair")
    review.close_queue(session, closed.id, now=closed.created_at)
    answer_next(session, queue, desk.experts[0], GOOD)
    saved = edit_rubric(session, desk.project.id, reworded())
    assert (saved.is_new, saved.stored.version) == (True, 2)
    assert [(q.name, q.version, q.n_open) for q in saved.staying] == [("open", 1, 5)]
    assert saved.sentence() == (
        "telecom_desk is version 2 now. It asks otherwise faithful. "
        "open stays on version 1, with 5 reviews to come."
    )
    assert review.rubric_of(queue) == RUBRIC
    assert answer_next(session, queue, desk.experts[0], GOOD).state == "submitted"


def test_the_same_content_is_no_new_version(session: Session, desk: Desk) -> None:
    desk.open(session)
    saved = edit_rubric(session, desk.project.id, RUBRIC)
    assert (saved.is_new, saved.stored.version, saved.staying) == (False, 1, ())
    assert "nothing has changed" in saved.sentence()


def test_lists_show_the_newest_of_each_and_all_of_one(session: Session, desk: Desk) -> None:
    edit_rubric(session, desk.project.id, reworded())
    listed = [(one.name, one.version) for one in list_rubrics(session, desk.project.id)]
    assert listed == [("blind_pair", 1), ("telecom_desk", 2)]
    versions = list_versions(session, desk.project.id, "telecom_desk")
    assert [one.version for one in versions] == [1, 2]
    assert find_version(session, desk.project.id, "telecom_desk").version == 2
    assert find_version(session, desk.project.id, "telecom_desk", 1).version == 1


def test_what_is_not_there_is_not_found(session: Session, desk: Desk) -> None:
    with pytest.raises(UnknownName, match="telecom_desk"):
        find_version(session, desk.project.id, "telecom")
    with pytest.raises(NotFound, match="1 to 1"):
        find_version(session, desk.project.id, "telecom_desk", 2)


def test_another_project_has_rubrics_of_its_own(session: Session, desk: Desk) -> None:
    other = build_desk(session, name="other")
    saved = edit_rubric(session, other.project.id, reworded())
    assert (saved.stored.version, saved.staying) == (2, ())
    assert find_version(session, desk.project.id, "telecom_desk").version == 1
