"""Home, database, key and backups are their owner's alone, and what was open is closed."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from backend.db import open_database
from backend.private_files import KEY_FILE, close_installation, make_file
from backend.services.accounts.sealing import open_seal
from backend.settings import Settings


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("_loose_umask")
def test_what_is_made_is_closed_from_the_start(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    engine = open_database(settings.url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
        open_seal(settings)
        found = {path.name: mode(path) for path in settings.home.iterdir()}
    engine.dispose()
    assert mode(settings.home) == 0o700
    assert {"strop.db", "strop.db-wal", KEY_FILE} <= set(found)
    assert set(found.values()) == {0o600}


def test_what_was_open_is_closed_once_and_said(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for name in ("strop.db", "strop.db-wal", "strop-jobs.db", KEY_FILE):
        (home / name).touch()
        (home / name).chmod(0o644)
    home.chmod(0o755)
    said = close_installation(Settings(home=home))
    assert len(said) == 5
    assert said[0].endswith("was open to others (755); it is now 700.")
    assert close_installation(Settings(home=home)) == []
    assert {mode(path) for path in home.iterdir()} == {0o600}


def test_a_folder_of_everybody_is_left_and_said(tmp_path: Path) -> None:
    home = tmp_path / "shared"
    home.mkdir()
    home.chmod(0o1777)
    (said,) = close_installation(Settings(home=home))
    assert "not this user's alone to close" in said
    assert mode(home) == 0o1777


def test_a_file_that_is_there_keeps_its_content(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("words")
    make_file(file)
    assert file.read_text() == "words"


@pytest.mark.usefixtures("_loose_umask")
def test_a_database_behind_a_link_is_its_owners_alone(tmp_path: Path) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir(mode=0o700)
    elsewhere.mkdir()
    (home / "strop.db").symlink_to(elsewhere / "real.db")
    settings = Settings(home=home)
    engine = open_database(settings.url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
        assert {mode(path) for path in elsewhere.iterdir()} == {0o600}
    engine.dispose()
    (elsewhere / "real.db").chmod(0o644)
    assert any("real.db was open to others" in word for word in close_installation(settings))
    assert mode(elsewhere / "real.db") == 0o600


@pytest.fixture
def _loose_umask():
    import os

    before = os.umask(0)
    yield
    os.umask(before)


LOOK = (
    "import sqlite3, sys; one = sqlite3.connect(sys.argv[1]); "
    "print(one.execute('SELECT count(*) FROM noted').fetchone()[0]); one.close()"
)


def test_what_a_process_writes_stays_when_another_one_comes_and_goes(tmp_path: Path) -> None:
    """A descriptor of the database that is closed takes SQLite's locks with it; the process that
    ends then deletes the log of writes under the one that goes on."""
    file = tmp_path / "strop.db"
    engine = open_database(f"sqlite:///{file}")

    def seen_by_another() -> int:
        found = subprocess.run([sys.executable, "-c", LOOK, str(file)], capture_output=True)
        return int(found.stdout)

    with engine.connect() as one:
        one.exec_driver_sql("CREATE TABLE noted (number)")
        one.commit()
        for number in range(1, 4):
            with engine.connect() as further:  # looks for the file before it connects
                further.rollback()
            assert seen_by_another() == number - 1
            one.exec_driver_sql("INSERT INTO noted VALUES (1)")
            one.commit()
    engine.dispose()
    assert seen_by_another() == 3
