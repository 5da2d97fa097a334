"""Who did what."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TypedDict, Unpack

from backend.client.wire import Resource
from backend.schemas.audit import AuditEntryOut, AuditStatus
from backend.schemas.common import Page


class AuditQuery(TypedDict, total=False):
    """Which entries, and which page of them; 50 where no limit is named."""

    who: str | None
    action: str | None
    since: datetime | None
    until: datetime | None
    subject: str | None
    reads: bool | None
    limit: int
    cursor: str | None


class Audit(Resource):
    """Who did what: for admins, and for leads in their projects."""

    def list(self, **query: Unpack[AuditQuery]) -> Page[AuditEntryOut]:
        """A page of entries of all projects and of none, the newest first."""
        return self._get(Page[AuditEntryOut], "/v1/audit", **query)

    def of_project(self, project_id: int, **query: Unpack[AuditQuery]) -> Page[AuditEntryOut]:
        """A page of entries of one project, the newest first."""
        return self._get(Page[AuditEntryOut], f"/v1/projects/{project_id}/audit", **query)

    def status(self, *, last: int | None = None) -> AuditStatus:
        """Whether the chain holds, over its last entries, and against the noted heads."""
        return self._get(AuditStatus, "/v1/audit/status", last=last)

    def export(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[bytes]:
        """The chain as JSONL, in pieces."""
        return self._stream("/v1/audit/export", since=since, until=until)
