"""Who did what: entries are added in the transaction of the act, so that neither is without the
other. Who acts is said once for a session, by whoever opened it.

An entry is added without a place in the chain, so that acts never queue for it; `chain.seal`
gives places afterwards. What may be recorded stands in `actions.ACTIONS`, one line for each.
"""

from __future__ import annotations

import math
import os
import pwd
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, cast

from sqlalchemy import Table, insert
from sqlalchemy.orm import Session

from backend.db import utc_now
from backend.errors import UnknownName
from backend.prepared import PreparedStatement
from backend.services.audit import acts
from backend.services.audit.actions import ACTIONS
from backend.tables.audit import AuditEntry

ACTOR = "actor"
MOST_LETTERS = 300  # of a string in a detail: a name, an id, a digest
MOST_NUMBERS = 1000  # of a list in a detail; the ids of one page


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts in a session.

    Attributes:
        user_id: None for a command on this machine and for the worker.
        token_id: the token by which a program came, None for a person.
        via: `api`, `cli` or `worker`.
        who: of a command the name of the system's user, of a worker its own name.
    """

    user_id: int | None = None
    token_id: int | None = None
    via: str = "cli"
    who: str = ""


_ADD = PreparedStatement(
    insert(cast(Table, AuditEntry.__table__)).inline(),
    keys=(
        "action",
        "user_id",
        "token_id",
        "via",
        "who",
        "project_id",
        "subject",
        "detail",
        "created_at",
    ),
)


def act_as(session: Session, actor: Actor) -> None:
    """Say who acts in this session from now on."""
    session.info[ACTOR] = actor


def actor_of(session: Session) -> Actor:
    """Who acts in this session; a command on this machine where nobody said."""
    found: Actor | None = session.info.get(ACTOR)
    return _at_this_machine() if found is None else found


@cache
def _at_this_machine() -> Actor:
    """Whoever runs this process, as the system has it and not as the environment says."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = f"uid {os.getuid()}"
    return Actor(via="cli", who=name)


def record(
    session: Session,
    action: str,
    *,
    subject: str = "",
    project_id: int | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Add an entry to this transaction.

    Args:
        action: a noun and what happened to it, as `promotion.made`; a key of ACTIONS.
        subject: what was acted upon, as `model:7`.
        detail: names, ids, counts and digests, under the keys that the action holds; no text of a
            person.

    Raises:
        UnknownName: no such action, or a detail that the action does not hold.
        TypeError: a detail that is no plain value.
    """
    if action not in ACTIONS:
        raise UnknownName("action of the audit log", action, ACTIONS)
    given = detail or {}
    if foreign := sorted(given.keys() - set(ACTIONS[action].holds)):
        raise UnknownName(f"detail of {action}", foreign[0], ACTIONS[action].holds)
    _insert(session, actor_of(session), action, subject, project_id, given)


def _insert(
    session: Session,
    actor: Actor,
    action: str,
    subject: str,
    project_id: int | None,
    given: dict[str, Any],
) -> None:
    # Core: an entry has no life in the session, and a claim is recorded 50 times a second.
    _ADD.run(
        session.connection(),
        {
            "action": action,
            "user_id": actor.user_id,
            "token_id": actor.token_id,
            "via": actor.via,
            "who": _line(actor.who)[:80],
            "project_id": project_id,
            "subject": _line(subject)[:120],
            "detail": {key: _plain(value) for key, value in given.items()},
            "created_at": utc_now(),
        },
    )


def _plain(value: Any) -> Any:
    """The value as JSON has it, short, and the same after a way through either database."""
    match value:
        case None | bool() | int():
            return value
        case float() if math.isfinite(value):
            return value
        case str():
            return _line(value)[:MOST_LETTERS]
        case dict():
            return {_line(str(key)): _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value[:MOST_NUMBERS]]
    raise TypeError(f"a detail of the audit log is no {type(value).__name__}")


def _line(text: str) -> str:
    """One printable line: NUL, lone surrogates and line ends, which a database or a reader trips
    over, are written as U+FFFD."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)


def _record_flushed(session: Session, action: str, *, by: int | None, **what: Any) -> None:
    """Record an act that left a row; `by` is whom the row names, where the session names nobody."""
    actor = actor_of(session)
    if actor.user_id is not None or by is None:
        record(session, action, **what)
        return
    act_as(session, replace(actor, user_id=by))
    try:
        record(session, action, **what)
    finally:
        act_as(session, actor)


acts.listen(_record_flushed)
