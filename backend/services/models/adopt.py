"""Adapters that were trained elsewhere: from any folder that a person at this machine names.

What makes the adapter is copied into the project's own folder below the artifact root, whole or
not at all; what lies below the root already, or is wanted `in_place`, is used where it lies. Who
asks from elsewhere may name less: `backend.services.models.adapter_files`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from pydantic import TypeAdapter, ValidationError
from sqlalchemy.orm import Session, sessionmaker

from backend.db import reading
from backend.engines.adapters.folders import CONFIG_FILE, WEIGHTS_FILE, Pattern, read_json_object
from backend.errors import InvalidInput, StropError
from backend.services.models.adapter_files import own_folder, project_artifacts
from backend.services.models.trainer_folders import (
    TrainerFolder,
    read_trainer_folder,
    said_of_origin,
)
from backend.services.models.versions import (
    SeenAdapter,
    check_name,
    ensure_base,
    register_adapter,
    see_adapter,
)
from backend.settings import Settings
from backend.tables.projects import Project
from training.config import TrainingError
from training.weights.digest import adapter_sha256, resolve_model
from training.weights.tensors import read_tensors


@dataclass(frozen=True, slots=True)
class Adopted:
    """A registered adapter, and what a person has to know of it.

    Attributes:
        facts_known: whether its folder records what it was trained on.
        notes: what was left out, what differs from this project's base, what vLLM does not serve;
            a sentence each.
    """

    label: str
    rank: int
    sha256: str
    path: Path
    facts_known: bool
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Placed:
    """An adapter that was read where it will be served from; `made` is what was made for it."""

    seen: SeenAdapter
    notes: tuple[str, ...]
    made: Path | None = None


def adopt_adapter(
    sessions: sessionmaker[Session],
    project_id: int,
    name: str,
    path: Path,
    *,
    settings: Settings,
    in_place: bool = False,
) -> Adopted:
    """Register the adapter in any folder as the next revision of `name`.

    Files are read and copied in no transaction, and a copy that is not registered is removed.

    Raises:
        Forbidden: the folder, or what it holds, is another project's.
        InvalidInput: the name cannot be one, there is no adapter at the top of the folder, or it
            is damaged, unsafe or of another base.
    """
    check_name(name)
    ensure_base(sessions, project_id)
    with reading(sessions) as session:
        base_model = session.get_one(Project, project_id).base_model
    source = _named_folder(path)
    if in_place or source.is_relative_to(settings.artifacts):
        placed = _use_in_place(sessions, project_id, source, base_model, settings=settings)
    else:
        placed = _copy(source, name, base_model, project_artifacts(settings, project_id))
    with _removing_unless_kept(placed), sessions.begin() as session:
        folder = placed.seen.folder
        model = register_adapter(
            session, project_id, name, folder.path, settings=settings, seen=placed.seen
        )
        kept = Path(str(model.adapter_path))
        adopted = Adopted(
            model.label,
            folder.rank,
            placed.seen.digest,
            kept,
            bool(model.training_facts),
            (*placed.notes, *folder.notes),
        )
    if placed.made not in (None, kept):
        _remove(placed.made)
    return adopted


def _named_folder(path: Path) -> Path:
    try:
        folder = path.expanduser().resolve()
        found = folder.is_dir()
    except (OSError, ValueError, RuntimeError) as error:  # too long, a zero character, a circle
        raise InvalidInput(f"{str(path)[:200]!r} cannot be a folder.") from error
    if not found:
        raise InvalidInput(f"There is no folder {str(path)[:200]!r}.", hint="Name a PEFT folder.")
    return folder


def _use_in_place(
    sessions: sessionmaker[Session],
    project_id: int,
    source: Path,
    base_model: str,
    *,
    settings: Settings,
) -> _Placed:
    outside = not source.is_relative_to(settings.artifacts)
    if not outside:
        with reading(sessions) as session:
            own_folder(session, project_id, source, settings=settings)
    found = read_trainer_folder(source)
    if found.pickles:
        raise InvalidInput(
            f"{source.name} holds {found.pickles[0]}, which may be a pickle and could run code.",
            hint="Leave out --in-place: a copy is made without it."
            if outside
            else "Move the folder out of the artifact root: a copy is made without it.",
        )
    seen = see_adapter(source, base_model)
    notes = _origin(source, seen, base_model)
    if outside:
        notes = (f"It stays in {source}: a backup does not hold it.", *notes)
    return _Placed(seen, notes)


def _copy(source: Path, name: str, base_model: str, own: Path) -> _Placed:
    """Copy an adapter beside its place, read the copy, and rename it into its place."""
    found = read_trainer_folder(source)
    scratch = own / f".{uuid4().hex}.new"
    fresh = scratch / source.name  # refusals name the folder as it was given
    try:
        rewritten = _copy_files(found, fresh)
        seen = see_adapter(fresh, base_model)
        notes = (*rewritten, *found.left_out, *_origin(source, seen, base_model))
        place = own / f"{name}-{seen.digest[:12]}"
        if place.exists() and adapter_sha256(place) != seen.digest:
            raise InvalidInput(
                f"{place} holds other files than were copied there.", hint="Remove that folder."
            )
        made = None if place.exists() else fresh.rename(place)
    except TrainingError as error:
        raise InvalidInput(error.message, hint=error.hint) from error
    finally:
        _remove(scratch)
    return _Placed(replace(seen, folder=replace(seen.folder, path=place)), notes, made)


def _copy_files(found: TrainerFolder, fresh: Path) -> list[str]:
    """Copy what makes the adapter; what was written otherwise than it was, in sentences."""
    fresh.mkdir(parents=True)
    for file in found.taken:
        shutil.copyfile(file, fresh / file.name)
    return _name_modules(fresh)


def _name_modules(folder: Path) -> list[str]:
    """Name the modules of an adapter whose configuration has a pattern over all of a model.

    Unsloth writes patterns that take long on hostile names and are refused (`Pattern`); the tensors
    say which modules they met.
    """
    config = read_json_object(folder / CONFIG_FILE)
    pattern = config.get("target_modules")
    if not isinstance(pattern, str) or _is_plain(pattern):
        return []
    stems = {name.partition(".lora_")[0] for name in read_tensors(folder / WEIGHTS_FILE)}
    modules = sorted(stem.removeprefix("base_model.model.") for stem in stems)
    text = json.dumps(config | {"target_modules": modules}, indent=2, sort_keys=True)
    (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
    return [f"Its pattern of target_modules is written as the {len(modules)} modules that it met."]


def _is_plain(pattern: str) -> bool:
    try:
        TypeAdapter(Pattern).validate_python(pattern)
    except ValidationError:
        return False
    return True


def _origin(source: Path, seen: SeenAdapter, base_model: str) -> tuple[str, ...]:
    base = resolve_model(base_model)
    return tuple(said_of_origin(source, seen.folder.config, base=base, base_model=base_model))


@contextmanager
def _removing_unless_kept(placed: _Placed) -> Iterator[None]:
    try:
        yield
    except StropError:
        if placed.made is not None:
            _remove(placed.made)
        raise


def _remove(folder: Path | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
