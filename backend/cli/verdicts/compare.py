"""`strop compare A B`: two files of predictions, or two models of a project.

The part of `strop compare` that compares two models of a project: differences, what an answer
costs, slices, and flips to read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.common import in_project
from backend.cli.options import JsonOption, MapOption, ProjectOption
from backend.cli.terminal.output import ForceOption
from backend.cli.terminal.printing import print_json, print_table, shown_text
from evaluators.statistics import RESAMPLES

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.schemas.verdicts import FlipOut, FlipsOut
    from backend.tables.models import ModelVersion
    from backend.tables.runs import ScoreRun


def command(
    baseline: Annotated[str, Argument(help="File, or model such as base.")],
    candidate: Annotated[str, Argument(help="File, or model such as v1.")],
    metric: Annotated[
        list[str] | None, Option("--metric", help="Metric; several are allowed.")
    ] = None,
    level: Annotated[float, Option(min=0.5, max=0.999, help="Confidence level.")] = 0.95,
    resamples: Annotated[int, Option(min=100, help="Bootstrap resamples, for files.")] = RESAMPLES,
    seed: Annotated[int, Option(min=0, help="Seed of the bootstrap, for files.")] = 0,
    html: Annotated[
        Path | None, Option(help="Write a report that opens offline, for files.")
    ] = None,
    force: ForceOption = False,
    map_: MapOption = None,
    slices: Annotated[
        bool, Option("--slices", help="By slice too, for models of a project.")
    ] = False,
    flips: Annotated[
        int, Option(help="Examples to read on which they differ, for models; of each kind.")
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

    compare_models(
        baseline, candidate, project, metrics=metric or [], slices=slices, flips=flips, as_json=json
    )


def _is_file(given: str) -> bool:
    """Whether it is meant as a file, be it there or not; else it is a model."""
    from evaluators.files.readers import ENDINGS

    path = Path(given)
    there = path.exists() and not path.is_dir()
    return given == "-" or there or given.lower().endswith(ENDINGS)


COLUMNS = ["metric", "slice", "baseline", "candidate", "value", "low", "high", "p", "n", "failed"]
SHOWN_SIGNS = 400


def compare_models(
    baseline: str,
    candidate: str,
    project: str | None,
    *,
    metrics: Sequence[str],
    slices: bool,
    flips: int,
    as_json: bool,
) -> None:
    """Print the candidate minus the baseline from the newest held-out run that scored both."""
    from backend.services.models.versions import find_model
    from backend.services.projects import find_manifest, manifest_of
    from backend.services.runs.slices import find_flips
    from backend.services.verdicts.comparison import newest_scores_of_both
    from backend.services.verdicts.savings import token_savings
    from backend.tables.datasets import Split

    with in_project(project) as (_, session, found):
        old = find_model(session, found.id, baseline)
        new = find_model(session, found.id, candidate)
        held_out = (Split.VALIDATION, Split.TEST)
        run = newest_scores_of_both(session, found.id, old, new, splits=held_out)
        split = run.generation_run.split
        rows = _rows(session, run, old, new, metrics)
        sliced = _sliced(session, found.id, run, old, new) if slices else []
        metric = metrics[0] if metrics else None
        stored = find_manifest(session, found.id)
        bar = None if stored is None else manifest_of(stored)
        saved = token_savings(session, run, bar, old, new)
        read = (
            find_flips(session, run.id, old.id, new.id, metric=metric, limit=flips)
            if flips
            else None
        )
    if as_json:
        rows = [_with_savings(row, saved) for row in rows]
        more = {"slices": sliced, "flips": read and read.model_dump()}
        print_json(rows if read is None and not slices else {"differences": rows, **more})
        return
    title = f"{new.label} minus {old.label}, paired by example (score run {run.id}, {split} split)"
    _print(rows, title)
    if saved is not None:
        typer.echo(saved)
    if slices:
        _print(
            sliced, "By slice, to be read and not judged by; p_holm is over all of them", "p_holm"
        )
    if read is not None:
        _print_flips(read, old.label, new.label)


def _rows(
    session: Session, run: ScoreRun, old: ModelVersion, new: ModelVersion, metrics: Sequence[str]
) -> list[dict[str, Any]]:
    """Metrics as scored, and what an answer takes where nothing else is asked for."""
    from backend.services.projects import find_manifest, manifest_of
    from backend.services.runs.figures import paired_figures
    from backend.services.runs.slices import usage_differences

    pairs = paired_figures(session, run.id, old.id, new.id)
    bar = find_manifest(session, new.project_id)
    price = None if bar is None else manifest_of(bar).price
    pairs += usage_differences(session, run, old.id, new.id, price=price)
    rows = [pair.as_dict() for pair in pairs]
    names = {name.partition("@")[0] for name in metrics}
    return [row for row in rows if not names or row["metric"] in names]


def _with_savings(row: dict[str, Any], saved: str | None) -> dict[str, Any]:
    """The row of prompt tokens with what is said of them, if anything is."""
    from backend.services.runs.slices import PROMPT

    return row if saved is None or row["metric"] != PROMPT else {**row, "savings": saved}


def _sliced(
    session: Session, project_id: int, run: ScoreRun, old: ModelVersion, new: ModelVersion
) -> list[dict[str, Any]]:
    from backend.services.projects import current_manifest, manifest_of
    from backend.services.runs.slices import sliced_figures

    bar = manifest_of(current_manifest(session, project_id))
    found = sliced_figures(session, run.id, old.id, new.id, bar=bar)
    return [{**one.figure.as_dict(), "named": one.named, "p_holm": one.p_holm} for one in found]


def _print(rows: Sequence[dict[str, Any]], title: str, *more: str) -> None:
    shown = [{**row, "slice": _slice_text(row["slice"])} for row in rows]
    told = [name for name in ("note", "error") if any(row.get(name) for row in rows)]
    columns = [*COLUMNS, *more, *told]
    print_table(shown, columns=columns, title=title)


def _slice_text(slice_: dict[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in slice_.items())


def _print_flips(flips: FlipsOut, old: str, new: str) -> None:
    typer.echo(
        f"On {flips.metric}, {new} is better on {flips.better} and worse on {flips.worse} of "
        f"{flips.n} examples; {flips.same} are equal."
    )
    for flip in flips.examples:
        _print_flip(flip, old, new)


def _print_flip(flip: FlipOut, old: str, new: str) -> None:
    typer.echo(f"\n{flip.change.upper()}: example {shown_text(flip.external_id)}")
    width = max(len(old), len(new), len("reference"))
    texts = [
        ("input", flip.input),
        *(("reference", text) for text in flip.references[:1]),
        (old, f"[{flip.baseline_score:g}] {flip.baseline_text}"),
        (new, f"[{flip.candidate_score:g}] {flip.candidate_text}"),
    ]
    for name, text in texts:
        one_line = " ".join(shown_text(text).split())
        cut = "" if len(one_line) <= SHOWN_SIGNS else " ..."
        typer.echo(f"  {name:>{width}}: {one_line[:SHOWN_SIGNS]}{cut}")
