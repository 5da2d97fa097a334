"""Erasures and days of retention, as shown and as given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import Field

from backend.schemas.common import RequestBody, ResponseBody


class ErasureIn(RequestBody):
    """Erase an example or a group of a project.

    Attributes:
        what: an id of the database (`12`), DATASET:ROW, or with `group` DATASET:GROUP.
        copies: take the same prompt under other ids, too.
    """

    what: str = Field(min_length=1, max_length=400)
    reason: str = Field(min_length=1, max_length=500)
    group: bool = False
    copies: bool = True


class PersonErasureIn(RequestBody):
    """Erase a person."""

    reason: str = Field(min_length=1, max_length=500)


class ErasureOut(ResponseBody):
    """An erasure; `found` is what it came to, in names, ids and counts."""

    id: int
    project_id: int | None
    kind: str
    subject: str
    reason: str
    state: str
    found: dict[str, Any]
    asked_at: datetime
    erased_at: datetime | None
    done_at: datetime | None


class ErasurePreview(ResponseBody):
    """What hangs on what is to be erased; nothing is gone yet."""

    subject: str
    examples: int
    found: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RetentionPeriod:
    """For how many days one kind is kept, by whose word; None is for good."""

    kind: str
    words: str
    days: int | None
    is_default: bool


class RetentionIn(RequestBody):
    """Keep a kind for so many days."""

    kind: str = Field(min_length=1, max_length=40)
    days: int = Field(ge=1, le=36_500)
