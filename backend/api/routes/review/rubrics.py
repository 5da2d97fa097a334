"""Rubrics: those that come with Strop, and the versions of a project's own."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from backend.api.deps import SessionDep
from backend.api.once import OnceDep
from backend.rubrics import (
    dump_rubric,
    library_names,
    library_rubric,
    parse_rubric,
    rubric_from_content,
)
from backend.schemas.review import quality as shapes
from backend.services.review import rubrics as rubric_versions
from backend.tables.review import RubricVersion

router = APIRouter(tags=["rubrics"])


@router.get("/rubric-library")
def list_library() -> list[shapes.RubricOut]:
    """The rubrics that come with Strop, to start from."""
    return [
        shapes.RubricOut.of(
            rubric,
            id=None,
            version=None,
            created_at=None,
            rubric=rubric,
            source=dump_rubric(rubric),
        )
        for rubric in map(library_rubric, library_names())
    ]


@router.get("/projects/{project_id}/rubrics")
def list_rubrics(
    project_id: int,
    session: SessionDep,
    name: Annotated[str | None, Query(description="All versions of this one.")] = None,
) -> list[shapes.RubricOut]:
    """The newest version of each of the project's rubrics, or every version of one."""
    if name is None:
        return [_show(one) for one in rubric_versions.list_rubrics(session, project_id)]
    rubric_versions.find_version(session, project_id, name)
    return [_show(one) for one in rubric_versions.list_versions(session, project_id, name)]


@router.post("/projects/{project_id}/rubrics", status_code=201)
def save_rubric(
    project_id: int, body: shapes.RubricIn, session: SessionDep, once: OnceDep
) -> shapes.RubricSaved:
    """Store a rubric as the next version of its name, and say what stays as it is."""
    saved = rubric_versions.edit_rubric(session, project_id, parse_rubric(body.source))
    shown = shapes.RubricSaved.of(saved, rubric=_show(saved.stored), sentence=saved.sentence())
    return once.answer(shown)


def _show(stored: RubricVersion) -> shapes.RubricOut:
    rubric = rubric_from_content(stored.content)
    return shapes.RubricOut.of(stored, rubric=rubric, source=dump_rubric(rubric))
