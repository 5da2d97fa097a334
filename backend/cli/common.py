"""The installation that commands work on: its database, its projects, and who acts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from backend.cli.terminal.printing import count_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, sessionmaker

    from backend.services.datasets.leaks import Acceptance
    from backend.settings import Settings
    from backend.tables.accounts import User
    from backend.tables.models import ModelVersion
    from backend.tables.projects import Project
    from backend.tables.review import ReviewQueue


@dataclass(frozen=True, slots=True)
class Installation:
    """Settings and database of one command."""

    settings: Settings
    sessions: sessionmaker[Session]


def open_installation(*, any_revision: bool = False, **overrides: Any) -> Installation:
    """The installation that the settings name.

    Args:
        any_revision: take a database of another version of Strop, too.

    Raises:
        NotFound: its database was not made yet.
        Conflict: its database is of an older or a newer Strop.
    """
    from backend.db import connect, newest_revision, reading, stored_revision
    from backend.errors import Conflict, NotFound
    from backend.private_files import close_installation
    from backend.settings import load_settings

    settings = load_settings(**overrides)
    if (file := settings.database_file) is not None and not file.exists():
        raise NotFound(f"There is no database at {file}.", hint="Make it: strop init NAME")
    for word in close_installation(settings):
        typer.echo(word, err=True)
    sessions = connect(settings)
    with reading(sessions) as session:
        stored = stored_revision(session)
    if stored is None:
        raise NotFound(
            f"{settings.shown_url} is not a Strop database.", hint="Run: strop init NAME"
        )
    newest = newest_revision()
    if stored != newest and not any_revision:
        older = stored < newest
        raise Conflict(
            f"{settings.shown_url} is at revision {stored}, this Strop works on {newest}.",
            hint="Back it up, then bring it up to date: strop up"
            if older
            else "It was made by a newer Strop: install that one.",
        )
    return Installation(settings, sessions)


@contextmanager
def on_queue(name: str, project: str | None) -> Iterator[tuple[Session, ReviewQueue]]:
    """A session on a review queue of a project, as `in_project`."""
    from backend.services.review.queues import find_queue

    with in_project(project) as (_, session, found):
        yield session, find_queue(session, found.id, name)


@contextmanager
def in_project(
    name: str | None, **overrides: Any
) -> Iterator[tuple[Installation, Session, Project]]:
    """A session on a project, committed when the block ends well."""
    from backend.services.projects import get_project

    installation = open_installation(**overrides)
    with installation.sessions.begin() as session:
        yield installation, session, get_project(session, name)


def find_project(name: str | None) -> tuple[Installation, int]:
    """The installation and the id of a project, for work that holds no transaction."""
    from backend.db import reading
    from backend.services.projects import get_project

    installation = open_installation()
    with reading(installation.sessions) as session:
        return installation, get_project(session, name).id


def read_base_first(name: str | None) -> None:
    """Have the project's base registered, whose files are read in no transaction."""
    from backend.services.models.versions import ensure_base

    installation, project_id = find_project(name)
    ensure_base(installation.sessions, project_id)


def engine_for(model: ModelVersion, asked: str | None, default: str) -> str:
    """The engine that answers for a model: one served elsewhere has its own.

    Raises:
        InvalidInput: another engine is asked for than the model has.
    """
    from backend.engines import ELSEWHERE
    from backend.errors import InvalidInput
    from backend.tables.models import ModelKind

    if model.kind != ModelKind.SERVED:
        return asked or default
    if asked not in (None, ELSEWHERE):
        raise InvalidInput(
            f"{model.label} is served elsewhere: the engine {asked} cannot ask it.",
            hint="Leave --engine out.",
        )
    return ELSEWHERE


def acting_person(session: Session, name: str | None) -> User:
    """Who does this, for the record: the person named by `--as`, else the only one there is.

    Raises:
        InvalidInput: nobody is named, and several people could have done it.
    """
    from backend.errors import InvalidInput
    from backend.services.accounts.users import find_user, list_users
    from backend.tables.accounts import Role

    if name is not None:
        return _act_for(session, find_user(session, name))
    able = [
        user
        for user in list_users(session)
        if user.active and not user.simulated and user.role != Role.EXPERT
    ]
    if len(able) != 1:
        raise InvalidInput(
            f"{count_of(len(able), 'person', 'people')} could do this.", hint="Say who: --as USER"
        )
    return _act_for(session, able[0])


def _act_for(session: Session, user: User) -> User:
    """The audit log names both: the person, and who sits at this machine."""
    from dataclasses import replace

    from backend.services.audit import act_as, actor_of

    act_as(session, replace(actor_of(session), user_id=user.id))
    return user


def leak_acceptance(session: Session, reason: str | None, name: str | None) -> Acceptance | None:
    """Who accepts leaks and why, from `--accept-leaks REASON --as USER`; both or neither."""
    from backend.db import utc_now
    from backend.errors import InvalidInput
    from backend.services.accounts.users import find_user
    from backend.services.datasets.leaks import Acceptance

    if reason is None:
        return None
    if name is None:  # even where there is one person alone: this is signed
        raise InvalidInput("Leaks are accepted by a named person.", hint="Say who: --as USER")
    return Acceptance(find_user(session, name).id, reason, utc_now())
