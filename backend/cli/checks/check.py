"""`strop check VERB`: the checks that find unsupported statements."""

from __future__ import annotations

import typer

from backend.cli.checks import bench, checkers

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Checks: measure them, train checkers."
)
app.command("bench")(bench.command)
app.command("train")(checkers.train)
app.command("list")(checkers.list_)
app.command("show")(checkers.show)
