"""`strop check VERB`: the checks that find unsupported statements."""

from __future__ import annotations

import typer

from backend.cli.checks import bench

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Checks: measure them.")
app.command("bench")(bench.command)


@app.callback()
def _root() -> None:
    """Without a callback typer would turn a one-command group into a command."""
