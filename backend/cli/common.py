"""What commands share: the installation they work on, and how results are printed."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from functools import update_wrapper
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer
from typer import Option
from typer.core import TyperGroup

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, sessionmaker

    from backend.services.datasets.importing.rows import TableReading
    from backend.services.datasets.leaks import Acceptance
    from backend.settings import Settings
    from backend.tables.accounts import User
    from backend.tables.models import ModelVersion
    from backend.tables.projects import Project
    from backend.tables.review import ReviewQueue
    from evaluators.files.mapping import ColumnNames, Notes

Options = TypeVar("Options")
FILE_WIDTH = 180
FILE_HELP = "JSONL, JSON, CSV, .xlsx, .parquet or .arrow, also .gz; - is stdin."
BIDI_CONTROLS = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
ProjectOption = Annotated[str | None, Option("--project", help="Project, if several.")]
JsonOption = Annotated[bool, Option("--json", help="Print JSON.")]
AcceptLeaksOption = Annotated[
    str | None, Option("--accept-leaks", help="Why near-duplicates may stand; needs --as.")
]
AsOption = Annotated[str | None, Option("--as", help="Your user name, for the record.")]
MapOption = Annotated[
    list[str] | None,
    Option("--map", help="FIELD=COLUMN of the file, for example prediction=answer."),
]
HomeOption = Annotated[Path | None, Option("--home", help="Folder of this installation.")]


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


def names_in(text: str | None) -> list[str]:
    """`a, b` as two names."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def distinct_names(text: str | None) -> tuple[str, ...]:
    """`a, b` as two names, each once."""
    return tuple(dict.fromkeys(names_in(text)))


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


def read_rows(
    files: Sequence[str],
    notes: Notes,
    maps: Sequence[str] | None,
    slices: Sequence[str] | None = None,
    *,
    instruction: str | None = None,
    need_reference: bool,
) -> list[TableReading]:
    """Rows of files that are named for a dataset, by what --map, --slice and the like say."""
    from backend.services.datasets.importing.incoming import read_sources
    from backend.services.datasets.importing.rows import ColumnMap
    from backend.settings import load_settings
    from evaluators.files.mapping import column_pairs

    return read_sources(
        files,
        ColumnMap(column_pairs(maps or ()), instruction=instruction, slice_columns=slices or ()),
        notes=notes,
        need_reference=need_reference,
        max_row_bytes=load_settings().max_row_bytes,
    )


def print_notes(notes: Notes) -> None:
    """What reading files took upon itself, on stderr, a line each."""
    for sentence in notes.sentences():
        typer.echo(f"note: {shown_text(sentence)}", err=True)


def print_json(value: object) -> None:
    """One JSON document on stdout; shapes and dataclasses by their fields, what else as text."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return value.model_dump() if hasattr(value, "model_dump") else str(value)


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


def print_rows(
    rows: Sequence[Mapping[str, Any]],
    *,
    columns: Sequence[str] | None = None,
    title: str | None = None,
    json: bool = False,
    whole: object = None,
) -> None:
    """Rows as JSON, or as a table.

    Args:
        columns: of the table; where none are named all of them, and of no rows there is no table.
        whole: what JSON tells in place of the rows.
    """
    if json:
        print_json(rows if whole is None else whole)
    elif columns is not None or rows:
        print_table(rows, columns=list(rows[0]) if columns is None else columns, title=title)


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


def group(help: str = "", *, alone: bool = False, default_verb: str = "") -> typer.Typer:
    """The verbs of a noun.

    Args:
        alone: one verb only, which typer would take for the noun itself.
        default_verb: what a first word is asked for that is no verb.
    """
    kind: Any = type("Verbs", (_VerbMayBeMissing,), {"default_verb": default_verb})
    options: dict[str, Any] = {"help": help} if help else {}
    app = typer.Typer(cls=kind, no_args_is_help=True, add_completion=False, **options)
    if alone:
        app.callback()(lambda: None)
    return app


class _VerbMayBeMissing(TyperGroup):
    default_verb = ""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the verb in where it was left out."""
        if (
            self.default_verb
            and args
            and not args[0].startswith("-")
            and args[0] not in self.commands
        ):
            args = [self.default_verb, *args]
        return super().parse_args(ctx, args)
