"""Training sets: freezing, listing, and export in the formats of other tools."""

from __future__ import annotations

from fastapi import APIRouter

from backend.api.deps import SessionDep
from backend.api.once import OnceDep
from backend.schemas.curation import TrainingSetGiven, TrainingSetShown
from backend.services import curation

router = APIRouter(tags=["training sets"])


@router.get("/projects/{project_id}/training-sets")
def list_training_sets(project_id: int, session: SessionDep) -> list[TrainingSetShown]:
    """The frozen sets of a project."""
    found = curation.list_training_sets(session, project_id)
    return [TrainingSetShown.model_validate(frozen) for frozen in found]


@router.post("/projects/{project_id}/training-sets", status_code=201)
def freeze_training_set(
    project_id: int, body: TrainingSetGiven, session: SessionDep, once: OnceDep
) -> TrainingSetShown:
    """Freeze a set by a recipe; what is held out is refused."""
    frozen = curation.freeze_training_set(
        session,
        project_id=project_id,
        name=body.name,
        recipe=curation.recipe_from_content(body.recipe),
    )
    return once.answer(TrainingSetShown.model_validate(frozen))
