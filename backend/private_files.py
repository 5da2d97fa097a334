"""Files that hold people's words and secrets: readable by their owner alone.

A folder is 700, a file 600, from the moment it is made. What older versions left open is closed
when a command begins to work on it, and said.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

from backend.settings import Settings

FOLDER, FILE = 0o700, 0o600
OTHERS = 0o077
KEY_FILE = "secret.key"
_MAKING = threading.Lock()


def make_folder(folder: Path) -> None:
    """Make a folder for its owner alone, where there is none."""
    folder.mkdir(mode=FOLDER, parents=True, exist_ok=True)


def make_file(file: Path) -> None:
    """Make an empty file for its owner alone, where there is none; what writes it keeps that.

    A file that is there is never opened. The system takes back all locks that a process has on a
    file when the process closes any descriptor of it: SQLite's own would go, and the next command
    that ends beside a server would delete the log of writes (`-wal`) that the server goes on with.
    """
    file = file.resolve()  # of a link, the file that it names
    with _MAKING:  # nobody here connects to a new file before it is closed
        try:
            made = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, FILE)
        except FileExistsError:
            return
        os.close(made)


def close_installation(settings: Settings) -> list[str]:
    """Close home, database and key to other people; what was changed or could not be, in words."""
    paths = [settings.home, settings.home / KEY_FILE, *_database_files(settings)]
    return [word for path in paths if (word := _close(path))]


def _database_files(settings: Settings) -> Iterator[Path]:
    """The SQLite files of the installation: ours, the job engine's, and what SQLite lays beside."""
    if (found := settings.database_file) is None:
        return
    file = found.resolve()  # SQLite lays its files beside what a link names
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
