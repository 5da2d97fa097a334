"""Short-lived notes that a browser carries between two requests of one sign-in: sealed cookies.

A note says what it is for and until when, so none can be shown in another's place; nothing of it is
kept here, so a stranger who begins a thousand sign-ins fills no table.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from backend.errors import Conflict, NotAuthenticated
from backend.services.accounts.sealing import PREFIX, Seal

MOST_CHARACTERS = 4_000


def make_ticket(
    seal: Seal, purpose: str, content: dict[str, Any], *, now: datetime, life: timedelta
) -> str:
    """A sealed note for one purpose, with characters that a cookie may hold."""
    until = (now + life).timestamp()
    sealed = seal.close(json.dumps({"purpose": purpose, "until": until, "content": content}))
    return sealed.removeprefix(PREFIX)


def read_ticket(seal: Seal, purpose: str, ticket: str | None, *, now: datetime) -> dict[str, Any]:
    """What a note says.

    Raises:
        NotAuthenticated: there is none, it is of another purpose, over, or not ours.
    """
    try:
        if not ticket or len(ticket) > MOST_CHARACTERS or not ticket.isascii():
            raise ValueError("no ticket")
        found = json.loads(seal.open(ticket))
        if found["purpose"] != purpose or found["until"] < now.timestamp():
            raise ValueError("another ticket")
    except (Conflict, ValueError, KeyError, TypeError):
        raise NotAuthenticated(
            "This sign-in was begun too long ago, or in another browser.", hint="Begin it again."
        ) from None
    content: dict[str, Any] = found["content"]
    return content
