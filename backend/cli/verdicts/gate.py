"""`strop gate CANDIDATE`: PASS, FAIL or INCONCLUSIVE by the manifest; exit codes 0, 2, 3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from backend.cli.common import in_project
from backend.cli.options import JsonOption, ProjectOption
from backend.cli.terminal.printing import print_json, print_table, shown_text

if TYPE_CHECKING:
    from backend.schemas.verdicts import BarOut

COLOURS = {"PASS": "green", "FAIL": "red", "INCONCLUSIVE": "yellow"}


def command(
    candidate: Annotated[str, Argument(help="Model, for example v2.")],
    baseline: Annotated[str | None, Option(help="Model to beat; default: the manifest's.")] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Judge a candidate by the manifest, from the newest held-out run that scored both models."""
    from backend.services.models.versions import find_model
    from backend.services.projects import current_manifest, manifest_of
    from backend.services.verdicts import comparison
    from backend.services.verdicts.savings import payoff_of
    from backend.services.verdicts.verdict import EXIT_CODES, Verdict, change_since_training

    with in_project(project) as (_, session, found):
        manifest = current_manifest(session, found.id)
        new = find_model(session, found.id, candidate)
        old = find_model(session, found.id, baseline or manifest_of(manifest).baseline)
        scores = comparison.newest_scores_of_both(session, found.id, old, new)
        row = comparison.compare_models(
            session,
            manifest_row=manifest,
            score_run=scores,
            baseline=old,
            candidate=new,
            queue=comparison.newest_pair_queue(session, found.id, old, new, scores=scores),
        )
        change = change_since_training(session, row)
        payoff = payoff_of(session, row)
        record = {
            "comparison": row.id,
            "verdict": row.verdict,
            "candidate": new.label,
            "baseline": old.label,
            "manifest": {"version": manifest.version, "digest": manifest.digest},
            "n_simulated": row.n_simulated,
            "bar_changed": change.changed,
            "preflight": row.preflight,
            "lines": row.lines,
            "payoff": payoff,
        }
    if json:
        print_json(record)
    else:
        title = f"{new.label} against {old.label}, manifest version {manifest.version}"
        standing = {"title": "preflight passed", **(row.preflight or {})}
        print_table([standing, *row.lines], columns=["title", "verdict", "reason"], title=title)
        _show_change(change)
        for sentence in payoff:
            typer.echo(sentence)
        simulated = f" (simulated: {row.n_simulated} votes by a script)" if row.n_simulated else ""
        typer.secho(row.verdict + simulated, fg=COLOURS[row.verdict], bold=True)
    raise typer.Exit(EXIT_CODES[Verdict(row.verdict)])


def _show_change(change: BarOut) -> None:
    """Say in red, where the terminal has colours, that the bar moved after training began."""
    if change.changed:
        typer.secho(change.sentence, fg="red", bold=True)
        for line in change.diff:
            colour = {"+": "red", "-": "red"}.get(line[:1])
            typer.secho(f"  {shown_text(line)}", fg=colour)
    elif change.changed is None:
        typer.echo(change.sentence)
