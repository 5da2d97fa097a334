"""What all shapes share: strict input, tolerant output, pages, problem details."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Item = TypeVar("Item")

NAME_PATTERN = r"^[\w][\w .@+-]*$"


class Given(BaseModel):
    """A request body: an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Shown(BaseModel):
    """A response body: read from rows, and by clients older than the server."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class Page(Shown, Generic[Item]):
    """One page of a list; `next` is the cursor of the following page, None on the last."""

    items: list[Item]
    next: str | None = None


AcceptLeaks = Annotated[
    str | None,
    Field(max_length=2_000, description="Why near-duplicates may stand; recorded with your name."),
]


class Problem(Shown):
    """An error as RFC 9457 problem details. `type` ends with the slug of the error."""

    type: str
    title: str
    status: int
    detail: str
    hint: str | None = None
    errors: list[dict[str, Any]] = Field(default_factory=list)
