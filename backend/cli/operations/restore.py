"""`strop restore FILE --home H`: an installation as `strop backup` wrote it.

Everything is unpacked and checked in a folder beside the new home, which gets its name at the end:
an archive that is damaged leaves nothing behind. Paths of the old place become paths of the new
one, and what was at work there is stopped here, so that the copy never touches the original.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sqlite3
import sys
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.errors import Conflict, InvalidInput

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.settings import Settings


DATABASE = "strop.db"
CONTENTS = "contents.json"
UNSEALED = ".unsealed"  # the archive of a sealed one, for as long as it is unpacked
# Python before 3.11.4 has no filters.
EXTRACTION: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
STOPPED = "Stopped: the installation was restored from a backup."
DAMAGED = (tarfile.TarError, EOFError, zlib.error, OSError, UnicodeDecodeError, sqlite3.Error)


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back: adapters and models of the artifacts, and work that was stopped."""

    models: int
    stopped: int
    untold: int


def command(
    file: Annotated[Path, Argument(help="Archive that strop backup wrote.")],
    home: Annotated[Path, Option("--home", help="New folder of the installation.")],
) -> None:
    """Unpack a backup into a new folder; what was at work in the old one is stopped there."""
    from backend.cli.operations.sealed_archive import is_sealed
    from backend.settings import load_settings

    sealed = file.is_file() and is_sealed(file)
    passphrase = ask_passphrase(load_settings()) if sealed else None
    found = restore(file, home, passphrase=passphrase)
    typer.echo(
        f"Restored to {home}: {found.models} adapters and models; {found.stopped} jobs and rounds "
        f"that were at work are stopped, {found.untold} messages to webhooks are not sent again. "
        f"Check it: strop doctor --home {home}"
    )


def ask_passphrase(settings: Settings, *, twice: bool = False) -> str:
    """The passphrase of a sealed archive: of STROP_BACKUP_KEY, or typed by whoever sits there.

    Raises:
        InvalidInput: neither is to be had, or the two that were typed differ.
    """
    if settings.backup_key is not None:
        return settings.backup_key.get_secret_value()
    if not sys.stdin.isatty():
        raise InvalidInput("The backup's key is missing.", hint="Set STROP_BACKUP_KEY.")
    typed: str = typer.prompt("Key of the backup", hide_input=True, confirmation_prompt=twice)
    return typed


def restore(file: Path, home: Path, *, passphrase: str | None = None) -> Restored:
    """Restore an archive to a folder that is not there yet, or empty.

    Raises:
        Conflict: the folder holds something.
        InvalidInput: the archive is damaged, hostile, of a newer Strop, or none; nothing is left.
    """
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise Conflict(f"{home} is not empty.", hint="Name a new folder.")
    if not file.is_file():
        raise InvalidInput(f"{file} is no file.")
    from backend.private_files import close_installation, make_folder
    from backend.settings import load_settings, sqlite_url

    home = home.absolute()
    scratch = home.with_name(f".{home.name}.restoring-{os.getpid()}")
    make_folder(scratch)
    try:
        _unpack(file, scratch, passphrase)
        _check_database(file, scratch / DATABASE)
        found = _settle(scratch, home, sha256=_digest(file))
        scratch.rename(home)
        close_installation(load_settings(home=home, database_url=sqlite_url(home / DATABASE)))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return found


def _unpack(file: Path, folder: Path, passphrase: str | None) -> None:
    from backend.cli.operations.sealed_archive import is_sealed, unseal

    plain = file
    if is_sealed(file):
        if passphrase is None:
            raise InvalidInput(f"{file} is encrypted.", hint="Set STROP_BACKUP_KEY.")
        plain = folder / UNSEALED
        unseal(file, plain, passphrase)
    try:
        with tarfile.open(plain) as archive:
            if DATABASE not in archive.getnames():
                raise InvalidInput(f"{file} is not a backup: it holds no {DATABASE}.")
            _refuse_what_escapes(archive, folder)
            archive.extractall(folder, **EXTRACTION)
        (folder / UNSEALED).unlink(missing_ok=True)
        contents = _contents(folder)
        wrong = [
            name
            for name, digest in contents.get("files", {}).items()
            if _digest(folder / name) != digest
        ]
    except DAMAGED as error:
        raise InvalidInput(
            f"{file} is not a whole archive: {error}.", hint="Copy it again."
        ) from error
    if wrong:
        raise InvalidInput(f"{file} is not a whole archive: {wrong[0]} is not what was saved.")


def _refuse_what_escapes(archive: tarfile.TarFile, home: Path) -> None:
    """Let nothing through but files and folders that lie below the new folder."""
    root = home.resolve()
    for member in archive:
        inside = (root / member.name).resolve().is_relative_to(root)
        if not inside or not (member.isfile() or member.isdir()):
            raise tarfile.TarError(f"{member.name!r} is no file below the folder")


def _contents(folder: Path) -> dict[str, Any]:
    file = folder / CONTENTS
    if not file.is_file():
        return {}
    try:
        contents: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise tarfile.TarError(f"{CONTENTS} cannot be read") from error
    return contents


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_database(file: Path, database: Path) -> None:
    """Raise InvalidInput unless it is a whole database of this or an older Strop."""
    from backend.db import newest_revision

    try:
        connection = sqlite3.connect(database)
        try:
            [damage] = connection.execute("PRAGMA quick_check(1)").fetchone()
            [revision] = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        finally:
            connection.close()
    except (sqlite3.Error, TypeError) as error:
        raise InvalidInput(f"{file} holds no database of Strop: {error}.") from error
    if damage != "ok":
        raise InvalidInput(f"The database in {file} is damaged: {damage}.")
    if revision > newest_revision():
        raise InvalidInput(
            f"{file} was written by a newer Strop (its database is at {revision}, this one knows "
            f"{newest_revision()}).",
            hint="Restore it with that version.",
        )


def _settle(scratch: Path, home: Path, *, sha256: str) -> Restored:
    """Bring the copy to this version, to its new place and to rest."""
    from backend.db import migrate, open_database, session_factory
    from backend.services.audit import record
    from backend.settings import sqlite_url

    url = sqlite_url(scratch / DATABASE)
    migrate(url)
    engine = open_database(url)
    try:
        with session_factory(engine).begin() as session:
            places = _places(_contents(scratch), session, home)
            models = _move_rows(session, places)
            found = Restored(models, _stop_work(session), _tell_nothing(session))
            record(session, "backup.restored", detail={"sha256": sha256})
    finally:
        engine.dispose()
    (scratch / CONTENTS).unlink(missing_ok=True)
    for config in (scratch / "training").glob("*/config.yaml"):
        config.write_text(_moved(config.read_text(encoding="utf-8"), places), encoding="utf-8")
    return found


def _places(contents: Mapping[str, Any], session: Session, home: Path) -> list[tuple[str, str]]:
    """Old folders and the new one of each, the longest first."""
    if contents:
        return [(contents["artifacts"], str(home / "artifacts")), (contents["home"], str(home))]
    from sqlalchemy import select

    from backend.tables.models import ModelVersion

    paths = session.scalars(select(ModelVersion.adapter_path))
    roots = {path.partition("/artifacts/")[0] for path in paths if path and "/artifacts/" in path}
    return [(root, str(home)) for root in sorted(roots, key=len, reverse=True)]


def _move_rows(session: Session, places: Sequence[tuple[str, str]]) -> int:
    """Let every row that names a place name the new one; returns how many models lie there.

    Without places, as in an archive of before that names none, every row keeps what it names.
    """
    from sqlalchemy import select

    from backend.tables.models import BASE, ModelVersion
    from backend.tables.projects import Project
    from backend.tables.rounds import Round
    from backend.tables.training import TrainingRun

    named = {
        Project: ("base_model",),
        ModelVersion: ("base_model", "adapter_path"),
        TrainingRun: ("output_dir", "config", "result"),
        Round: ("plan",),
    }
    for table, columns in named.items():
        for row in session.scalars(select(table)):
            for column in columns:
                setattr(row, column, _moved(getattr(row, column), places))
    session.flush()
    models = session.scalars(
        select(ModelVersion).where(ModelVersion.name != BASE, ModelVersion.bare_id.is_(None))
    )
    paths = [str(model.adapter_path or model.base_model) for model in models]
    return sum(path.startswith(new) for _, new in places[:1] for path in paths)


def _moved(value: Any, places: Sequence[tuple[str, str]]) -> Any:
    """A value with the new place wherever a path in it begins with the old one, at any depth."""
    match value:
        case str() if places:
            news = dict(places)
            olds = "|".join(re.escape(old) for old in sorted(news, key=len, reverse=True))
            # A path begins where no other one goes on: in a document, after a quote or a blank.
            path = rf"(?<![\w./~-])({olds})(?![\w.~-])"
            return re.sub(path, lambda found: news[found[1]], value)
        case dict():
            return {key: _moved(inner, places) for key, inner in value.items()}
        case list():
            return [_moved(inner, places) for inner in value]
    return value


def _stop_work(session: Session) -> int:
    """Jobs and rounds at work are stopped, and go on only when a person says so."""
    from sqlalchemy import delete, select, update

    from backend.db import utc_now
    from backend.services.queue import UNFINISHED
    from backend.services.rounds.turns import note
    from backend.tables.queue import Job, JobState, Worker
    from backend.tables.rounds import Round, RoundState

    session.execute(delete(Worker))
    stopped = select(Job.id).where(Job.state.in_(UNFINISHED))
    jobs = len(session.scalars(stopped).all())
    session.execute(
        update(Job).where(Job.state.in_(UNFINISHED)).values(state=JobState.STOPPED, error=STOPPED)
    )
    rounds = session.scalars(select(Round).where(Round.state == RoundState.ACTIVE)).all()
    for row in rounds:
        row.state = RoundState.PAUSED
        note(session, row, STOPPED, utc_now())
    return jobs + len(rounds)


def _tell_nothing(session: Session) -> int:
    """What the original is still to send, it sends itself."""
    from sqlalchemy import select

    from backend.tables.webhooks import DeliveryState, WebhookDelivery

    waiting = session.scalars(
        select(WebhookDelivery).where(WebhookDelivery.state == DeliveryState.PENDING)
    ).all()
    for delivery in waiting:
        delivery.state, delivery.last_error = DeliveryState.FAILED, STOPPED
    return len(waiting)
