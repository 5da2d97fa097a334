"""`strop check VERB`: the checks that find unsupported statements."""

from __future__ import annotations

from backend.cli.checks import bench, checkers
from backend.cli.options import group

app = group("Checks: measure them, train checkers.")
app.command("bench")(bench.command)
app.command("train")(checkers.train)
app.command("list")(checkers.list_)
app.command("show")(checkers.show)
