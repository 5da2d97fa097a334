"""Model versions: the base of a project, its adapters, and models served elsewhere."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from sqlalchemy.orm import Session

from backend.api.deps import ServingDep, SessionDep
from backend.api.once import OnceDep
from backend.schemas.models import AdapterIn, ModelVersionOut, ServedModelIn
from backend.services import overview
from backend.services.models import others
from backend.services.models import versions as model_versions
from backend.services.models.adapter_files import NamedBy
from backend.tables.models import ModelVersion

router = APIRouter(tags=["model versions"])


def _show(session: Session, model: ModelVersion) -> ModelVersionOut:
    aliases = overview.aliases_of_models(session, model.project_id).get(model.id, [])
    return ModelVersionOut.of(model, aliases=aliases)


@router.get("/projects/{project_id}/model-versions")
def list_models(project_id: int, session: SessionDep, tried: bool = False) -> list[ModelVersionOut]:
    """The base first, then the adapters in order of registration.

    Candidates whose prompt a search only tried are left out unless they are asked for.
    """
    found = model_versions.list_models(session, project_id, tried=tried)
    return [_show(session, model) for model in found]


@router.post("/projects/{project_id}/model-versions", status_code=201)
def add_adapter(
    project_id: int, body: AdapterIn, session: SessionDep, serving: ServingDep, once: OnceDep
) -> ModelVersionOut:
    """Register an adapter folder; it must lie in the project's own, below the artifact root."""
    base = None if body.base is None else others.find_base(session, project_id, body.base)
    base_id = None if base is None else others.id_of_other_base(base)
    session.rollback()  # the look for an earlier answer is over: weights are read in no transaction
    path, settings = Path(body.path), serving.settings
    seen = model_versions.look_at_adapter(
        serving.writing,
        project_id,
        body.name,
        path,
        settings=settings,
        named_by=NamedBy.REQUEST,
        base_id=base_id,
    )
    model = model_versions.register_adapter(
        session, project_id, body.name, path, settings=settings, seen=seen, base_id=base_id
    )
    return once.answer(_show(session, model))


@router.post("/projects/{project_id}/served-models", status_code=201)
def add_served_model(
    project_id: int, body: ServedModelIn, session: SessionDep, once: OnceDep
) -> ModelVersionOut:
    """Register a model that a server elsewhere knows by a name; no server is asked."""
    model = others.register_served(session, project_id, body.name, body.served_as)
    return once.answer(_show(session, model))
