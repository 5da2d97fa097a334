"""What all shapes share: strict input, tolerant output, pages, problem details."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

Item = TypeVar("Item")

NAME_PATTERN = r"^[\w][\w .@+-]*$"


LARGEST_INTEGER = 2**63 - 1  # of both databases


class RequestBody(BaseModel):
    """A request body: an unknown field is an error, and so is a value that no database keeps.

    These are NUL and half surrogate pairs in text, numbers that are not finite, and integers beyond
    64 bits, at any depth: JSON can say them all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def refuse_unstorable(cls, given: Any) -> Any:
        """Refuse a value that cannot be kept, wherever it stands."""
        for value in _leaves(given):
            if fault := unstorable(value):
                raise ValueError(fault)
        return given


def unstorable(value: object) -> str | None:
    """Why neither database can keep a text or a number as it is; None where both can."""
    match value:
        case str():
            if "\x00" in value:
                return "a text holds the character NUL, which cannot be kept"
            if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
                return "a text holds half of a surrogate pair (a cut emoji?)"
        case float() if not math.isfinite(value):
            return f"{value} is not a finite number"
        case int() if abs(value) > LARGEST_INTEGER:
            return "an integer is beyond 64 bits"
    return None


MOST_DIGITS = 17  # so that both databases can be asked for it
MOST_OF_A_ROW = 2**31 - 1


def whole_number(text: str) -> int | None:
    """The number that a text is, in digits 0 to 9; None for any other text."""
    plain = text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS
    return int(text) if plain else None


def row_number(text: str) -> int | None:
    """The whole number that a text is, of a row or a version; None also for a larger one than
    PostgreSQL can be asked for of an INTEGER."""
    number = whole_number(text)
    return number if number is not None and number <= MOST_OF_A_ROW else None


def _leaves(value: Any) -> Iterator[Any]:
    """The texts and numbers of a JSON value, and the names of its fields."""
    stack = [value]
    while stack:
        match stack.pop():
            case dict() as fields:
                yield from fields
                stack += fields.values()
            case list() | tuple() as members:
                stack += members
            case leaf:
                yield leaf


class ResponseBody(BaseModel):
    """A response body: read from rows, and by clients older than the server."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    @classmethod
    def of(cls, source: object, /, **more: Any) -> Self:
        """Read from a row or another shape; `more` are the fields that it does not have."""
        fields = cls.model_fields.keys() - more.keys()
        return cls(**{name: getattr(source, name) for name in fields}, **more)


class Page(ResponseBody, Generic[Item]):
    """One page of a list; `next` is the cursor of the following page, None on the last."""

    items: list[Item]
    next: str | None = None


AcceptLeaks = Annotated[
    str | None,
    Field(max_length=2_000, description="Why near-duplicates may stand; recorded with your name."),
]


class Problem(ResponseBody):
    """An error as RFC 9457 problem details. `type` ends with the slug of the error."""

    type: str
    title: str
    status: int
    detail: str
    hint: str | None = None
    errors: list[dict[str, Any]] = Field(default_factory=list)
