"""Projects and their success manifests."""

from __future__ import annotations

from fastapi import APIRouter

from backend.api.deps import CurrentUser, ServingDep, SessionDep
from backend.api.once import OnceDep
from backend.engines import ENGINES
from backend.schemas.projects import (
    KindOut,
    KindsOut,
    ManifestIn,
    ManifestOut,
    ProjectIn,
    ProjectOut,
)
from backend.schemas.queue import JobOut
from backend.services import overview, projects, queue
from backend.services.accounts import users
from backend.services.curation.formats import FORMATS
from backend.services.metric_specs import allowed_metrics
from backend.services.review.opening.targets import MEASURES
from backend.services.rounds.steps import PHASES

router = APIRouter(tags=["projects"])


@router.get("/projects")
def list_projects(session: SessionDep, user: CurrentUser) -> list[ProjectOut]:
    """The projects that I may see; an expert sees none."""
    found = users.visible_projects(session, user)
    return [ProjectOut.model_validate(project) for project in found]


@router.post("/projects", status_code=201)
def make_project(
    body: ProjectIn, session: SessionDep, serving: ServingDep, once: OnceDep
) -> ProjectOut:
    """A new project."""
    base_model = body.base_model or serving.settings.base_model
    project = projects.create_project(session, body.name, base_model=base_model)
    return once.answer(ProjectOut.model_validate(project))


@router.get("/projects/{project_id}")
def show_project(project_id: int, session: SessionDep, user: CurrentUser) -> ProjectOut:
    """One project."""
    found = {project.id: project for project in users.visible_projects(session, user)}
    return ProjectOut.model_validate(found[project_id])


@router.get("/kinds")
def list_kinds() -> KindsOut:
    """What may be named in requests: engines, formats of training rows, targets, phases."""

    def shown(words: dict[str, str]) -> list[KindOut]:
        return [KindOut(name=name, words=said) for name, said in words.items()]

    return KindsOut(
        engines=list(ENGINES),
        export_formats=shown({name: entry.description for name, entry in FORMATS.items()}),
        review_targets=shown({name: entry.title for name, entry in MEASURES.items()}),
        round_phases=[phase.value for phase in PHASES],
    )


@router.get("/projects/{project_id}/manifests")
def list_manifests(project_id: int, session: SessionDep) -> list[ManifestOut]:
    """All versions of the bar, oldest first; the last one stands."""
    found = projects.list_manifests(session, project_id)
    return [ManifestOut.model_validate(manifest) for manifest in found]


@router.post("/projects/{project_id}/manifests", status_code=201)
def set_manifest(
    project_id: int,
    body: ManifestIn,
    session: SessionDep,
    serving: ServingDep,
    user: CurrentUser,
    once: OnceDep,
) -> ManifestOut:
    """A new version of the bar; the same content again is the version that stands."""
    row = projects.set_manifest(
        session,
        project_id,
        body.source,
        created_by_id=user.id,
        allowed=allowed_metrics(serving.settings, project_id),
    )
    return once.answer(ManifestOut.model_validate(row))


@router.get("/projects/{project_id}/jobs", tags=["jobs"])
def list_project_jobs(project_id: int, session: SessionDep) -> list[JobOut]:
    """The newest jobs of a project."""
    found = overview.jobs_of_project(session, project_id)
    return [JobOut.model_validate(job) for job in found]


@router.get("/jobs", tags=["jobs"])
def list_jobs(session: SessionDep) -> list[JobOut]:
    """The newest jobs of all projects."""
    return [JobOut.model_validate(job) for job in queue.list_jobs(session)]
