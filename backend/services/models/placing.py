"""How an adapter that was made outside a training comes into the project's own folder.

It is written into a folder that nobody reads, read whole there, renamed into its place (the name,
the digest of its files, and of the record of its training where it has one), and registered; what
was not registered is removed.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.db import reading
from backend.errors import InvalidInput
from backend.services.models.seen import SeenAdapter, see_adapter
from backend.services.models.versions import register_adapter
from backend.settings import Settings
from backend.tables.models import ModelVersion
from training.config import TrainingError
from training.weights.digest import adapter_sha256


@dataclass(frozen=True, slots=True)
class PlacedFolder:
    """An adapter that was read where it will be served from; `made` is what was made for it."""

    seen: SeenAdapter
    made: Path | None = None


@dataclass(frozen=True, slots=True)
class Registered:
    """A registered adapter; `facts_known` is whether its folder records what it learned from."""

    label: str
    rank: int
    sha256: str
    path: Path
    facts_known: bool


def place_adapter(
    own: Path, name: str, base_model: str, fill: Callable[[Path], None], *, called: str
) -> PlacedFolder:
    """Write an adapter and put it into its place below `own`; the same files again lie there.

    What was begun there more than a day ago and never ended, by a process that was killed, goes.

    Args:
        fill: writes the adapter into a new folder.
        called: how refusals name that folder.

    Raises:
        InvalidInput: it is damaged, unsafe or of another base, or its place holds other files.
    """
    _clear_abandoned(own)
    scratch = own / f".{uuid4().hex}.new"
    fresh = scratch / called
    fresh.mkdir(parents=True)
    try:
        fill(fresh)
        seen = see_adapter(fresh, base_model)
        facts = json.dumps(seen.folder.facts, sort_keys=True).encode()
        # the same weights that came with another record of their training lie apart
        mark = f"-{hashlib.sha256(facts).hexdigest()[:8]}" if seen.folder.facts else ""
        place = own / f"{name}-{seen.digest[:12]}{mark}"
        made = _put(fresh, place, seen.digest)
    except TrainingError as error:
        raise InvalidInput(error.message, hint=error.hint) from error
    finally:
        remove_folder(scratch)
    return PlacedFolder(replace(seen, folder=replace(seen.folder, path=place)), made)


def _clear_abandoned(own: Path) -> None:
    for folder in own.glob(".*.new"):
        with suppress(FileNotFoundError):  # somebody else ended it, or cleared it
            old = time.time() - folder.lstat().st_mtime > _DAY
            if old and _SCRATCH.fullmatch(folder.name):
                remove_folder(folder)


_SCRATCH = re.compile(r"\.[0-9a-f]{32}\.new")
_DAY = 24 * 60 * 60  # seconds


def _put(fresh: Path, place: Path, digest: str) -> Path | None:
    """Move a folder into its place; None where the same files lie there already."""
    if _holds(place, digest):
        return None
    try:
        return fresh.rename(place)
    except OSError:  # somebody else put the same there in between
        if _holds(place, digest):
            return None
        raise


def _holds(place: Path, digest: str) -> bool:
    if not place.exists():
        return False
    if adapter_sha256(place) != digest:
        raise InvalidInput(f"{place} holds other files than were put there.", hint="Remove it.")
    return True


def register_placed(
    sessions: sessionmaker[Session],
    project_id: int,
    name: str,
    placed: PlacedFolder,
    *,
    settings: Settings,
    base_id: int | None = None,
) -> Registered:
    """Register what was placed, and remove what was made for it where another place stands.

    Args:
        base_id: the other base that it is on; None for the project's.

    Raises:
        Forbidden: its weights were trained in another project.
        InvalidInput: it was trained on another base, or its name stands for adapters on one.
    """
    kept: Path | None = None
    seen = placed.seen
    try:
        with sessions.begin() as session:
            model = register_adapter(
                session,
                project_id,
                name,
                seen.folder.path,
                settings=settings,
                seen=seen,
                base_id=base_id,
            )
            path, known = Path(str(model.adapter_path)), bool(model.training_facts)
            registered = Registered(model.label, seen.folder.rank, seen.digest, path, known)
        kept = registered.path
    finally:
        made = placed.made
        if made is not None and made != kept and not _is_registered(sessions, made):
            remove_folder(made)
    return registered


def _is_registered(sessions: sessionmaker[Session], place: Path) -> bool:
    """Whether somebody who added the same adapter meanwhile was served by this folder."""
    query = select(ModelVersion.id).where(ModelVersion.adapter_path == str(place)).limit(1)
    with reading(sessions) as session:
        return session.scalar(query) is not None


def remove_folder(folder: Path) -> None:
    """Remove a folder and what it holds, where there is one."""
    shutil.rmtree(folder, ignore_errors=True)
