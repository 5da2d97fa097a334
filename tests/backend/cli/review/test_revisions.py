"""Commands on a database of another version of Strop: one sentence, and a backup all the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from backend.cli import main
from backend.db import connect, newest_revision, open_database, stored_revision
from backend.settings import Settings


def _run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def _say_revision(settings: Settings, revision: str) -> None:
    engine = open_database(settings.url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :at"), {"at": revision})
    engine.dispose()


def test_a_migrated_database_is_at_the_newest_revision(settings: Settings) -> None:
    with connect(settings)() as session:
        assert stored_revision(session) == newest_revision()


@pytest.mark.parametrize(("at", "hint"), [("0001", "strop up"), ("9999", "newer Strop")])
def test_another_revision_is_one_sentence(
    at: str,
    hint: str,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    _say_revision(settings, at)
    assert _run("user", "list") == 1
    said = capsys.readouterr().err
    assert f"is at revision {at}" in said
    assert hint in said
    assert "defect" not in said


def test_doctor_says_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    _say_revision(settings, "0001")
    _run("doctor")
    assert "is at revision 0001" in " ".join(capsys.readouterr().out.split())


def test_an_older_database_can_be_backed_up_first(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    _say_revision(settings, "0001")
    assert _run("backup", str(tmp_path / "old.tar.gz")) == 0
