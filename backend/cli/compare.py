"""`strop compare A B`: two files of predictions, or two models of a project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backend.cli.common import (
    JsonOption,
    ProjectOption,
    print_json,
    print_table,
    working_in_project,
)

COLUMNS = ["metric", "slice", "baseline", "candidate", "value", "low", "high", "p", "n", "failed"]


def command(
    baseline: Annotated[str, typer.Argument(help="File, or model such as base.")],
    candidate: Annotated[str, typer.Argument(help="File, or model such as v1.")],
    metric: Annotated[
        list[str] | None, typer.Option("--metric", help="Metric; several are allowed.")
    ] = None,
    level: Annotated[float, typer.Option(help="Level of the intervals.")] = 0.95,
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples, for files.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap, for files.")] = 0,
    html: Annotated[
        Path | None, typer.Option(help="Write a report that opens offline, for files.")
    ] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Candidate minus baseline on the same examples: difference, interval, p, wins and losses."""
    if Path(baseline).is_file() or Path(candidate).is_file() or "-" in (baseline, candidate):
        from backend.cli.compare_files import compare_files

        metrics = [name for text in metric or ["exact_match"] for name in text.split(",")]
        compare_files(
            baseline,
            candidate,
            metrics=metrics,
            as_json=json,
            html=html,
            level=level,
            resamples=resamples,
            seed=seed,
        )
        return
    _compare_models(baseline, candidate, metric or [], project, json=json)


def _compare_models(
    baseline: str, candidate: str, metrics: list[str], project: str | None, *, json: bool
) -> None:
    from backend.services.comparison import newest_scores_of_both
    from backend.services.model_versions import find_model
    from backend.services.scoring import paired_figures

    with working_in_project(project) as (_, session, found):
        old = find_model(session, found.id, baseline)
        new = find_model(session, found.id, candidate)
        score_run = newest_scores_of_both(session, found.id, old, new)
        figures = [f.as_dict() for f in paired_figures(session, score_run.id, old.id, new.id)]
    rows = [row for row in figures if not metrics or row["metric"] in metrics]
    if json:
        print_json(rows)
        return
    shown = [{**row, "slice": _slice_text(row["slice"])} for row in rows]
    columns = [*COLUMNS, "error"] if any("error" in row for row in rows) else COLUMNS
    title = f"{new.label} minus {old.label}, paired by example (score run {score_run.id})"
    print_table(shown, columns=columns, title=title)


def _slice_text(slice_: dict[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in slice_.items())
