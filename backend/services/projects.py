"""Projects, and the bar: success manifests in versions that are never edited."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import yaml
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput, NotFound
from backend.schemas.projects import Manifest
from backend.services.metric_specs import BUILT_IN, AllowedMetrics, check_line_metrics, check_maxima
from backend.tables.projects import Project, SuccessManifest


def create_project(session: Session, name: str, *, base_model: str) -> Project:
    """Make a project. Raises Conflict when the name is taken.

    A base model in a folder is kept by its absolute path, since workers run elsewhere.
    """
    if session.scalar(select(Project).where(Project.name == name)) is not None:
        raise Conflict(f"A project named {name!r} exists already.", hint="Choose another name.")
    if Path(base_model).is_dir():
        base_model = str(Path(base_model).resolve())
    project = Project(name=name, base_model=base_model)
    session.add(project)
    session.flush()
    return project


def get_project(session: Session, name: str | None = None) -> Project:
    """The project of that name; without a name, the only one there is."""
    query = select(Project).order_by(Project.id)
    projects = session.scalars(query if name is None else query.where(Project.name == name)).all()
    if not projects:
        known = session.scalars(select(Project.name)).all()
        raise NotFound(
            f"There is no project named {name!r}." if name else "There is no project yet.",
            hint=f"Known: {', '.join(known)}." if known else "Make one: strop init NAME",
        )
    if len(projects) > 1:
        names = ", ".join(project.name for project in projects)
        raise InvalidInput("There are several projects.", hint=f"Say --project: {names}.")
    return projects[0]


def lock_project(session: Session, project_id: int) -> None:
    """Let nobody else pass this line for the project until the transaction ends.

    Who reads what is held out and writes what is trained on, or the other way round, takes it
    first: on PostgreSQL neither would see what the other has not committed. SQLite has one writer.
    """
    session.execute(select(Project.id).where(Project.id == project_id).with_for_update())


def parse_manifest(source: str) -> Manifest:
    """Read a manifest from YAML. Raises InvalidInput naming the first thing that is wrong."""
    try:
        return Manifest.model_validate(yaml.safe_load(source))
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise InvalidInput(f"The manifest is not YAML: {said}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "manifest"
        raise InvalidInput(
            f"The manifest is not valid at {where}: {first['msg']}.",
            hint="A line has metric, slice, direction, and one of threshold, margin and guardrail.",
        ) from error


def manifest_digest(manifest: Manifest) -> str:
    """SHA-256 over the meaning of a manifest, so that comments and key order do not matter."""
    content = json.dumps(manifest.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()


def set_manifest(
    session: Session,
    project_id: int,
    source: str,
    *,
    created_by_id: int | None = None,
    allowed: AllowedMetrics = BUILT_IN,
) -> SuccessManifest:
    """Set the bar; the same content again is the version that stands, other content a new one.

    Raises:
        InvalidInput: it is no manifest, or a line is on no metric; the nearest are named.
        Forbidden: a line is on a metric that the project may not use.
    """
    manifest = parse_manifest(source)
    check_line_metrics((line.metric for line in manifest.lines), allowed)
    check_maxima(manifest.lines)
    digest = manifest_digest(manifest)
    lock_project(session, project_id)
    current = find_manifest(session, project_id)
    if current is not None and current.digest == digest:
        return current
    row = SuccessManifest(
        project_id=project_id,
        version=1 if current is None else current.version + 1,
        digest=digest,
        content=manifest.model_dump(mode="json"),
        source=source,
        created_by_id=created_by_id,
    )
    session.add(row)
    session.flush()
    return row


def find_manifest(session: Session, project_id: int) -> SuccessManifest | None:
    """The newest version of the bar, if one was set."""
    query = select(SuccessManifest).where(SuccessManifest.project_id == project_id)
    return session.scalar(query.order_by(SuccessManifest.version.desc()).limit(1))


def current_manifest(session: Session, project_id: int) -> SuccessManifest:
    """The newest version of the bar. Raises Conflict when none was set."""
    row = find_manifest(session, project_id)
    if row is None:
        raise Conflict(
            "No success manifest is set, so nothing could be proved.",
            hint="Set the bar first: strop manifest set FILE",
        )
    return row


def manifest_of(row: SuccessManifest) -> Manifest:
    """The manifest as the gate reads it."""
    return Manifest.model_validate(row.content)


def list_manifests(session: Session, project_id: int) -> list[SuccessManifest]:
    """All versions of the bar, oldest first."""
    query = select(SuccessManifest).where(SuccessManifest.project_id == project_id)
    return list(session.scalars(query.order_by(SuccessManifest.version)))
