"""`strop preferences`: win rates and strengths from votes, and how far a judge agrees with people.

strop preferences votes.jsonl [--judge RATER] [--side] [--length] [--json]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.inputs import column_names
from backend.cli.options import FILE_HELP, JsonOption, MapOption
from backend.cli.terminal.output import ForceOption, check_target
from backend.cli.terminal.printing import print_notes, print_shown, print_table

if TYPE_CHECKING:
    from evaluators.statistics.votes import Vote


def command(
    votes: Annotated[str, Argument(help=FILE_HELP)],
    judge: Annotated[
        str | None, Option(help="A rater to set against all others, who are people.")
    ] = None,
    side: Annotated[
        bool, Option("--side", help="Estimate the advantage of being model_a.")
    ] = False,
    length: Annotated[
        bool, Option("--length", help="Estimate the effect of length_a - length_b.")
    ] = False,
    map_: MapOption = None,
    html: Annotated[Path | None, Option(help="Write a report that opens offline.")] = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
    level: Annotated[float, Option(min=0.5, max=0.999, help="Confidence level.")] = 0.95,
    seed: Annotated[int, Option(min=0, help="Seed of the bootstrap.")] = 0,
) -> None:
    """Win rates (a tie is half a win), Bradley-Terry strengths, and agreement with a judge."""
    from evaluators.errors import UndefinedFigure
    from evaluators.files.mapping import Notes
    from evaluators.files.people import read_votes
    from evaluators.statistics.votes import judge_agreement, win_rates

    if html is not None:
        check_target(html, force=force, inputs=[votes])
    notes = Notes()
    rows = read_votes(votes, names=column_names(map_), notes=notes)
    print_notes(notes)
    people = [vote for vote in rows if vote.rater != judge] if judge else rows
    if not people:
        raise UndefinedFigure(
            f"Every vote is of {judge!r}: there are none of people to set it against.",
            hint="Add votes of people, or leave out --judge.",
        )
    report: dict[str, Any] = {
        "n": len(rows),
        "n_simulated": sum(vote.simulated for vote in rows),
        "win_rates": [asdict(row) for row in win_rates(people, seed=seed, level=level)],
        "strengths": _strengths(people, side=side, length=length, level=level),
    }
    if judge:
        found = judge_agreement(rows, judge, level=level)
        report["judge"] = [asdict(row) for row in found]
    if html is not None:
        _write_html(html, votes, report, force=force)
    print_shown(report, _print, json=as_json)


def _strengths(votes: Sequence[Vote], *, side: bool, length: bool, level: float) -> dict[str, Any]:
    from evaluators.errors import UndefinedFigure
    from evaluators.statistics.preference import bradley_terry

    try:
        return asdict(bradley_terry(votes, side=side, length=length, level=level))
    except UndefinedFigure as error:
        return {"error": str(error)}


def _write_html(path: Path, source: str, report: dict[str, Any], *, force: bool) -> None:
    from backend.cli.runs.html_report import forest_plot, signatures, table, write_report

    against_all = [row for row in report["win_rates"] if row["against"] is None]
    sections = [("Votes", signatures([said]))] if (said := _say_simulated(report)) else []
    sections += [("Win rates against all", forest_plot(against_all, label="model", zero=0.5))]
    strengths = report["strengths"]
    if "error" in strengths:
        sections.append(("Bradley-Terry", signatures([strengths["error"]])))
    else:
        rows = [{**row, "n": strengths["n"]} for row in strengths["strengths"]]
        plot = forest_plot(rows, label="name", zero=0.0)
        sections.append(("Strength, log odds", plot + signatures([strengths["signature"]])))
    if "judge" in report:
        columns = ["between", "by", "ties", "agree", "n", "value", "low", "high"]
        sections.append(("Agreement of verdicts", table(report["judge"], columns)))
    columns = ["model", "against", "value", "low", "high", "n", "items", "wins", "losses", "ties"]
    rates = [{**row, "against": row["against"] or "all"} for row in report["win_rates"]]
    sections.append(("All win rates", table(rates, columns)))
    write_report(path, f"Preferences in {Path(source).name}", sections, force=force)


def _say_simulated(report: dict[str, Any]) -> str:
    """One sentence on the votes that a script cast; empty where there are none."""
    if not report["n_simulated"]:
        return ""
    return f"{report['n_simulated']} of the {report['n']} votes are simulated."


def _print(report: dict[str, Any]) -> None:
    if said := _say_simulated(report):
        typer.echo(said)
    rates = [{**row, "against": row["against"] or "all"} for row in report["win_rates"]]
    columns = ["model", "against", "value", "low", "high", "n", "items", "wins", "losses", "ties"]
    print_table(rates, columns=columns, title="Win rates (a tie is half a win)")
    strengths = report["strengths"]
    if "error" in strengths:
        typer.echo(f"error: {strengths['error']}", err=True)
    else:
        rows = [*strengths["strengths"], *strengths["effects"]]
        title = f"Bradley-Terry, log odds (n = {strengths['n']}, {strengths['items']} items)"
        print_table(rows, columns=["name", "value", "low", "high"], title=title)
        typer.echo(strengths["signature"])
    if "judge" in report:
        columns = ["between", "by", "ties", "agree", "n", "value", "low", "high"]
        print_table(report["judge"], columns=columns, title="Agreement of verdicts")
