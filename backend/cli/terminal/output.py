"""Files that a command is asked to write: whole or not at all, and over nothing by mistake.

Every `--out` and `--html` goes through here. What is there already stays unless --force is said;
a link, a folder, a pipe, a device and an input of the same command are never written over.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated

from typer import Option

from backend.errors import Conflict, InvalidInput

ForceOption = Annotated[bool, Option("--force", help="Overwrite a file that is there.")]


def check_target(path: Path, *, force: bool = False, inputs: Sequence[str | Path] = ()) -> None:
    """Raise before any work when a file may not be written.

    Raises:
        InvalidInput: not a place for a regular file, or one of the inputs.
        Conflict: a file is there, and `force` is not said.
    """
    if str(path) == "-":
        raise InvalidInput(
            "-: a file is written whole or not at all, which standard output cannot be.",
            hint="Name a file; --json, where a command has it, prints.",
        )
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise InvalidInput(f"{path}: there is no folder {path.parent}.") from None
        return
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidInput(f"{path}: it cannot be written ({reason}).") from None
    if what := _irregular(found.st_mode):
        raise InvalidInput(f"{path}: this is {what}, not a file.", hint="Name a file to write.")
    for given in inputs:
        if Path(given).exists() and os.path.samestat(os.stat(given), found):
            raise InvalidInput(f"{path} is read by this very command.", hint="Name another file.")
    if not force:
        raise Conflict(f"{path} is there already.", hint="Name another file, or say --force.")


def _irregular(mode: int) -> str | None:
    if stat.S_ISREG(mode):
        return None
    if stat.S_ISLNK(mode):
        return "a link"
    return "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"


@contextmanager
def whole_file(
    path: Path, *, force: bool = False, inputs: Sequence[str | Path] = ()
) -> Iterator[IO[str]]:
    """A UTF-8 text that becomes the file when the block ends well, and leaves nothing otherwise.

    Raises:
        InvalidInput, Conflict: as `check_target`.
    """
    check_target(path, force=force, inputs=inputs)
    fresh = path.with_name(f".{path.name[:200]}.{os.getpid()}.new")
    try:
        with fresh.open("w", encoding="utf-8", newline="") as stream:
            yield stream
        put_in_place(fresh, path, force=force)
    finally:
        fresh.unlink(missing_ok=True)


def put_in_place(fresh: Path, path: Path, *, force: bool) -> None:
    """Move a whole file to its place; without `force` only where nothing came to be since.

    Raises:
        Conflict: a file is there, and `force` is not said.
    """
    check_target(path, force=force)
    os.replace(fresh, path)


def said_ending(path: Path, endings: Sequence[str], what: str) -> str:
    """The ending of a file to write, one of those; the first where there is none.

    Raises:
        InvalidInput: another ending.
    """
    ending = path.suffix.lower()
    if ending and ending not in endings:
        raise InvalidInput(
            f"{path}: {what} are not written as {ending}.",
            hint=f"Name a file that ends in {' or '.join(endings)}.",
        )
    return ending or endings[0]
