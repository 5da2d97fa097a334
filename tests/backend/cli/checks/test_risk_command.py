"""`strop risk` as a person runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from backend.cli import main
from backend.db import connect
from backend.settings import Settings
from tests.fixtures_checks import build_judged_desk, review_all, score_run, work_on


@pytest.fixture(scope="module")
def scored_file(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a project that was reviewed and scored, to copy from."""
    folder = tmp_path_factory.mktemp("scored")
    file = Path(shutil.copy(sqlite_template, folder))
    settings = Settings(home=folder, database_url=f"sqlite:///{file}")
    sessions = connect(settings)
    with sessions.begin() as session:
        desk = build_judged_desk(session)
        review_all(session, desk)
        scored = score_run(session, desk).id
    work_on(settings, sessions, scored)
    sessions.kw["bind"].dispose()
    return file


@pytest.fixture
def home(settings: Settings, monkeypatch: pytest.MonkeyPatch, scored_file: Path) -> Settings:
    """An installation whose project was reviewed and scored."""
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    shutil.copy(scored_file, str(settings.database_file))
    return settings


def strop(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["risk", *arguments])
    return int(ended.value.code or 0)


def test_fit_list_and_show(home: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert strop("list") == 0
    assert "No risk was fitted yet" in capsys.readouterr().out
    assert strop("fit") == 0
    told = capsys.readouterr().out
    assert "Kept risk:1" in told
    assert "--metrics invented,length,overlap,own_words,risk\n" in told  # with what it is made of
    assert "Wrong means marked; 30 of 90 reviewed outputs are, in 90 groups" in told
    assert "each also less its mean over the other answers" in told
    assert strop("fit", "--wrong-when", "faithful=no", "--runs", "1", "--json") == 0
    second = json.loads(capsys.readouterr().out)
    assert (second["metric"], second["wrong_when"]) == ("risk:2", "faithful=no")
    assert strop("list", "--json") == 0
    assert [row["metric"] for row in json.loads(capsys.readouterr().out)] == ["risk:2", "risk:1"]
    assert strop("show", "1") == 0
    assert "risk:1: logistic on" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("fit", "--splits", "validation"), "0 labels"),
        (("fit", "--splits", "tset"), "split"),
        (("fit", "--splits", ","), "names none"),
        (("fit", "--runs", "1,x"), "numbers of score runs"),
        (("fit", "--runs", "99"), "no score run 99"),
        (("fit", "--wrong-when", "absent=no"), "absent"),
        (("show", "7"), "no risk:7"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    home: Settings, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert strop(*arguments) == 1
    assert said in capsys.readouterr().err
