"""What a route gives out, and where in its answer; which route does is in backend.api.rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Ids = Callable[[Any], Sequence[int]]


def each(name: str) -> Ids:
    """The ids of a list, or of the items of a page."""

    def ids(answer: Any) -> Sequence[int]:
        rows: Any = getattr(answer, "items", answer)
        return [getattr(row, name) for row in rows]

    return ids


def claimed(answer: Any) -> Sequence[int]:
    """The slot of a claim, or of the claim that an answer brings with it."""
    claim = getattr(answer, "claim", None)
    if claim is not None:
        return [claim.slot_id]
    following = getattr(answer, "next", None)
    return [] if following is None else claimed(following)


def outcomes(answer: Any) -> Sequence[int]:
    """The reviews of which a yield tells."""
    return [one.review_id for one in answer.examples]


@dataclass(frozen=True, slots=True)
class Texts:
    """What a route gives out.

    Attributes:
        of: what the texts are, in the plural.
        ids: finds the ids of them in the answer. Without ids and count it is the one thing that the
            path names.
        count: counts them, where their ids are not told.
        subject: the path parameter that says of what they are; the first one unless it is said.
        about: the subject of a route whose path names none.
        export: the answer is a file that streams: its begin and its end are recorded.
    """

    of: str
    ids: Ids | None = None
    count: Callable[[Any], int] | None = None
    subject: str | None = None
    about: str = ""
    export: bool = False
