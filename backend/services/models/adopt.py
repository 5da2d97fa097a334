"""Adapters that were trained elsewhere: from any folder that a person at this machine names.

What makes the adapter is copied into the project's own folder below the artifact root, whole or
not at all; what lies below the root already, or is wanted `in_place`, is used where it lies. Who
asks from elsewhere may name less: `backend.services.models.adapter_files`.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from sqlalchemy.orm import Session, sessionmaker

from backend.db import reading
from backend.engines.adapters.folders import CONFIG_FILE, WEIGHTS_FILE, Pattern, read_json_object
from backend.errors import InvalidInput
from backend.services.models.adapter_files import own_folder, project_artifacts
from backend.services.models.others import find_base, id_of_other_base, list_bases
from backend.services.models.placing import PlacedFolder, Registered, place_adapter, register_placed
from backend.services.models.seen import see_adapter
from backend.services.models.trainer_folders import read_trainer_folder, said_of_origin
from backend.services.models.versions import check_name, ensure_base, refuse_name_on_other_base
from backend.settings import Settings
from backend.tables.models import ModelVersion
from training.weights.digest import resolve_model
from training.weights.tensors import read_tensors


@dataclass(frozen=True, slots=True)
class Adopted:
    """A registered adapter, and what a person has to know of it.

    `notes` says what was left out, what differs from this project's base and what vLLM does not
    serve, a sentence each.
    """

    model: Registered
    notes: tuple[str, ...]


def adopt_adapter(
    sessions: sessionmaker[Session],
    project_id: int,
    name: str,
    path: Path,
    *,
    settings: Settings,
    in_place: bool = False,
    on: str | None = None,
) -> Adopted:
    """Register the adapter in any folder as the next revision of `name`.

    Files are read and copied in no transaction, and a copy that is not registered is removed.

    Args:
        on: label of another base of the project that it is on; None for the project's own.

    Raises:
        Forbidden: the folder, or what it holds, is another project's.
        InvalidInput: the name cannot be one or stands for adapters on another base, there is no
            adapter at the top of the folder, or it is damaged, unsafe or of another base.
        NotFound: the project has no such base.
    """
    check_name(name)
    ensure_base(sessions, project_id)
    with reading(sessions) as session:
        base = find_base(session, project_id, on)
        refuse_name_on_other_base(session, project_id, name, base.name)
        base_model, base_id = base.base_model, id_of_other_base(base)
    source = _named_folder(path)
    try:
        if in_place or source.is_relative_to(settings.artifacts):
            placed, notes = _use_in_place(
                sessions, project_id, source, base_model, settings=settings
            )
        else:
            own = project_artifacts(settings, project_id)
            placed, notes = _copy(source, name, base_model, own)
    except InvalidInput as error:
        raise _with_fitting_base(sessions, project_id, source, base, error) from error
    registered = register_placed(
        sessions, project_id, name, placed, settings=settings, base_id=base_id
    )
    seen = placed.seen.folder
    differs = said_of_origin(
        source, seen.config, base=resolve_model(base_model), base_model=base_model
    )
    return Adopted(registered, (*notes, *differs, *seen.notes))


def _with_fitting_base(
    sessions: sessionmaker[Session],
    project_id: int,
    source: Path,
    refused: ModelVersion,
    error: InvalidInput,
) -> InvalidInput:
    """The refusal, with the other bases of the project that the adapter fits, if it does any."""
    with reading(sessions) as session:
        others = [one for one in list_bases(session, project_id) if one.id != refused.id]
    fitting = []
    for one in others:
        with suppress(InvalidInput):
            see_adapter(source, one.base_model)
            fitting.append(one.label)
    if not fitting:
        return error
    return InvalidInput(
        f"{error.message.rstrip('.')} (asked for on {refused.label}).",
        hint=f"It fits {' and '.join(fitting)}: name its base with --base.",
    )


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
) -> tuple[PlacedFolder, list[str]]:
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
    notes = [f"It stays in {source}: a backup does not hold it."] if outside else []
    return PlacedFolder(see_adapter(source, base_model)), notes


def _copy(source: Path, name: str, base_model: str, own: Path) -> tuple[PlacedFolder, list[str]]:
    found = read_trainer_folder(source)
    notes: list[str] = []

    def fill(fresh: Path) -> None:
        for file in found.taken:
            file.copy_to(fresh / file.name)
        notes.extend(_name_modules(fresh))

    placed = place_adapter(own, name, base_model, fill, called=source.name)
    return placed, [*notes, *found.left_out]


def _name_modules(folder: Path) -> list[str]:
    """Name the modules of an adapter whose configuration has a pattern over all of a model.

    Unsloth writes patterns that take long on hostile names and are refused (`Pattern`); the tensors
    say which modules they met.
    """
    config = read_json_object(folder / CONFIG_FILE)
    pattern = config.get("target_modules")
    if not isinstance(pattern, str):
        return []
    with suppress(ValidationError):
        TypeAdapter(Pattern).validate_python(pattern)
        return []
    stems = {name.partition(".lora_")[0] for name in read_tensors(folder / WEIGHTS_FILE)}
    modules = sorted(stem.removeprefix("base_model.model.") for stem in stems)
    text = json.dumps(config | {"target_modules": modules}, indent=2, sort_keys=True)
    (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
    return [f"Its pattern of target_modules is written as the {len(modules)} modules that it met."]
