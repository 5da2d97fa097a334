"""Models beside a project's base and what was made of it: other bases, and models served elsewhere.

Another base is what a fully trained model is, a base of its own that shares an engine with its own
adapters alone; it may have another tokeniser. A model served elsewhere is a name that a server
knows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.engines.adapters.folders import FACTS_FILE, check_facts, read_json_object
from backend.errors import InvalidInput
from backend.services.models.adapter_files import own_folder
from backend.services.models.seen import SeenBase
from backend.services.models.versions import (
    NO_FILES,
    add_model,
    check_name,
    find_model,
    latest_revision,
    next_revision,
    refuse_foreign,
    register_base,
)
from backend.settings import Settings
from backend.tables.models import BASE, ModelKind, ModelVersion

_LONGEST_NAME_ELSEWHERE = 300


def place_of_base(session: Session, project_id: int, base_model: str, settings: Settings) -> str:
    """The folder or hub name of another base, as it is registered.

    Raises:
        Forbidden: it lies in the folder of another project.
    """
    folder = Path(base_model)
    if not folder.is_dir():
        return base_model
    resolved = folder.resolve()
    if resolved.is_relative_to(settings.artifacts):
        return str(own_folder(session, project_id, resolved, settings=settings))
    return str(resolved)


def register_other_base(
    session: Session, project_id: int, name: str, base_model: str, *, seen: SeenBase
) -> ModelVersion:
    """Register another base model as the next revision of a name.

    The same files again are the revision that stands.

    Args:
        base_model: as `place_of_base` gives it.
        seen: what `see_base` read of it, in no transaction.

    Raises:
        Forbidden: its weights were trained in another project.
        InvalidInput: the name cannot be one or stands for another kind of model, or the record in
            its folder is none.
    """
    check_name(name)
    learned = _recorded_parents_of(Path(base_model))
    refuse_foreign(session, project_id, seen.base_sha256, learned)
    latest = latest_revision(session, project_id, name)
    revision = next_revision(session, project_id, name)
    columns = seen.as_columns()
    if latest is not None and all(getattr(latest, n) == v for n, v in columns.items()):
        if latest.is_own_base:
            return latest
        raise InvalidInput(
            f"The name {name} already stands for {latest.label}.", hint="Choose another name."
        )
    model = ModelVersion(
        project_id=project_id,
        name=name,
        revision=revision,
        base_model=base_model,
        training_facts=learned,
        **columns,
    )
    return add_model(session, model)


def find_base(session: Session, project_id: int, label: str | None) -> ModelVersion:
    """The base that an adapter is, or is to be, on: the project's own where none is named.

    Raises:
        NotFound: the project has no such model.
        InvalidInput: it is no base.
    """
    if label is None or label == BASE:
        return register_base(session, project_id)
    model = find_model(session, project_id, label)
    if model.prompt is not None or not (model.is_base or model.is_own_base):
        known = [one.label for one in list_bases(session, project_id)]
        raise InvalidInput(f"{model.label} is no base.", hint=f"Bases here: {', '.join(known)}.")
    return model


def list_bases(session: Session, project_id: int) -> list[ModelVersion]:
    """What adapters of a project can be on: its base, other bases, and fully trained models."""
    query = select(ModelVersion).where(
        ModelVersion.project_id == project_id,
        ModelVersion.kind == ModelKind.WEIGHTS,
        ModelVersion.adapter_path.is_(None),
        ModelVersion.bare_id.is_(None),
    )
    return list(session.scalars(query.order_by(ModelVersion.id)))


def id_of_other_base(base: ModelVersion) -> int | None:
    """The `base_id` of an adapter on this base: None on the project's own."""
    return None if base.is_base else base.id


def _recorded_parents_of(folder: Path) -> dict[str, Any]:
    """What its record says that its weights were made of, as a merged export has it; else empty.

    What those learned from, it has learned.
    """
    if not (folder / FACTS_FILE).is_file():
        return {}
    record = check_facts(folder, read_json_object(folder / FACTS_FILE))
    return {key: record[key] for key in _OF_PARENTS if record.get(key)}


_OF_PARENTS = ("merged_from", "start_from_sha256", "method")


def register_served(session: Session, project_id: int, name: str, served_as: str) -> ModelVersion:
    """Register a model that a server elsewhere knows by a name, as the next revision of ours.

    The same name there again is the revision that stands. Nothing is asked of any server.

    Raises:
        InvalidInput: a name that cannot be one, or that means a model with files here.
    """
    check_name(name)
    given = served_as.strip()
    if not 0 < len(given) <= _LONGEST_NAME_ELSEWHERE or not given.isprintable():
        raise InvalidInput(
            "The name that a server knows a model by has 1 to "
            f"{_LONGEST_NAME_ELSEWHERE} printable characters."
        )
    latest = latest_revision(session, project_id, name)
    if latest is not None and (latest.kind, latest.base_model) == (ModelKind.SERVED, given):
        return latest
    model = ModelVersion(
        project_id=project_id,
        name=name,
        revision=next_revision(session, project_id, name, kind=ModelKind.SERVED),
        kind=ModelKind.SERVED,
        base_model=given,
        **NO_FILES,
    )
    return add_model(session, model)
