"""`strop example|person erase`, `strop erasure`, `strop retention`: what they say and return."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from sqlalchemy import select

from backend.cli import main
from backend.db import connect
from backend.services.accounts.users import create_user
from backend.services.datasets.versions import ExampleRow, import_dataset
from backend.services.projects import create_project
from backend.settings import Settings
from backend.tables.accounts import User
from backend.tables.datasets import Example
from tests.backend.services.erasure.conftest import bytes_of, everything_in

SECRET = "Odilia Brandtner of Sonnfeld has a fever"
WHY = ("--reason", "consent withdrawn", "--yes")


@pytest.fixture
def home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    with connect(settings).begin() as session:
        rows = [
            ExampleRow(
                f"r{n}", f"{SECRET} {n}" if n == 1 else f"Another matter, number {n}", group=f"g{n}"
            )
            for n in range(1, 5)
        ]
        for name in ("desk", "other"):
            project = create_project(session, name, base_model="tiny")
            import_dataset(session, project.id, f"calls-{name}", rows, source_name="f")
        create_user(session, "Ada", "admin")
        create_user(session, "Boris Leaving", "admin")
    return settings


def _run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


DESK = ("--project", "desk")


def test_a_dry_run_and_a_no_leave_all_as_it_was(
    home: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("example", "erase", "calls-desk:r1", *DESK, "--reason", "x")
    assert _run(*asked, "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["found"]["rows"]["examples"] == 1
    monkeypatch.setattr("sys.stdin", StringIO("n\n"))
    assert _run(*asked) == 1
    assert "Stopped: nothing was done." in capsys.readouterr().err
    with connect(home)() as session:
        assert everything_in(session).count(SECRET) == 2


def test_an_example_goes_and_what_it_came_to_is_listed(
    home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run("example", "erase", "calls-desk:r1", *DESK, *WHY, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["subject"], told["state"], told["left"]) == ("calls-desk:r1", "done", [])
    assert _run("erasure", "list", "--json") == 0
    assert [one["erasure"] for one in json.loads(capsys.readouterr().out)] == [told["erasure"]]
    assert _run("erasure", "show", str(told["erasure"]), "--json") == 0
    assert _run("erasure", "resume") == 0
    assert _run("erasure", "replay", str(home.home / "erasures.jsonl")) == 0
    assert "0 erasures were done again" in capsys.readouterr().out
    with connect(home)() as session:
        assert everything_in(session).count(SECRET) == 1  # the other project's row stays
    assert SECRET not in (home.home / "erasures.jsonl").read_text()
    assert _run("example", "erase", "calls-desk:r1", *DESK, *WHY) == 1
    assert "was erased already" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["calls-other:r1", "8", "calls-desk:r9", "r1", "999"])
def test_rows_of_another_project_are_not_found(
    home: Settings, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run("example", "erase", what, *DESK, *WHY) == 1
    assert "Traceback" not in capsys.readouterr().err
    with connect(home)() as session:
        assert not session.scalars(select(Example).where(Example.erasure_id.is_not(None))).all()


def test_a_group_goes_by_its_name(home: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("example", "erase", "calls-desk:g1", "--group", *DESK, *WHY) == 0
    assert "g1" not in capsys.readouterr().out.split()
    assert _run("example", "erase", "calls-other:g1", "--group", "--project", "other", *WHY) == 0
    assert SECRET.encode() not in bytes_of(home.home)


def test_a_person_goes_and_the_last_admin_stays(
    home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run("person", "erase", "Boris Leaving", *WHY) == 0
    with connect(home)() as session:
        assert "Boris" not in everything_in(session)
        assert session.scalars(select(User)).all()[0].name == "Ada"
    assert _run("person", "erase", "Ada", *WHY) == 1
    assert _run("person", "erase", "Boris Leaving", *WHY) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_retention_is_set_and_shown_for_one_project(
    home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run("retention", "set", "drafts", "30", *DESK) == 0
    capsys.readouterr()
    days = {}
    for name in ("desk", "other"):
        assert _run("retention", "show", "--project", name, "--json") == 0
        shown = json.loads(capsys.readouterr().out)
        days[name] = next(one["days"] for one in shown if one["kind"] == "drafts")
    assert days == {"desk": 30, "other": None}
    assert _run("retention", "set", "drafts", "0", *DESK) == 1
    assert _run("retention", "set", "draft", "3", *DESK) == 1
    assert "drafts" in capsys.readouterr().err
    assert _run("retention", "sweep", "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["dry_run"] is True
    assert _run("retention", "sweep") == 0
