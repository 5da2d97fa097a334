"""Options that several commands have, and what makes commands of functions."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer
from typer import Option
from typer.core import TyperGroup

Options = TypeVar("Options")
FILE_HELP = "JSONL, JSON, CSV, .xlsx, .parquet or .arrow, also .gz; - is stdin."
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
