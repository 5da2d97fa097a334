"""`strop compare A B`: two files of predictions, or two models of a project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backend.cli.common import JsonOption, MapOption, ProjectOption
from backend.cli.output import ForceOption


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
    force: ForceOption = False,
    map_: MapOption = None,
    slices: Annotated[
        bool, typer.Option("--slices", help="By slice too, for models of a project.")
    ] = False,
    flips: Annotated[
        int, typer.Option(help="Examples to read on which they differ, for models; of each kind.")
    ] = 0,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Candidate minus baseline on the same examples: difference, interval, p, wins and losses."""
    if _is_file(baseline) or _is_file(candidate):
        from backend.cli.files.compare import compare_files

        metrics = [name for text in metric or ["exact_match"] for name in text.split(",")]
        compare_files(
            baseline,
            candidate,
            metrics=metrics,
            as_json=json,
            html=html,
            force=force,
            maps=map_,
            level=level,
            resamples=resamples,
            seed=seed,
        )
        return
    from backend.cli.verdicts.compare_models import compare_models

    compare_models(
        baseline,
        candidate,
        project,
        metrics=metric or [],
        slices=slices,
        flips=flips,
        as_json=json,
    )


def _is_file(given: str) -> bool:
    """Whether it is meant as a file, be it there or not; else it is a model."""
    from evaluators.files.readers import ENDINGS

    path = Path(given)
    there = path.exists() and not path.is_dir()
    return given == "-" or there or given.lower().endswith(ENDINGS)
