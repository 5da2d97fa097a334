"""`strop review` and `strop set`: open, look, freeze, refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import select

from backend.cli import main
from backend.db import connect
from backend.services import review
from backend.services.review import Answer
from backend.settings import Settings
from backend.tables.curation import TrainingSetRow
from backend.tables.datasets import Example
from tests.fixtures_review import Desk, build_desk, review_next


@pytest.fixture
def desk(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    with connect(settings).begin() as session:
        return build_desk(session, splits={"train": 4, "test": 2}, n_experts=2)


def strop(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def open_single(desk: Desk) -> int:
    run = str(desk.run.id)
    asks = ("--rubric", "summary_faithfulness")
    return strop("review", "open", "--run", run, "--models", "base", "--queue", "q", *asks)


def review_all(settings: Settings, desk: Desk) -> None:
    with connect(settings).begin() as session:
        queue = review.find_queue(session, desk.project.id, "q")
        for n in range(6):
            answer = Answer({"verdict": "fail", "coverage": 3})
            corrected = Answer(answer.ratings, correction=f"corrected {n}")
            review_next(session, queue, desk.experts[0], corrected)


def test_a_queue_is_opened_and_shown(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert open_single(desk) == 0
    assert "6 of 6 items, 6 reviews asked of 2 people" in capsys.readouterr().out
    assert strop("review", "status", "q", "--json") == 0
    [status] = json.loads(capsys.readouterr().out)
    assert (status["total"], status["done"], status["open"]) == (6, 0, 6)


def test_a_pair_queue_shows_its_votes(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(desk.run.id)
    assert strop("review", "open", "--run", run, "--pair", "base,v1", "--queue", "ab") == 0
    assert strop("review", "status", "ab", "--json") == 0
    out = capsys.readouterr().out
    [status] = json.loads(out[out.index("[") :])
    assert status["kind"] == "pair"
    assert "No vote" in status["votes"][0]["b's win rate"]
    assert strop("review", "status") == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "either --models or --pair"),
        (["--models", "base", "--pair", "base,v1"], "either --models or --pair"),
        (["--models", "v9"], "v9"),
        (["--models", "base", "--reviewers", "nobody"], "nobody"),
        (["--models", "base", "--rubric", "nothing"], "rubric"),
        (["--models", "base", "--overlap", "2"], "Overlap"),
        (["--models", "base", "--overlap", "3", "--overlap-share", "1"], "distinct"),
    ],
)
def test_a_queue_that_cannot_be_is_refused(
    desk: Desk, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert strop("review", "open", "--run", str(desk.run.id), "--queue", "q", *options) == 1
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1


def test_a_closed_queue_says_so(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    open_single(desk)
    assert strop("review", "close", "q") == 0
    assert "q is closed" in capsys.readouterr().out


def test_rubrics_are_listed_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert strop("review", "rubrics") == 0
    assert "telecom_desk" in capsys.readouterr().out
    assert strop("review", "rubrics", "blind_pair") == 0
    assert "name: blind_pair" in capsys.readouterr().out


def test_a_set_is_frozen_listed_and_shown(
    settings: Settings, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    open_single(desk)
    review_all(settings, desk)
    assert strop("set", "freeze", "round-1", "--queue", "q", "--dpo", "--references", "all") == 0
    out = capsys.readouterr().out
    assert "round-1: 8 rows (8 corrected)" in out
    assert "2: it is in the test split" in out
    assert strop("set", "list") == 0
    assert "round-1" in capsys.readouterr().out
    assert strop("set", "show", "round-1", "--rows", "2", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert [row["source"] for row in shown["first"]] == ["corrected", "corrected"]
    assert shown["asked"]["queues"] == ["q"]


def test_a_named_held_out_example_ends_with_exit_code_2(
    settings: Settings, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    with connect(settings)() as session:
        held = session.scalars(
            select(Example.id).where(Example.split == "test").order_by(Example.id)
        ).first()
    assert strop("set", "freeze", "leaky", "--example", str(held)) == 2
    assert "held out" in capsys.readouterr().err


def test_a_recipe_file_says_the_same_as_options(
    settings: Settings, desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    open_single(desk)
    review_all(settings, desk)
    path = tmp_path / "recipe.yaml"
    path.write_text("queues: [q]\ndpo_corrections: true\n", "utf-8")
    capsys.readouterr()
    digests = []
    for name, options in [("a", ["--recipe", str(path)]), ("b", ["--queue", "q", "--dpo"])]:
        assert strop("set", "freeze", name, *options, "--json") == 0
        digests.append(json.loads(capsys.readouterr().out)["digest"])
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "names no queue"),
        (["--queue", "nothing"], "no review queue"),
        (["--references", "some"], "no amount"),
        (["--references", "all"], "Name a dataset"),
        (["--queue", "q", "--approved", "faithful is yes"], "no rule"),
        (["--queue", "q"], "gives no row"),
    ],
)
def test_a_set_that_cannot_be_is_refused(
    desk: Desk, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    open_single(desk)
    capsys.readouterr()
    assert strop("set", "freeze", "s", *options) == 1
    assert message in capsys.readouterr().err


def test_a_review_is_withdrawn_by_name_and_what_holds_it_is_named(
    settings: Settings, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    open_single(desk)
    review_all(settings, desk)
    strop("set", "freeze", "s", "--queue", "q")
    with connect(settings).begin() as session:
        taught = session.scalars(
            select(TrainingSetRow.review_id).order_by(TrainingSetRow.id)
        ).first()
    capsys.readouterr()
    name = desk.experts[0].name
    assert strop("review", "withdraw", str(taught), "--reason", "wrong case", "--as", name) == 0
    assert f"Review {taught} is withdrawn. Held by: set s." in capsys.readouterr().out
    assert strop("lineage", "set:s") == 0
    assert "!! 1 rows withdrawn since !!" in capsys.readouterr().out
    assert strop("review", "withdraw", "999", "--reason", "x", "--as", name) == 1
