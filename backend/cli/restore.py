"""`strop restore FILE --home H`: an installation as `strop backup` wrote it."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.cli.backup import DATABASE

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


# Python before 3.11.4 has no filters.
EXTRACTION: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


def command(
    file: Annotated[Path, typer.Argument(help="Archive that strop backup wrote.")],
    home: Annotated[Path, typer.Option("--home", help="New folder of the installation.")],
) -> None:
    """Unpack a backup into a new folder and let the database know where its files are now."""
    from backend.db import connect, migrate
    from backend.errors import Conflict, InvalidInput
    from backend.private_files import close_installation, make_folder
    from backend.settings import load_settings

    if home.exists() and any(home.iterdir()):
        raise Conflict(f"{home} is not empty.", hint="Name a new folder.")
    try:
        with tarfile.open(file) as archive:
            if DATABASE not in archive.getnames():
                raise InvalidInput(f"{file} is not a backup: it holds no {DATABASE}.")
            _refuse_what_escapes(archive, home)
            make_folder(home)
            archive.extractall(home, **EXTRACTION)
    except (tarfile.TarError, EOFError) as error:
        raise InvalidInput(
            f"{file} is not a whole archive: {error}.", hint="Copy it again."
        ) from error
    settings = load_settings(home=home, database_url=f"sqlite:///{(home / DATABASE).absolute()}")
    close_installation(settings)
    migrate(settings.url)
    with connect(settings).begin() as session:
        moved = _move_adapters(session, settings.artifacts)
    typer.echo(
        f"Restored to {home}; {moved} adapters found again. Check it: strop doctor --home {home}"
    )


def _refuse_what_escapes(archive: tarfile.TarFile, home: Path) -> None:
    """Let nothing through but files and folders that lie below the new folder."""
    root = home.resolve()
    for member in archive:
        inside = (root / member.name).resolve().is_relative_to(root)
        if not inside or not (member.isfile() or member.isdir()):
            raise tarfile.TarError(f"{member.name!r} is no file below the folder")


def _move_adapters(session: Session, artifacts: Path) -> int:
    """Point what was trained at the folder of the same name below the new artifact root."""
    from sqlalchemy import select

    from backend.tables.model_versions import BASE, ModelVersion

    models = session.scalars(select(ModelVersion).where(ModelVersion.name != BASE))
    moved = 0
    for model in models:
        old = Path(model.adapter_path or model.base_model)
        # The longest tail of the old path that exists below the new root.
        tails = (artifacts.joinpath(*old.parts[i:]) for i in range(1, len(old.parts)))
        if (found := next((path for path in tails if path.is_dir()), None)) is not None:
            if model.is_own_base:
                model.base_model = str(found)
            else:
                model.adapter_path = str(found)
            moved += 1
    return moved
