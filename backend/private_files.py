"""Files that hold people's words and secrets: readable by their owner alone.

A folder is 700, a file 600, from the moment it is made. What older versions left open is closed
when a command begins to work on it, and said.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from backend.settings import Settings

FOLDER, FILE = 0o700, 0o600
OTHERS = 0o077
KEY_FILE = "secret.key"


def make_folder(folder: Path) -> None:
    """Make a folder for its owner alone, where there is none."""
    folder.mkdir(mode=FOLDER, parents=True, exist_ok=True)


def make_file(file: Path) -> None:
    """Make an empty file for its owner alone, where there is none; what writes it keeps that."""
    os.close(os.open(file, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, FILE))


def close_installation(settings: Settings) -> list[str]:
    """Close home, database and key to other people; what was changed or could not be, in words."""
    paths = [settings.home, settings.home / KEY_FILE, *_database_files(settings)]
    return [word for path in paths if (word := _close(path))]


def _database_files(settings: Settings) -> Iterator[Path]:
    """The SQLite files of the installation: ours, the job engine's, and what SQLite lays beside."""
    if (file := settings.database_file) is None:
        return
    for name in (file.name, f"{file.stem}-jobs.db"):
        yield from (file.with_name(name + end) for end in ("", "-wal", "-shm", "-journal"))


def _close(path: Path) -> str | None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    mode = stat.S_IMODE(found.st_mode)
    if not mode & OTHERS or stat.S_ISLNK(found.st_mode):
        return None
    if found.st_uid != os.geteuid() or mode & stat.S_ISVTX:  # another's, or a /tmp of everybody
        return f"{path} can be read by others ({mode:03o}) and is not this user's alone to close."
    path.chmod(mode & ~OTHERS)
    return f"{path} was open to others ({mode:03o}); it is now {mode & ~OTHERS:03o}."
