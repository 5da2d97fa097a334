"""The audit log: entries by filter, how the chain stands, and the chain as a file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session

from backend.api.deps import NowDep, PageDep, ServingDep, SessionDep
from backend.api.streams import stream_lines
from backend.schemas.audit import AuditEntryOut, AuditStatus
from backend.schemas.common import Page
from backend.services.audit import heads
from backend.services.audit.export import export_lines
from backend.services.audit.listing import AuditFilter, list_entries, show_entries
from backend.services.pages import PageAsk

router = APIRouter(tags=["audit"])
LOOKED_AT = 2000
Moment = Annotated[datetime | None, Query(description="Without a zone it is UTC.")]


def _utc(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at


def get_filter(
    who: Annotated[
        str | None, Query(max_length=120, description="Name or pseudonym of a person.")
    ] = None,
    action: Annotated[
        str | None, Query(max_length=40, description="promotion.made, or all of promotion.")
    ] = None,
    since: Moment = None,
    until: Moment = None,
    subject: Annotated[
        str | None, Query(max_length=120, description="model:7, or all of model.")
    ] = None,
    reads: Annotated[bool, Query(description="Only what gave out texts.")] = False,
) -> AuditFilter:
    """Which entries are asked for."""
    return AuditFilter(
        who=who, action=action, since=_utc(since), until=_utc(until), subject=subject, reads=reads
    )


FilterDep = Annotated[AuditFilter, Depends(get_filter)]


def _page(session: Session, asked: AuditFilter, page: PageAsk) -> Page[AuditEntryOut]:
    found = list_entries(session, asked, page)
    return Page[AuditEntryOut](items=show_entries(session, found.rows), next=found.next)


@router.get("/audit")
def list_all(session: SessionDep, asked: FilterDep, page: PageDep) -> Page[AuditEntryOut]:
    """Who did what, in all projects and in none, the newest first."""
    return _page(session, asked, page)


@router.get("/projects/{project_id}/audit")
def list_of_project(
    project_id: int, session: SessionDep, asked: FilterDep, page: PageDep
) -> Page[AuditEntryOut]:
    """Who did what in a project, the newest first."""
    return _page(session, asked.in_project(project_id), page)


@router.get("/audit/status")
def show_status(
    session: SessionDep,
    serving: ServingDep,
    last: Annotated[
        int, Query(ge=1, le=1_000_000, description="Look at so many of the last entries.")
    ] = LOOKED_AT,
) -> AuditStatus:
    """Whether the chain holds, over its last entries, and against the noted heads."""
    return heads.show_status(session, serving.settings.home, serving.seal, last=last)


@router.get("/audit/export", response_class=StreamingResponse)
def export_log(
    serving: ServingDep, now: NowDep, since: Moment = None, until: Moment = None
) -> StreamingResponse:
    """The chain as JSONL, to be checked without Strop: all of it, or the part of a time."""
    heads.seal_and_note(serving.writing, serving.settings.home, serving.seal, now=now)

    def lines() -> Iterator[str]:
        with serving.reading() as session:
            yield from export_lines(session, since=_utc(since), until=_utc(until))

    return stream_lines(lines(), filename="audit.jsonl")
