"""`strop report`: the figures of a run with n, interval and signature, and paired differences."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument

from backend.cli.common import Installation, open_installation
from backend.cli.options import JsonOption, ProjectOption
from backend.cli.terminal.printing import print_json, print_rows, print_table

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

FIGURES = ["metric", "model", "value", "95% interval", "n", "failed", ""]
DIFFERENCES = ["metric", "model", "change", "95% interval", "p", "won:lost", *FIGURES[-3:]]
MARKS = "abcdefghijklmnopqrstuvwxyz"


def command(
    run: Annotated[int | None, Argument(help="Run; without one the runs are listed.")] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Figures of a run with their intervals, and each model against the first."""
    installation = open_installation()
    if run is None:
        list_runs(installation, project, as_json=json)
    else:
        show_report(installation, run, as_json=json)


def show_report(installation: Installation, run_id: int, *, as_json: bool) -> None:
    """Print what is known of a run."""
    from backend.db import reading

    with reading(installation.sessions) as session:
        report = make_report(session, run_id)
    if as_json:
        print_json(report)
        return
    done = report["progress"]
    typer.echo(
        f"Run {run_id}: {report['dataset']} {report['split']}, engine {report['engine']}, "
        f"{done['done']} of {done['total']} generations, {done['failed']} failed."
    )
    if report["reason"]:
        typer.echo(report["reason"])
    for sentence in report["provenance"]:
        typer.echo(sentence)
    for scores in report["scores"]:
        _print_scores(scores)


def make_report(session: Session, run_id: int) -> dict[str, Any]:
    """A run, its progress, its models, and the figures and differences of its scorings."""
    from backend.services import queue
    from backend.services.runs import generation, scoring
    from backend.services.runs.importing.imported import provenance

    run = generation.get_run(session, run_id)
    version = run.dataset_version
    job = queue.find_job(session, queue.JobKind.GENERATE, run.id)
    return {
        "run": run.id,
        "dataset": f"{version.dataset.name}@{version.number}",
        "data_digest": version.digest,
        "split": run.split,
        "engine": run.engine,
        "params": run.params,
        "models": [model.label for model in run.models],
        "provenance": provenance(session, run),
        "state": job and job.state,
        "reason": job and job.error,
        "progress": generation.run_progress(session, run.id).model_dump(),
        "scores": [
            _score_report(session, row.id, [model.id for model in run.models])
            for row in scoring.list_score_runs(session, run.id)
        ],
    }


def _score_report(session: Session, score_run_id: int, model_ids: list[int]) -> dict[str, Any]:
    from backend.services.runs.figures import model_figures, paired_figures

    baseline, *others = model_ids
    pairs = [paired_figures(session, score_run_id, baseline, other) for other in others]
    figures = model_figures(session, score_run_id)
    labels = {figure.model_version_id: figure.model for figure in figures}
    return {
        "score_run": score_run_id,
        "baseline": labels[baseline],
        "figures": [figure.as_dict() for figure in figures],
        "differences": [
            {"model": labels[d.candidate_id], **d.as_dict()} for found in pairs for d in found
        ],
    }


def _print_scores(report: dict[str, Any]) -> None:
    notes: dict[str, str] = {}
    print_table(
        [_figure_row(figure, notes) for figure in report["figures"]],
        columns=FIGURES,
        title=f"Score run {report['score_run']}",
    )
    if report["differences"]:
        print_table(
            [_difference_row(difference, notes) for difference in report["differences"]],
            columns=DIFFERENCES,
            title=f"Change against {report['baseline']}, paired by example",
        )
    for note, mark in notes.items():
        typer.echo(f"  ({mark}) {note}")
    typer.echo("Signatures:")
    for signature in {f["signature"]: None for f in report["figures"] if "signature" in f}:
        typer.echo(f"  {signature}")


def _figure_row(figure: dict[str, Any], notes: dict[str, str]) -> dict[str, Any]:
    return {
        "metric": _metric_label(figure),
        "model": figure["model"],
        "value": figure.get("value"),
        "95% interval": _interval(figure),
        "n": figure.get("n"),
        "failed": figure.get("failed"),
        "": _mark(figure, notes),
    }


def _difference_row(difference: dict[str, Any], notes: dict[str, str]) -> dict[str, Any]:
    return {
        "metric": _metric_label(difference),
        "model": difference["model"],
        "change": difference.get("value"),
        "95% interval": _interval(difference),
        "p": difference.get("p"),
        "won:lost": f"{difference['wins']}:{difference['losses']}" if "wins" in difference else "",
        "n": difference.get("n"),
        "failed": difference.get("failed"),
        "": _mark(difference, notes),
    }


def _metric_label(figure: dict[str, Any]) -> str:
    where = ",".join(f"{key}={value}" for key, value in sorted(figure["slice"].items()))
    return f"{figure['metric']}@{where}" if where else str(figure["metric"])


def _interval(figure: dict[str, Any]) -> str:
    if figure.get("low") is None:
        return ""
    return f"{figure['low']:.3f} to {figure['high']:.3f}"


def _mark(figure: dict[str, Any], notes: dict[str, str]) -> str:
    """Letters of the notes on a figure: why there is none, or what a reader must know of it."""
    from evaluators.files.mapping import counted

    texts: Iterable[str] = (
        figure.get("error") or "",
        f"rough: only {counted(figure['clusters'], 'group')}" if figure.get("rough") else "",
        f"does not apply to {figure['not_applicable']}" if figure.get("not_applicable") else "",
        figure.get("note") or "",
    )
    return "".join(notes.setdefault(text, MARKS[len(notes) % len(MARKS)]) for text in texts if text)


def list_runs(installation: Installation, project: str | None, *, as_json: bool) -> None:
    """Print the runs of a project, newest first."""
    from backend.db import reading
    from backend.services import queue
    from backend.services.projects import get_project
    from backend.services.runs import generation

    with reading(installation.sessions) as session:
        found = get_project(session, project)
        rows = []
        for run in generation.list_runs(session, found.id):
            progress = generation.run_progress(session, run.id)
            job = queue.find_job(session, queue.JobKind.GENERATE, run.id)
            rows.append(
                {
                    "run": run.id,
                    "dataset": f"{run.dataset_version.dataset.name}@{run.dataset_version.number}",
                    "split": run.split,
                    "models": ", ".join(model.label for model in run.models),
                    "engine": run.engine,
                    "done": progress.done,
                    "total": progress.total,
                    "failed": progress.failed,
                    "state": job.state if job else "",
                }
            )
    empty = "There is no run yet: strop run --dataset NAME --models base"
    print_rows(rows, json=as_json, empty=empty)
