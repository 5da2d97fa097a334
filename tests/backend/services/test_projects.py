"""The bar is versioned by content, strict, and asked for before anything is proved."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from backend.errors import Conflict, Forbidden, InvalidInput, NotFound
from backend.services import projects

BAR = """
name: desk
lines:
  - {metric: f1, slice: {task: intent}, threshold: 0.7}
"""


def test_manifest_versions_follow_content_not_layout(session: Session) -> None:
    project = projects.create_project(session, "desk", base_model="tiny")
    first = projects.set_manifest(session, project.id, BAR)
    same = projects.set_manifest(session, project.id, "# a comment\n" + BAR)
    second = projects.set_manifest(session, project.id, BAR.replace("0.7", "0.8"))
    assert same.id == first.id
    assert (first.version, second.version) == (1, 2)
    assert first.digest != second.digest
    assert projects.current_manifest(session, project.id).id == second.id


def test_no_manifest_is_a_conflict_that_says_what_to_do(session: Session) -> None:
    project = projects.create_project(session, "desk", base_model="tiny")
    with pytest.raises(Conflict, match="strop manifest set"):
        projects.current_manifest(session, project.id)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("lines: [", "not YAML"),
        ("[]", "manifest"),
        ("name: x\nlines: []", "lines"),
        ("name: x\nlines: [{metric: f1}]", "either threshold or margin"),
        ("name: x\nlines: [{metric: f1, threshold: 1, margin: 1}]", "either threshold or margin"),
        ("name: x\nlines: [{metric: f1, treshold: 1}]", "treshold"),
        ("name: x\nalpha: 0.9\nlines: [{metric: f1, margin: 0}]", "alpha"),
    ],
)
def test_bad_manifest_is_refused_with_the_place(source: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        projects.parse_manifest(source)


def test_project_is_found_by_name_or_by_being_the_only_one(session: Session) -> None:
    with pytest.raises(NotFound, match="strop init"):
        projects.get_project(session)
    desk = projects.create_project(session, "desk", base_model="tiny")
    assert projects.get_project(session).id == desk.id
    with pytest.raises(NotFound, match="Known: desk"):
        projects.get_project(session, "disk")
    with pytest.raises(Conflict, match="exists already"):
        projects.create_project(session, "desk", base_model="tiny")
    projects.create_project(session, "clinic", base_model="tiny")
    with pytest.raises(InvalidInput, match="--project"):
        projects.get_project(session)


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("acuracy", "There is no metric named 'acuracy'. Known, nearest first: accuracy"),
        ("Accuracy", "no metric named 'Accuracy'"),
        ("winrate", "nearest first: win_rate"),
        ("rouge", "'rouge' stands for rouge1, rouge2"),
        ("", "no metric named ''"),
        ("regex", "no metric"),
        ("evaluate:wer", "may not use"),
    ],
)
def test_a_line_on_no_metric_is_refused_when_the_bar_is_set(
    session: Session, metric: str, said: str
) -> None:
    project = projects.create_project(session, "desk", base_model="tiny")
    with pytest.raises((InvalidInput, Forbidden), match=said):
        projects.set_manifest(
            session, project.id, f"name: x\nlines: [{{metric: '{metric}', margin: 0}}]"
        )
    assert projects.find_manifest(session, project.id) is None


@pytest.mark.parametrize("metric", ["accuracy", "win_rate", "rougeL", "regex:^a", "chrf++"])
def test_a_line_on_a_metric_is_taken(session: Session, metric: str) -> None:
    project = projects.create_project(session, "desk", base_model="tiny")
    source = f"name: x\nlines: [{{metric: '{metric}', threshold: 0.5}}]"
    assert projects.set_manifest(session, project.id, source).version == 1
