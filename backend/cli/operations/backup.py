"""`strop backup FILE`: the database and every file of an installation in one archive.

    strop.db, secret.key, artifacts/, training/     as they are; the database consistent
    audit-heads.jsonl  heads of the audit log, noted before the database was copied
    contents.json     where the installation lay, and the SHA-256 of every file

Files that go while the archive is written (a training rotates its checkpoints) are left out. A link
becomes the file it names where that is a file of the installation, and is left out and named
elsewhere: an archive holds files and folders only.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sqlite3
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Annotated

import typer
from typer import Argument, Option

from backend.cli.common import Installation, open_installation
from backend.cli.operations.restore import CONTENTS, DATABASE, ask_passphrase, restore
from backend.cli.operations.sealed_archive import sealing
from backend.cli.options import HomeOption

HOLDS = (
    "It is not encrypted: whoever has it reads every text, and secret.key opens what is sealed in "
    "it (secrets of webhooks and authenticators). Seal it: strop backup --encrypt"
)
IN_MEMORY = 1_000_000  # bytes; a small file may be rewritten in place while it is read


def command(
    file: Annotated[Path, Argument(help="Archive to write, for example desk.tar.gz.")],
    home: HomeOption = None,
    verify: Annotated[
        bool, Option("--verify", help="Restore it into a scratch folder, and compare.")
    ] = False,
    encrypt: Annotated[
        bool, Option("--encrypt", help="Seal it by a passphrase: STROP_BACKUP_KEY, or asked for.")
    ] = False,
) -> None:
    """Write database, adapters and training runs into one archive, while all goes on running."""
    from backend.errors import Conflict, InvalidInput
    from backend.private_files import make_file

    installation = open_installation(any_revision=True, home=home)
    settings = installation.settings
    if (database := settings.database_file) is None:
        raise InvalidInput(
            "A PostgreSQL database is not in a file.",
            hint=f"Use pg_dump, and copy {settings.artifacts} and {settings.home / 'training'}.",
        )
    if file.exists():
        raise Conflict(f"{file} exists already.", hint="Choose another name.")
    passphrase = ask_passphrase(settings, twice=True) if encrypt else None
    partial = file.with_name(file.name + ".partial")
    make_file(partial)
    try:
        left_out = write_archive(
            partial, database, settings.home, settings.artifacts, passphrase=passphrase
        )
        if verify:
            with tempfile.TemporaryDirectory() as folder:
                restore(partial, Path(folder) / "home", passphrase=passphrase)
        partial.rename(file)
        _note(installation, file)
    finally:
        partial.unlink(missing_ok=True)
    checked = ", restored and compared" if verify else ""
    typer.echo(
        f"{file}: {file.stat().st_size / 1e6:.1f} MB{checked}. "
        f"Restore: strop restore {file} --home H"
    )
    if not encrypt:
        typer.echo(HOLDS, err=True)
    for name in left_out:
        typer.echo(f"left out: {name}", err=True)


def _note(installation: Installation, file: Path) -> None:
    """The archive in the audit log, by its size and its digest; an older database has none."""
    from backend.db import newest_revision, stored_revision
    from backend.services.audit import record

    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    with installation.sessions.begin() as session:
        if stored_revision(session) == newest_revision():
            told = {"bytes": file.stat().st_size, "sha256": digest}
            record(session, "backup.made", detail=told)


@contextmanager
def _open_archive(target: Path, passphrase: str | None) -> Iterator[tarfile.TarFile]:
    """The archive to write, sealed where there is a passphrase."""
    if passphrase is None:
        with tarfile.open(target, "w:gz") as archive:
            yield archive
        return
    with (
        target.open("wb") as stream,
        sealing(stream, passphrase) as sealed,
        tarfile.open(fileobj=sealed, mode="w|gz") as archive,
    ):
        yield archive


def write_archive(
    target: Path, database: Path, home: Path, artifacts: Path, *, passphrase: str | None = None
) -> list[str]:
    """Write the archive, sealed by a passphrase if one is given; returns what was left out."""
    from backend.private_files import KEY_FILE
    from backend.services.audit.heads import FILE as HEADS

    home, artifacts = home.resolve(), artifacts.resolve()
    found = _BackupFiles(roots=(home, artifacts))
    with tempfile.TemporaryDirectory() as folder, _open_archive(target, passphrase) as archive:
        copy, heads = Path(folder) / DATABASE, Path(folder) / HEADS
        with contextlib.suppress(FileNotFoundError):  # noted heads are never ahead of the copy
            heads.write_bytes((home / HEADS).read_bytes())
        _copy_database(database, copy)
        members = [(DATABASE, copy), (KEY_FILE, home / KEY_FILE), (HEADS, heads)]
        digests: dict[str, str] = {}
        for name, path in members:
            _add_file(archive, name, path, digests, found)
        for name, root in (("artifacts", artifacts), ("training", home / "training")):
            for inner, path in found.files(root):
                _add_file(archive, f"{name}/{inner}", path, digests, found)
        content = {"home": str(home), "artifacts": str(artifacts), "files": digests}
        _add_bytes(archive, CONTENTS, json.dumps(content).encode())
    return found.left_out


@dataclass
class _BackupFiles:
    """The files below folders of an installation, links followed as far as they stay inside."""

    roots: tuple[Path, ...]
    left_out: list[str] = field(default_factory=list)

    def files(self, root: Path) -> Iterator[tuple[str, Path]]:
        """Every regular file below a folder, with its name there."""
        yield from self._below(root, "", (root,))

    def _below(
        self, folder: Path, prefix: str, above: tuple[Path, ...]
    ) -> Iterator[tuple[str, Path]]:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            path, name = Path(entry.path), f"{prefix}{entry.name}"
            if entry.is_symlink():
                path = path.resolve()
                if not any(path.is_relative_to(root) for root in self.roots):
                    self.left_out.append(f"{name} (a link to outside)")
                    continue
            if path.is_dir():
                if path in above:
                    self.left_out.append(f"{name} (a link to a folder that holds it)")
                    continue
                yield from self._below(path, f"{name}/", (*above, path))
            elif path.is_file():
                yield name, path
            elif path.exists():
                self.left_out.append(f"{name} (no file)")


def _add_file(
    archive: tarfile.TarFile, name: str, path: Path, digests: dict[str, str], found: _BackupFiles
) -> None:
    try:
        stream = path.open("rb")
    except FileNotFoundError:  # gone since it was listed, or never there
        return
    with stream:
        status = os.fstat(stream.fileno())
        if status.st_size <= IN_MEMORY:
            content = stream.read()
            digests[name] = hashlib.sha256(content).hexdigest()
            _add_bytes(archive, name, content, mode=stat.S_IMODE(status.st_mode))
            return
        info = tarfile.TarInfo(name)
        info.size, info.mode = status.st_size, stat.S_IMODE(status.st_mode)
        info.mtime = int(status.st_mtime)
        whole = _Whole(stream, info.size)
        archive.addfile(info, whole)  # type: ignore[arg-type]
        digests[name] = whole.digest.hexdigest()
        if whole.padded:
            found.left_out.append(f"{name} (it was cut while it was read)")


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o600) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    archive.addfile(info, io.BytesIO(content))


class _Whole:
    """Reads as many bytes as were announced, with zeros for what is gone, and digests them."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self.stream, self.left, self.padded = stream, size, False
        self.digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        """The next bytes."""
        wanted = min(size, self.left)
        found = self.stream.read(wanted)
        if len(found) < wanted:
            self.padded = True
            found += bytes(wanted - len(found))
        self.left -= wanted
        self.digest.update(found)
        return found


def _copy_database(source: Path, target: Path) -> None:
    """A consistent copy, also while others write."""
    with sqlite3.connect(source) as old, sqlite3.connect(target) as new:
        old.backup(new)
    old.close()
    new.close()
