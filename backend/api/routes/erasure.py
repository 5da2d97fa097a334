"""Erasing examples and people, and how long things are kept."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from backend.api.deps import CurrentUser, NowDep, ServingDep, SessionDep
from backend.api.once import OnceDep
from backend.schemas import erasure as shapes
from backend.services.accounts.users import get_user
from backend.services.erasure import acts, people, retention
from backend.services.erasure.requests import find_examples_to_erase, preview

router = APIRouter(tags=["erasure"])


@router.get("/projects/{project_id}/erasures")
def list_erasures(project_id: int, session: SessionDep) -> list[shapes.ErasureOut]:
    """What was erased of a project, newest first."""
    found = acts.list_erasures(session, project_id)
    return [shapes.ErasureOut.model_validate(one) for one in found]


@router.get("/projects/{project_id}/erasures/preview")
def preview_erasure(
    project_id: int,
    session: SessionDep,
    what: Annotated[str, Query(min_length=1, max_length=400, description="DATASET:ROW or an id.")],
    group: Annotated[bool, Query(description="It names a group: DATASET:GROUP.")] = False,
    copies: Annotated[bool, Query(description="The same prompt under other ids, too.")] = True,
) -> shapes.ErasurePreview:
    """What hangs on an example before it is erased."""
    wanted = find_examples_to_erase(session, project_id, what, group=group, copies=copies)
    found = preview(session, wanted).as_dict()
    return shapes.ErasurePreview(
        subject=wanted.subject, examples=len(wanted.example_ids), found=found
    )


@router.post("/projects/{project_id}/erasures", status_code=201)
def erase_example(
    project_id: int,
    body: shapes.ErasureIn,
    session: SessionDep,
    serving: ServingDep,
    user: CurrentUser,
    now: NowDep,
    once: OnceDep,
) -> shapes.ErasureOut:
    """Erase an example or a group for good; a worker then writes away the database's free pages."""
    wanted = find_examples_to_erase(
        session, project_id, body.what, group=body.group, copies=body.copies
    )
    asked = acts.ask_erasure(
        session, project_id, wanted, reason=body.reason, by_id=user.id, now=now
    )
    done = acts.erase_now(session, asked.id, serving.settings, now=now)
    return once.answer(shapes.ErasureOut.model_validate(done))


@router.post("/users/{user_id}/erase", status_code=201)
def erase_person(
    user_id: int,
    body: shapes.PersonErasureIn,
    session: SessionDep,
    serving: ServingDep,
    user: CurrentUser,
    now: NowDep,
    once: OnceDep,
) -> shapes.ErasureOut:
    """Erase a person's name, secrets, drafts and comments."""
    asked = people.ask_person_erasure(
        session,
        get_user(session, user_id),
        reason=acts.checked_reason(body.reason),
        by_id=user.id,
        now=now,
    )
    done = acts.erase_now(session, asked.id, serving.settings, now=now)
    return once.answer(shapes.ErasureOut.model_validate(done))


@router.get("/projects/{project_id}/retention")
def show_retention(project_id: int, session: SessionDep) -> list[shapes.RetentionPeriod]:
    """For how many days a project keeps each kind."""
    return retention.retention_periods(session, project_id)


@router.put("/projects/{project_id}/retention")
def set_retention(
    project_id: int, body: shapes.RetentionIn, session: SessionDep, user: CurrentUser, now: NowDep
) -> shapes.RetentionPeriod:
    """Set for how many days a project keeps a kind."""
    return retention.set_rule(session, project_id, body.kind, body.days, by_id=user.id, now=now)
