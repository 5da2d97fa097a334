"""Entries for people: filtered, a page at a time, each as a sentence.

Who is looked up when an entry is shown: the log holds numbers, so that a name that is erased from
the people is gone from the log too, and the chain still holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from backend.errors import UnknownName
from backend.services.audit.actions import ACTIONS, Action
from backend.services.pages import PageAsk, RowPage, page_of
from backend.tables.accounts import Token, User
from backend.tables.audit import AuditEntry
from backend.tables.projects import Project

NOBODY = "Somebody who is not known"
UNTOLD = Action("did {action}")


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are asked for; None: all.

    Attributes:
        who: a person's name or pseudonym, or the name of a user of the system.
        action: an action, or a noun for all that happened to it: `promotion`.
        since, until: moments; `until` is not in it.
        subject: as `model:7`, or a noun for all of its kind: `model`.
    """

    who: str | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    subject: str | None = None
    project_id: int | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """What a row has to be. Raises UnknownName for an action that there is not."""
        found: list[ColumnElement[bool]] = []
        if self.who is not None:
            named = select(User.id).where(or_(User.name == self.who, User.pseudonym == self.who))
            found.append(or_(AuditEntry.user_id.in_(named), AuditEntry.who == self.who))
        if self.action is not None:
            found.append(AuditEntry.action.in_(actions_called(self.action)))
        if self.since is not None:
            found.append(AuditEntry.created_at >= self.since)
        if self.until is not None:
            found.append(AuditEntry.created_at < self.until)
        if self.subject is not None:
            found.append(_of_subject(self.subject))
        if self.project_id is not None:
            found.append(AuditEntry.project_id == self.project_id)
        return found


def _of_subject(asked: str) -> ColumnElement[bool]:
    if ":" in asked:
        return AuditEntry.subject == asked
    return AuditEntry.subject.startswith(f"{asked}:", autoescape=True)


def actions_called(name: str) -> list[str]:
    """The action of that name, or all of a noun. Raises UnknownName."""
    if name in ACTIONS:
        return [name]
    found = [action for action in ACTIONS if action.startswith(f"{name}.")]
    if not found:
        raise UnknownName("action of the audit log", name, ACTIONS)
    return found


def list_entries(session: Session, asked: AuditFilter, page: PageAsk) -> RowPage[AuditEntry]:
    """A page of entries, the newest first."""
    return page_of(session, AuditEntry, page, where=asked.conditions())


@dataclass(frozen=True, slots=True)
class Names:
    """What numbers in entries are called now."""

    users: Mapping[int, str]
    tokens: Mapping[int, str]
    projects: Mapping[int, str]

    def who(self, entry: AuditEntry) -> str:
        """Who did it, and how they came."""
        person = self.users.get(entry.user_id or 0)
        if entry.user_id is not None and person is None:
            person = f"user {entry.user_id}"
        match entry.via:
            case "api" if person is None:
                return NOBODY
            case "api" if entry.token_id is not None:
                return f"{person} by token {self.tokens.get(entry.token_id, entry.token_id)!r}"
            case "worker":
                return f"The worker {entry.who}".rstrip()
            case "cli":
                at = f"{entry.who or 'somebody'} at the command line"
                return at if person is None else f"{person} ({at})"
        return str(person)

    def subject(self, subject: str) -> str:
        """What was acted upon, by its name where it is a person or a project."""
        noun, _, number = subject.partition(":")
        names = {"user": self.users, "project": self.projects}.get(noun, {})
        known = names.get(int(number)) if number.isdecimal() else None
        return known or f"{noun.replace('_', ' ')} {number}".strip() or "nobody known"


def names_in(session: Session, entries: Iterable[AuditEntry]) -> Names:
    """The names of all that these entries number."""
    rows = list(entries)
    subjects = [row.subject.partition(":") for row in rows]

    def numbered(noun: str) -> set[int]:
        return {int(n) for kind, _, n in subjects if kind == noun and n.isdecimal()}

    people = {row.user_id for row in rows if row.user_id} | numbered("user")
    projects = {row.project_id for row in rows if row.project_id} | numbered("project")
    tokens = {row.token_id for row in rows if row.token_id}
    return Names(
        _named(session, User.id, User.name, people),
        _named(session, Token.id, Token.name, tokens),
        _named(session, Project.id, Project.name, projects),
    )


def _named(session: Session, key: Any, name: Any, ids: Sequence[int] | set[int]) -> dict[int, str]:
    known = {id_ for id_ in ids if id_ < 2**31}
    if not known:
        return {}
    return dict(session.execute(select(key, name).where(key.in_(known))).tuples())


class _Told(dict[str, Any]):
    """The values of a sentence; what the entry does not hold is a dash."""

    def __missing__(self, key: str) -> str:
        return "–"


def sentence(entry: AuditEntry, names: Names) -> str:
    """What was done, after the name of who did it, and without a full stop."""
    action = ACTIONS.get(entry.action, UNTOLD)
    told = {**entry.detail, "subject": names.subject(entry.subject), "action": entry.action}
    return action.words.format_map(_Told(told))
