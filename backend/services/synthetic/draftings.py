"""Draftings and their drafts, found and listed."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import NotFound
from backend.tables.synthetic import Draft, Drafting


def get_drafting(session: Session, drafting_id: int, *, project_id: int | None = None) -> Drafting:
    """A drafting by its id; NotFound where the project has none."""
    found = session.get(Drafting, drafting_id)
    if found is None or (project_id is not None and found.project_id != project_id):
        raise NotFound(f"There is no drafting {drafting_id}.", hint="See: strop synthetic list")
    return found


def find_drafting(session: Session, project_id: int, label: str) -> Drafting:
    """A drafting by its name or its number; NotFound lists those that exist."""
    draftings = list_draftings(session, project_id)
    for found in draftings:
        if label in (found.name, str(found.id)):
            return found
    known = ", ".join(found.name for found in draftings[:20])
    raise NotFound(
        f"There is no drafting {label[:80]!r}.",
        hint=f"Known: {known}." if known else "Ask for one: strop synthetic draft",
    )


def list_draftings(session: Session, project_id: int) -> list[Drafting]:
    """The draftings of a project, the newest first."""
    query = select(Drafting).where(Drafting.project_id == project_id)
    return list(session.scalars(query.order_by(Drafting.id.desc())))


def drafts_of_drafting(session: Session, drafting_id: int) -> list[Draft]:
    """Every draft in the order in which it was written."""
    query = select(Draft).where(Draft.drafting_id == drafting_id)
    return list(session.scalars(query.order_by(Draft.generation_id)))
