"""Every story is whole: its files are read, its rows are true to their sources, it begins."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from backend.cli import main
from backend.db import connect
from backend.errors import UnknownName
from backend.rubrics import parse_rubric
from backend.services.datasets.health.kinds import KINDS
from backend.services.datasets.masking.policy import parse_policy
from backend.services.datasets.prompts.prompts import parse_prompt
from backend.services.datasets.versions import ExampleRow
from backend.services.projects import create_project, parse_manifest
from backend.services.stories.begin import begin_story
from backend.services.stories.stories import PARTS, STORIES, Story, find_story
from backend.settings import Settings
from backend.tables.datasets import Example
from backend.tables.projects import Project, SuccessManifest
from dashboard.views.guides import sections
from evaluators.registry import METRICS
from evaluators.types import Sample

NUMBER = re.compile(r"\d[\d.,]*")
every_story = pytest.mark.parametrize("story", STORIES.values(), ids=str)


@every_story
def test_its_files_are_what_they_say(story: Story) -> None:
    bar = parse_manifest(story.source("bar"))
    parse_rubric(story.source("rubric"))
    parse_prompt(story.source("prompt"))
    assert parse_policy(story.source("masking")).active
    said = story.settings
    assert set(said) == {"title", "about", "languages", "simulated", "checks", "health", "fairness"}
    assert set(said["checks"]) <= METRICS.keys()
    assert set(said["health"]["kinds"]) <= KINDS.keys()
    assert set(said["fairness"]["counterfactual"]) <= {"name", "gender", "age", "place"}
    assert "script" in said["simulated"]
    keys = {key for row in story.write_rows() for key in row.slices}
    assert {*said["health"]["slices"], *said["fairness"]["slices"]} <= keys
    assert {key for line in bar.lines for key in line.slice} <= keys
    parity = [line.metric.split(":")[2] for line in bar.lines if line.metric.startswith("parity:")]
    assert parity
    assert set(parity) <= keys


@every_story
def test_the_same_seed_gives_the_same_rows_and_another_one_others(story: Story) -> None:
    rows = story.write_rows()
    assert rows == story.write_rows()
    assert rows != story.write_rows(seed=8)
    assert 60 <= len(rows) <= 120
    assert len({row.external_id for row in rows}) == len(rows)
    assert len({(row.input, row.context) for row in rows}) == len(rows)
    assert len({row.group for row in rows}) >= 20
    assert {row.slices["hard"] for row in rows} == {"yes", "no"}
    assert [len(story.write_rows(n=n)) for n in (1, 2, 200)] == [1, 2, 200]


@every_story
def test_every_number_of_a_reference_stands_in_its_source(story: Story) -> None:
    wrong = [row.external_id for row in story.write_rows() if _numbers(row) is not None]
    assert wrong == []


def _numbers(row: ExampleRow) -> set[str] | None:
    known = {found.rstrip(".,") for found in NUMBER.findall(f"{row.input} {row.context}")}
    said = {found.rstrip(".,") for found in NUMBER.findall(row.references[0])}
    return (said - known) or None


@every_story
def test_no_reference_invents_what_its_source_lacks(story: Story) -> None:
    """By our own check: what it still flags in true references is counted, and little."""
    rows = story.write_rows()
    samples = [
        Sample(
            row.external_id,
            row.references[0],
            row.references,
            context=f"{row.input}\n{row.context}",
        )
        for row in rows
    ]
    values = [score.value or 0.0 for score in METRICS["invented"].score(samples)]
    assert sum(values) / len(values) <= 0.1


def test_german_stands_in_two_stories_and_nowhere_half() -> None:
    german = {
        n: [r for r in s.write_rows() if r.slices.get("language") == "de"]
        for n, s in STORIES.items()
    }
    assert {name for name, rows in german.items() if rows} == {"support", "bank"}
    for row in [*german["support"], *german["bank"]]:
        assert row.references[0].startswith("Sehr geehrte")
        assert not re.search(r"\b(the|your|order|account|booked)\b", row.references[0])


def test_no_account_number_is_whole() -> None:
    for row in STORIES["bank"].write_rows():
        assert not re.search(r"DE\d\d", f"{row.input} {row.context} {row.references}")


@every_story
def test_it_begins_on_both_databases_and_twice_changes_nothing(
    story: Story, session: Session
) -> None:
    project = create_project(session, story.name, base_model="tiny")
    begun = begin_story(session, project.id, story)
    assert set(begun.splits) == {"train", "validation", "test"} or begun.splits["test"][0] >= 15
    assert begun.splits["train"][0] >= 40
    assert begin_story(session, project.id, story) == begun
    held = select(func.count(Example.id)).where(Example.split == "test")
    assert session.scalar(held) == begun.splits["test"][0]


def test_an_unknown_story_lists_the_five_and_makes_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UnknownName, match="bank"):
        find_story("bnak")
    home = settings.home / "fresh"
    with pytest.raises(SystemExit) as ended:
        main(["init", "p", "--story", "../bank", "--home", str(home)])
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert [name for name in STORIES if name not in said] == []
    assert not home.exists()


def test_init_lays_a_story_down_with_its_files(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = settings.home / "fresh"
    monkeypatch.delenv("STROP_DATABASE_URL", raising=False)
    with pytest.raises(SystemExit) as ended:
        main(["init", "desk", "--story", "bank", "--home", str(home)])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "simulated" in said or "made by a script" in said
    assert {f.stem for f in (home / "stories" / "desk").iterdir()} == set(PARTS)
    sessions: sessionmaker[Session] = connect(Settings(home=home))
    with sessions() as session:
        assert session.scalars(select(Project.name)).all() == ["desk"]
        assert session.scalar(select(func.count(SuccessManifest.id))) == 1


def test_the_guide_has_a_section_for_each_story() -> None:
    headings = {section.heading.casefold() for section in sections("stories")}
    assert STORIES.keys() <= headings
