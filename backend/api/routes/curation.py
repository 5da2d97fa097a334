"""Training sets: freezing, listing, and export in the formats of other tools."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from backend.api.deps import CurrentUser, NowDep, ServingDep, SessionDep
from backend.api.once import OnceDep
from backend.api.streams import stream_lines
from backend.schemas.curation import TrainingSetIn, TrainingSetOut
from backend.services import curation
from backend.services.curation import formats as exports
from backend.services.datasets.leaks import acceptance
from backend.services.models.adapter_files import project_artifacts
from backend.tables.curation import TrainingSet

router = APIRouter(tags=["training sets"])


def _show(frozen: TrainingSet) -> TrainingSetOut:
    return TrainingSetOut.of(frozen, in_words=curation.describe_set(frozen))


@router.get("/projects/{project_id}/training-sets")
def list_training_sets(project_id: int, session: SessionDep) -> list[TrainingSetOut]:
    """The frozen sets of a project."""
    found = curation.list_training_sets(session, project_id)
    return [_show(frozen) for frozen in found]


@router.post("/projects/{project_id}/training-sets", status_code=201)
def freeze_training_set(
    project_id: int,
    body: TrainingSetIn,
    session: SessionDep,
    serving: ServingDep,
    user: CurrentUser,
    once: OnceDep,
    now: NowDep,
) -> TrainingSetOut:
    """Freeze a set by a recipe; what is held out is refused."""
    frozen = curation.freeze_training_set(
        session,
        project_id=project_id,
        name=body.name,
        recipe=curation.recipe_from_content(body.recipe),
        accept_leaks=acceptance(body.accept_leaks, user.id, now),
        encoders=project_artifacts(serving.settings, project_id),
    )
    return once.answer(_show(frozen))


@router.get("/training-sets/{training_set_id}/export", response_class=StreamingResponse)
def stream_training_set(
    training_set_id: int,
    serving: ServingDep,
    format: Annotated[str, Query(max_length=40, description="sft, dpo, kto, openai, ...")] = "sft",
) -> StreamingResponse:
    """The rows of the format's kind as JSONL, in the format of another tool."""
    exports.get_format(format)

    def lines() -> Iterator[str]:
        with serving.reading() as session:
            rows = curation.training_rows(session, training_set_id)
            for row in exports.export_rows(rows, format):
                yield json.dumps(row, ensure_ascii=False) + "\n"

    return stream_lines(lines(), filename=f"training-set-{training_set_id}-{format}.jsonl")
