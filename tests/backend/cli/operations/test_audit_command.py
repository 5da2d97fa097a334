"""`strop audit` and `strop doctor --verify`, as a person runs them; and the recipe of the guide."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.orm import Session, sessionmaker
from typer.testing import CliRunner, Result

from backend.cli import app
from backend.cli.operations.backup import write_archive
from backend.cli.operations.restore import restore
from backend.db import open_database, session_factory
from backend.services.accounts.sealing import open_seal
from backend.services.accounts.users import create_user
from backend.services.audit.chain import check
from backend.services.audit.heads import FILE, check_heads
from backend.services.projects import create_project
from backend.settings import Settings

GUIDE = Path(__file__).parents[4] / "dashboard/guides/audit.md"
Strop = Callable[..., Result]


@pytest.fixture
def strop(
    settings: Settings, sqlite_sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> Strop:
    """Run a command on an installation with a project and two people."""
    settings.home.mkdir(parents=True)
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    with sqlite_sessions.begin() as session:
        project = create_project(session, "desk", base_model="tiny")
        create_user(session, "ada", "admin")
        create_user(session, "eva", "engineer", project_ids=[project.id])

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, list(words))

    return run


def audit_of_doctor(result: Result) -> list[tuple[str, str]]:
    rows = json.loads(result.stdout)
    return [(row["state"], row["detail"]) for row in rows if row["what"] == "audit log"]


def tamper(settings: Settings, statement: str) -> None:
    """As a database administrator would, who puts the triggers back afterwards."""
    with sqlite3.connect(str(settings.database_file)) as connection:
        found = "SELECT name, sql FROM sqlite_master WHERE tbl_name = 'audit_entries'"
        triggers = list(connection.execute(f"{found} AND type = 'trigger'"))
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)
        for _, sql in triggers:
            connection.execute(sql)
    connection.close()


def test_who_did_what_is_listed(strop: Strop) -> None:
    strop("user", "role", "eva", "lead")
    listed = json.loads(strop("audit", "list", "--json").stdout)
    assert [row["action"] for row in listed] == [
        "project.made",
        "user.made",
        "user.made",
        "member.added",
        "user.role_changed",
    ]
    assert listed[-1]["sentence"] == "made eva lead, before engineer"
    assert listed[-1]["who"].endswith("at the command line")
    assert [
        row["action"]
        for row in json.loads(strop("audit", "list", "--action", "member", "--json").stdout)
    ] == ["member.added"]
    assert (
        json.loads(strop("audit", "list", "--project", "desk", "--limit", "1", "--json").stdout)[0][
            "action"
        ]
        == "member.added"
    )
    assert json.loads(strop("audit", "list", "--until", "2020-01-01", "--json").stdout) == []
    assert json.loads(strop("audit", "list", "--reads", "--json").stdout) == []
    assert "eva" in strop("audit", "list").stdout


def test_a_head_is_kept_and_the_log_held_against_it(strop: Strop, settings: Settings) -> None:
    head = strop("audit", "head").stdout.strip()
    assert re.fullmatch(r"4:[0-9a-f]{64}", head)
    strop("user", "role", "eva", "lead")
    found = strop("doctor", "--verify", "--head", head, "--json")
    [(state, detail)] = audit_of_doctor(found)
    assert state == "ok"
    assert detail.startswith("5 entries; the chain holds; head 5:")
    other = f"4:{'0' * 64}"
    [(state, detail)] = audit_of_doctor(strop("doctor", "--head", other, "--json"))
    assert (state, detail) == ("problem", "entry 4 is another one than the head that was given has")
    assert strop("doctor", "--head", "nonsense").exit_code == 1


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE audit_entries SET user_id = 9 WHERE seq = 2", "place 2 is not what was sealed"),
        ("DELETE FROM audit_entries WHERE seq = 2", "places 2 to 2 are missing"),
        ("DELETE FROM audit_entries WHERE seq = 4", "the log ends at 3"),
        ("DELETE FROM audit_entries", "the log ends at 0"),
        ("UPDATE audit_entries SET seq = NULL, digest = NULL WHERE seq = 4", "the log ends at 3"),
    ],
)
def test_doctor_finds_what_was_changed(
    strop: Strop, settings: Settings, statement: str, words: str
) -> None:
    strop("audit", "head")
    tamper(settings, statement)
    result = strop("doctor", "--verify", "--json")
    assert result.exit_code == 2
    found = audit_of_doctor(result)
    assert any(state == "problem" and words in detail for state, detail in found)


def test_a_file_is_verified_without_a_database(
    strop: Strop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "audit.jsonl"
    told = json.loads(strop("audit", "export", "--out", str(file), "--json").stdout)
    assert told["entries"] == 4
    monkeypatch.setenv("STROP_DATABASE_URL", f"sqlite:///{tmp_path}/none.db")
    found = json.loads(strop("audit", "verify", str(file), "--json").stdout)
    assert found == {"holds": True, "first": 1, "entries": 4, "head": told["head"], "findings": []}
    file.write_text(file.read_text().replace('"engineer"', '"admin"'))
    changed = strop("audit", "verify", str(file))
    assert changed.exit_code == 2
    assert "the entry of line 3 at place 3 is not what was sealed" in changed.stdout
    assert strop("audit", "verify", str(tmp_path / "nothing")).exit_code == 1


def test_the_recipe_of_the_guide_says_the_same(strop: Strop, tmp_path: Path) -> None:
    [recipe] = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert len(recipe.splitlines()) <= 30
    script, file = tmp_path / "recipe.py", tmp_path / "audit.jsonl"
    script.write_text(recipe)
    told = json.loads(strop("audit", "export", "--out", str(file), "--json").stdout)

    def run() -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-I", str(script), str(file)]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    assert run().stdout.strip() == told["head"]
    lines = file.read_text().splitlines(keepends=True)
    for edited in (
        [lines[0], *lines[2:]],
        [lines[1], lines[0], *lines[2:]],
        [*lines[:2], lines[2].replace('"role": "engineer"', '"role": "admin"'), *lines[3:]],
    ):
        file.write_text("".join(edited))
        assert run().returncode == 1


def test_a_backup_keeps_the_chain_and_its_heads(
    strop: Strop, settings: Settings, tmp_path: Path
) -> None:
    strop("audit", "head")
    assert settings.database_file is not None
    archive, home = tmp_path / "b.tar.gz", tmp_path / "restored"
    write_archive(archive, settings.database_file, settings.home, settings.artifacts)
    strop("user", "role", "eva", "lead")
    strop("audit", "head")
    restore(archive, home)
    sessions = session_factory(open_database(f"sqlite:///{home / 'strop.db'}"))
    assert (home / FILE).exists()
    with sessions() as session:
        assert check(session).holds
        assert list(check_heads(session, home, open_seal(Settings(home=home)))) == []
        assert check(session).unsealed == 1  # that it was restored
    sessions.kw["bind"].dispose()


def test_acts_of_commands_are_recorded_however_little_they_import(
    strop: Strop, settings: Settings
) -> None:
    """A command in a process of its own, which loads only what it needs."""
    words = [sys.executable, "-m", "backend.cli", "user", "role", "eva", "expert"]
    subprocess.run(words, check=True, capture_output=True)
    listed = json.loads(strop("audit", "list", "--json").stdout)
    assert listed[-1]["action"] == "user.role_changed"
