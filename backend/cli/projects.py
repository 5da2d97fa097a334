"""`strop manifest set|show|diff`: the bar that a candidate must clear, set before training."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument

from backend.cli.common import in_project
from backend.cli.inputs import read_text
from backend.cli.options import JsonOption, ProjectOption, group
from backend.cli.terminal.printing import print_json, print_table

app = group("The bar, set before training.")


@app.command("set")
def set_(
    file: Annotated[Path, Argument(help="YAML file.", exists=True, dir_okay=False)],
    project: ProjectOption = None,
) -> None:
    """Set the bar from a YAML file; other content than before is a new version."""
    from backend.services.metric_specs import allowed_metrics
    from backend.services.projects import set_manifest

    source = read_text(file)
    with in_project(project) as (installation, session, found):
        allowed = allowed_metrics(installation.settings, found.id)
        row = set_manifest(session, found.id, source, allowed=allowed)
        typer.echo(f"Manifest version {row.version}, sha256 {row.digest}.")


@app.command()
def show(project: ProjectOption = None, json: JsonOption = False) -> None:
    """Show the bar that stands."""
    from backend.services.projects import current_manifest, manifest_of

    with in_project(project) as (_, session, found):
        row = current_manifest(session, found.id)
        manifest = manifest_of(row)
    if json:
        print_json({"version": row.version, "digest": row.digest, **row.content})
        return
    title = (
        f"{manifest.name}: version {row.version}, sha256 {row.digest[:12]}, set {row.created_at}"
    )
    lines = [{"line": n, "bar": line.title} for n, line in enumerate(manifest.lines, start=1)]
    print_table(lines, columns=["line", "bar"], title=title)
    typer.echo(f"Baseline {manifest.baseline}; alpha {manifest.alpha:g}, two-sided, per line.")


@app.command()
def diff(
    old: Annotated[int | None, Argument(help="Version; default: the one before.")] = None,
    new: Annotated[int | None, Argument(help="Version; default: the newest.")] = None,
    project: ProjectOption = None,
) -> None:
    """Show what changed between two versions of the bar; exit code 2 when something did."""
    from backend.errors import NotFound
    from backend.services.projects import list_manifests

    with in_project(project) as (_, session, found):
        rows = {row.version: row for row in list_manifests(session, found.id)}
    newest = new or max(rows, default=0)
    before, after = rows.get(old or newest - 1), rows.get(newest)
    if before is None or after is None:
        raise NotFound("There are no two such versions.", hint=f"Known: {sorted(rows)}.")
    lines = list(
        difflib.unified_diff(
            before.source.splitlines(),
            after.source.splitlines(),
            f"version {before.version} ({before.created_at})",
            f"version {after.version} ({after.created_at})",
            lineterm="",
        )
    )
    typer.echo("\n".join(lines) or "No difference.")
    raise typer.Exit(2 if lines else 0)
