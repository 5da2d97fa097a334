"""The audit log as it is shown: entries as sentences, and how the chain stands."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from backend.schemas.common import ResponseBody


class AuditEntryOut(ResponseBody):
    """One act.

    Attributes:
        seq: place in the chain; None until it is sealed, a few seconds after the act.
        who: who did it, by the name that they have now, and how they came.
        sentence: what was done, to be read after `who`.
        reads: texts were given out.
        via: api, cli or worker.
    """

    id: int
    seq: int | None
    at: datetime
    action: str
    who: str
    sentence: str
    subject: str
    project_id: int | None
    project: str | None
    via: str
    reads: bool
    detail: dict[str, Any]


class AuditStatus(ResponseBody):
    """How the chain stands now.

    Attributes:
        holds: nothing is wrong with what was looked at.
        checked_from: the first entry that was looked at; the last is `sealed`.
        sealed: entries in the chain; `head` is the digest of the last.
        unsealed: entries that wait for their place; `unsealed_since` is the oldest.
        noted_at: when a head was last noted outside the database.
        findings: what is wrong, in sentences.
    """

    holds: bool
    checked_from: int
    sealed: int
    head: str
    unsealed: int
    unsealed_since: datetime | None
    noted_at: str | None
    findings: list[str]
    actions: list[str]
