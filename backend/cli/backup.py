"""`strop backup FILE`: the database and every file of an installation in one archive."""

from __future__ import annotations

import sqlite3
import tarfile
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from backend.cli.common import HomeOption, open_installation

DATABASE = "strop.db"


def command(
    file: Annotated[Path, typer.Argument(help="Archive to write, for example desk.tar.gz.")],
    home: HomeOption = None,
) -> None:
    """Write database, adapters and training runs into one archive, while all goes on running."""
    from sqlalchemy import make_url

    from backend.errors import Conflict, InvalidInput
    from backend.private_files import KEY_FILE, make_file

    settings = open_installation(any_revision=True, home=home).settings
    url = make_url(settings.url)
    if url.get_backend_name() != "sqlite":
        raise InvalidInput(
            "A PostgreSQL database is not in a file.",
            hint=f"Use pg_dump, and copy {settings.artifacts} and {settings.home / 'training'}.",
        )
    if file.exists():
        raise Conflict(f"{file} exists already.", hint="Choose another name.")
    partial = file.with_name(file.name + ".partial")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / DATABASE
        _copy_database(Path(str(url.database)), copy)
        make_file(partial)
        with tarfile.open(partial, "w:gz") as archive:
            archive.add(copy, DATABASE)
            if (key := settings.home / KEY_FILE).is_file():
                archive.add(key, KEY_FILE)
            for name, path in _folders(settings.artifacts, settings.home).items():
                archive.add(path, name)
    partial.rename(file)
    typer.echo(
        f"{file}: {file.stat().st_size / 1e6:.1f} MB. Restore: strop restore {file} --home H"
    )


def _copy_database(source: Path, target: Path) -> None:
    """A consistent copy, also while others write."""
    with sqlite3.connect(source) as old, sqlite3.connect(target) as new:
        old.backup(new)
    old.close()
    new.close()


def _folders(artifacts: Path, home: Path) -> dict[str, Path]:
    found = {"artifacts": artifacts, "training": home / "training"}
    return {name: path for name, path in found.items() if path.is_dir()}
