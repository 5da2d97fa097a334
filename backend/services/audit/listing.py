"""Entries for people: filtered, a page at a time, each as a sentence.

Who is looked up when an entry is shown: the log holds numbers, so that a name that is erased from
the people is gone from the log too, and the chain still holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from backend.errors import UnknownName
from backend.schemas.audit import AuditEntryOut
from backend.services.audit.actions import ACTIONS, Action
from backend.services.pages import PageAsk, RowPage, page_of
from backend.tables.accounts import Token, User
from backend.tables.audit import AuditEntry
from backend.tables.models import ModelVersion
from backend.tables.projects import Project

NOBODY = "Somebody who is not known"
UNTOLD = Action("did {action}")
NAMED = {"owner": "user", "model": "model"}  # key of a detail -> what its number is


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are asked for; None: all.

    Attributes:
        who: a person's name or pseudonym, or the name of a user of the system.
        action: an action, or a noun for all that happened to it: `promotion`.
        since, until: moments; `until` is not in it.
        subject: as `model:7`, or a noun for all of its kind: `model`.
        reads: only what gave out texts.
    """

    who: str | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    subject: str | None = None
    reads: bool = False
    project_id: int | None = None

    def in_project(self, project_id: int) -> AuditFilter:
        """The same, of one project."""
        return replace(self, project_id=project_id)

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
        if self.reads:
            found.append(AuditEntry.action.in_([k for k, one in ACTIONS.items() if one.reads]))
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
    models: Mapping[int, str]

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
        names = {"user": self.users, "project": self.projects, "model": self.models}.get(noun, {})
        known = names.get(int(number)) if number.isdecimal() else None
        return known or f"{noun.replace('_', ' ')} {number}".strip() or "nobody known"

    def told(self, entry: AuditEntry) -> dict[str, Any]:
        """What may stand in the entry's sentence, numbers that have a name by it."""
        named = {
            key: self.subject(f"{noun}:{entry.detail[key]}")
            for key, noun in NAMED.items()
            if key in entry.detail
        }
        own = {"subject": self.subject(entry.subject), "action": entry.action}
        return {**entry.detail, **named, **own}


def names_in(session: Session, entries: Iterable[AuditEntry]) -> Names:
    """The names of all that these entries number."""
    rows = list(entries)
    named = [
        f"{NAMED[key]}:{row.detail[key]}" for row in rows for key in NAMED if key in row.detail
    ]
    subjects = [each.partition(":") for each in (*(row.subject for row in rows), *named)]

    def numbered(noun: str) -> set[int]:
        return {int(n) for kind, _, n in subjects if kind == noun and n.isdecimal()}

    people = {row.user_id for row in rows if row.user_id} | numbered("user")
    projects = {row.project_id for row in rows if row.project_id} | numbered("project")
    tokens = {row.token_id for row in rows if row.token_id}
    return Names(
        _named(session, User.id, User.name, people),
        _named(session, Token.id, Token.name, tokens),
        _named(session, Project.id, Project.name, projects),
        _labels(session, numbered("model")),
    )


def _labels(session: Session, ids: set[int]) -> dict[int, str]:
    found = session.scalars(select(ModelVersion).where(ModelVersion.id.in_(ids)))
    return {model.id: model.label for model in found}


def _named(session: Session, key: Any, name: Any, ids: set[int]) -> dict[int, str]:
    known = {id_ for id_ in ids if id_ < 2**31}
    if not known:
        return {}
    return dict(session.execute(select(key, name).where(key.in_(known))).all())


class _SentenceValues(dict[str, Any]):
    """The values of a sentence; what the entry does not hold is a dash."""

    def __missing__(self, key: str) -> str:
        return "–"


def sentence(entry: AuditEntry, names: Names) -> str:
    """What was done, after the name of who did it, and without a full stop."""
    action = ACTIONS.get(entry.action, UNTOLD)
    return action.words.format_map(_SentenceValues(names.told(entry)))


def show_entries(session: Session, entries: Iterable[AuditEntry]) -> list[AuditEntryOut]:
    """Entries as they are shown, with the names that people have now."""
    rows = list(entries)
    names = names_in(session, rows)
    return [
        AuditEntryOut(
            id=row.id,
            seq=row.seq,
            at=row.created_at,
            action=row.action,
            who=names.who(row),
            sentence=sentence(row, names),
            subject=row.subject,
            project_id=row.project_id,
            project=names.projects.get(row.project_id or 0),
            via=row.via,
            reads=ACTIONS.get(row.action, UNTOLD).reads,
            detail=row.detail,
        )
        for row in rows
    ]
