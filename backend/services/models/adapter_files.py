"""Which folders of weights a project may name, and what a whole model's folder holds.

Adapters and models lie below the artifact root, where each project has a folder of its own: weights
that were trained in one project may have learned test rows of another. What is in an adapter's
folder is for `backend.engines.adapters.folders` to say. Refusals name folders as they were given,
never where the root lies.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.engines.adapters.folders import FACTS_FILE, check_facts, read_json_object
from backend.engines.adapters.unsafe import refuse_unsafe_files
from backend.errors import Forbidden, InvalidInput, raised_as
from backend.settings import Settings
from backend.tables.models import ModelKind, ModelVersion
from backend.tables.training import TrainingRun
from training.config import TrainingError
from training.weights.tensors import model_tensors, require_finite


class NamedBy(StrEnum):
    """Who names a folder: somebody at this machine, or a request from anywhere."""

    PERSON = "person"
    REQUEST = "request"


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A fully trained model's folder; `facts` is what training recorded in strop.json."""

    path: Path
    facts: dict[str, Any]


def project_artifacts(settings: Settings, project_id: int) -> Path:
    """The folder of a project's own weights, below the artifact root."""
    return settings.artifacts / f"project-{project_id}"


def own_folder(
    session: Session,
    project_id: int,
    path: Path,
    *,
    settings: Settings,
    named_by: NamedBy = NamedBy.PERSON,
) -> Path:
    """The folder of weights that a project names, links resolved.

    A request may name what lies in the project's own folder, below which a relative path counts,
    or what is the project's already. A person at this machine may name any folder below the
    artifact root that is not another project's.

    Raises:
        Forbidden: it lies elsewhere, or is another project's.
        InvalidInput: it is no folder.
    """
    own = project_artifacts(settings, project_id).resolve()
    asked = own / path if named_by is NamedBy.REQUEST else path
    try:
        folder = asked.resolve()
        is_folder = folder.is_dir()
    except (OSError, ValueError, RuntimeError) as error:  # too long, a zero character, a circle
        raise InvalidInput(f"{str(path)[:200]!r} cannot be a folder.") from error
    if not folder.is_relative_to(settings.artifacts):
        raise Forbidden(
            f"The folder {str(path)[:200]!r} lies outside the artifact root.",
            hint=f"Copy it into {own.name} below the artifact root, or set STROP_ARTIFACT_ROOT.",
        )
    inside, mine = folder != own and folder.is_relative_to(own), False
    if not inside:
        mine, foreign = _claims(session, project_id, folder, settings)
        if foreign and not mine:
            raise Forbidden(
                f"The folder {str(path)[:200]!r} belongs to another project, whose training rows "
                "may be test rows here.",
                hint="Train it here, or register it there.",
            )
    if named_by is NamedBy.REQUEST and not inside and not mine:
        raise Forbidden(
            f"The folder {str(path)[:200]!r} does not lie in this project's own folder.",
            hint=f"Copy it into {own.name} below the artifact root.",
        )
    if not is_folder:
        raise InvalidInput(f"There is no folder {str(path)[:200]!r}.", hint="Name a PEFT folder.")
    return folder


def _claims(
    session: Session, project_id: int, folder: Path, settings: Settings
) -> tuple[bool, bool]:
    """Whether a folder is, or lies in, what this project has registered or trained; and whether it
    is, holds, or lies in what another project has."""
    first = folder.relative_to(settings.artifacts).parts[:1]
    own = project_artifacts(settings, project_id).name
    foreign = bool(first) and first[0] != own and bool(_PROJECT_FOLDER.fullmatch(first[0]))
    models = select(
        ModelVersion.project_id, ModelVersion.adapter_path, ModelVersion.base_model
    ).where(ModelVersion.kind == ModelKind.WEIGHTS)  # another's base_model is a name, no place
    runs = select(TrainingRun.project_id, TrainingRun.output_dir)
    mine = False
    for project, *places in (*session.execute(models), *session.execute(runs)):
        for known in (Path(place) for place in places if place):
            if not known.is_relative_to(settings.artifacts):  # a base is everybody's
                continue
            mine |= project == project_id and folder.is_relative_to(known)
            overlaps = folder.is_relative_to(known) or known.is_relative_to(folder)
            foreign |= project != project_id and overlaps
    return mine, foreign


_PROJECT_FOLDER = re.compile(r"project-[0-9]+")


def read_model(folder: Path) -> ModelFolder:
    """Look at the folder of a whole model without loading it.

    Raises:
        InvalidInput: a file of it could run code, leads out of it, is missing, truncated or not
            what it should be; or a weight is not finite.
    """
    refuse_unsafe_files(folder)
    read_json_object(folder / "config.json")
    check_model_finite(folder)
    record = folder / FACTS_FILE
    facts = read_json_object(record) if record.exists() else {}
    return ModelFolder(folder, check_facts(folder, facts))


def check_model_finite(folder: Path) -> None:
    """Raise InvalidInput when a file of a whole model is damaged or a weight is not finite."""
    with raised_as(InvalidInput, TrainingError):
        require_finite(model_tensors(folder), f"The model {folder.name}")
