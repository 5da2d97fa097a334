"""What commands share: the installation they work on, and how results are printed."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import update_wrapper
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, sessionmaker

    from backend.services.datasets.leaks import Acceptance
    from backend.settings import Settings
    from backend.tables.accounts import User
    from backend.tables.projects import Project
    from evaluators.files.mapping import ColumnNames, Notes

Options = TypeVar("Options")
FILE_WIDTH = 180
FILE_HELP = "JSONL, JSON, CSV, .xlsx, .parquet or .arrow, also .gz; - is stdin."
BIDI_CONTROLS = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
ProjectOption = Annotated[str | None, typer.Option("--project", help="Project, if several.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AcceptLeaksOption = Annotated[
    str | None,
    typer.Option("--accept-leaks", help="Why near-duplicates may stand; needs --as."),
]
AsOption = Annotated[str | None, typer.Option("--as", help="Your user name, for the record.")]
MapOption = Annotated[
    list[str] | None,
    typer.Option("--map", help="FIELD=COLUMN of the file, for example prediction=answer."),
]
HomeOption = Annotated[Path | None, typer.Option("--home", help="Folder of this installation.")]


@dataclass(frozen=True, slots=True)
class Installation:
    """Settings and database of one command."""

    settings: Settings
    sessions: sessionmaker[Session]


def takes(options: type[Options]) -> Callable[[Callable[[Options], None]], Callable[..., None]]:
    """Make a command of a function that is given all its options as one value.

    For commands of many options: these are the fields of a frozen dataclass, each annotated as
    typer has it of a parameter, in the order in which help lists them.
    """
    hints = get_type_hints(options, include_extras=True)
    fields = signature(options).parameters.values()
    named = [
        Parameter(f.name, Parameter.KEYWORD_ONLY, default=f.default, annotation=hints[f.name])
        for f in fields
    ]

    def make(work: Callable[[Options], None]) -> Callable[..., None]:
        def command(**given: Any) -> None:
            work(options(**given))

        update_wrapper(command, work)
        command.__annotations__ = hints
        command.__signature__ = Signature(named)  # type: ignore[attr-defined]
        return command

    return make


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
def working_in_project(
    name: str | None, **overrides: Any
) -> Iterator[tuple[Installation, Session, Project]]:
    """A session on a project, committed when the block ends well."""
    from backend.services.projects import get_project

    installation = open_installation(**overrides)
    with installation.sessions.begin() as session:
        yield installation, session, get_project(session, name)


def read_base_first(name: str | None) -> None:
    """Have the project's base registered, whose files are read in no transaction."""
    from backend.db import reading
    from backend.services.models.versions import ensure_base
    from backend.services.projects import get_project

    sessions = open_installation().sessions
    with reading(sessions) as session:
        project = get_project(session, name)
    ensure_base(sessions, project.id)


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


def read_text(path: Path) -> str:
    """The text of a file. Raises InvalidInput: it is not UTF-8, or it cannot be read."""
    from backend.errors import InvalidInput

    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{path} is not UTF-8: {error.reason}.", hint="Save it as UTF-8."
        ) from None
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from None


def count_of(n: int, one: str, more: str) -> str:
    """`1 person`, `2 people`."""
    return f"{n} {one if n == 1 else more}"


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


def column_names(maps: Sequence[str] | None, *, several: bool = False) -> ColumnNames:
    """What `--map` says; with several files a column need be in one of them alone."""
    from evaluators.files.mapping import ColumnNames, column_pairs

    return ColumnNames(column_pairs(maps or ()), several=several)


def print_notes(notes: Notes) -> None:
    """What reading files took upon itself, on stderr, a line each."""
    for sentence in notes.sentences():
        typer.echo(f"note: {shown_text(sentence)}", err=True)


def print_json(value: object) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def print_table(
    rows: Sequence[Mapping[str, Any]], *, columns: Sequence[str], title: str | None = None
) -> None:
    """A readable table of the named columns; cells are shown as text, never as markup."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for column in columns:
        numeric = any(isinstance(row.get(column), int | float) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(row.get(column))) for column in columns))
    # A pipe or a log file has no width of its own; folding there would only hide figures.
    Console(width=None if sys.stdout.isatty() else FILE_WIDTH).print(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else shown_text(str(value))


def shown_text(text: str) -> str:
    """A text that a terminal only shows: what moves its cursor, colours it or turns the direction
    of reading is written as U+FFFD. Line ends and tabs stay."""
    return "".join("\ufffd" if _commands(sign) else sign for sign in text)


def _commands(sign: str) -> bool:
    return sign not in "\n\t" and (unicodedata.category(sign) == "Cc" or sign in BIDI_CONTROLS)


class VerbMayBeMissing(TyperGroup):
    """A group in which a first word that is no verb is what `default_verb` is asked for."""

    default_verb = ""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the verb in where it was left out."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = [self.default_verb, *args]
        return super().parse_args(ctx, args)
