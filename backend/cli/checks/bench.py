"""`strop check bench`: what each check finds of planted errors, on a file or on a project.

    strop check bench preds.jsonl --metrics invented,overlap     predictions that are right
    strop check bench --dataset NAME --metrics invented,overlap  references, corrections, approved

Errors are planted in outputs that are right, one of each kind in each output; all is simulated.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.common import in_project, open_installation
from backend.cli.inputs import column_names, distinct_names
from backend.cli.options import JsonOption, MapOption, ProjectOption, takes
from backend.cli.terminal.output import ForceOption, check_target, whole_file
from backend.cli.terminal.printing import count_of, print_json, print_notes, print_table, shown_text

if TYPE_CHECKING:
    from evaluators.checks.planting.figures import Bench, BenchReport

COLUMNS = ["kind", "planted in", "recall", "low", "high", "n", "scored worse", "marked", "failed"]
PLANTED = ["id", "of", "kind", "start", "end", "was", "prediction", "context"]


@dataclass(frozen=True)
class BenchOptions:
    """Options of `strop check bench`."""

    predictions: Annotated[
        str | None,
        Argument(help="Right predictions with their source as context; else a project's."),
    ] = None
    metrics: Annotated[str, Option(help="Checks, separated by commas.")] = "invented,overlap"
    kinds: Annotated[
        str | None, Option(help="Kinds of planted errors, separated by commas; all.")
    ] = None
    dataset: Annotated[
        str | None, Option(help="NAME or NAME@VERSION in the project, without a file.")
    ] = None
    split: Annotated[str, Option(help="Splits of the dataset; test is only measured.")] = (
        "train,validation"
    )
    approved: Annotated[
        str | None, Option(help="Outputs are right, too, by this rule: quality>=4.")
    ] = None
    most: Annotated[int, Option(min=1, help="So many outputs of a project at most.")] = 500
    out: Annotated[
        Path | None, Option(help="Write the planted outputs here, as JSONL; of a file only.")
    ] = None
    force: ForceOption = False
    map_: MapOption = None
    level: Annotated[float, Option(min=0.5, max=0.999, help="Confidence level.")] = 0.95
    seed: Annotated[int, Option(help="Seed of what is planted, and of the halves.")] = 0
    as_json: JsonOption = False
    project: ProjectOption = None


@takes(BenchOptions)
def command(options: BenchOptions) -> None:
    """Measure checks on errors that are planted in right outputs."""
    from backend.errors import InvalidInput

    if (options.predictions is None) == (options.dataset is None):
        raise InvalidInput(
            "A bench is on a file or on a dataset of a project, one of the two.",
            hint="strop check bench FILE, or strop check bench --dataset NAME.",
        )
    if options.predictions is not None:
        _show(_on_file(options), options)
    else:
        _on_project(options)


def _on_file(options: BenchOptions) -> BenchReport:
    from backend.executors.spread import spreading
    from backend.settings import load_settings
    from evaluators.checks.planting.bench import build_bench, refuse_model_checks, run_bench
    from evaluators.checks.planting.plant import KINDS
    from evaluators.files.mapping import Notes
    from evaluators.files.predictions import read_samples
    from evaluators.registry import resolve_metrics

    metrics = resolve_metrics(distinct_names(options.metrics))
    refuse_model_checks([metric.name for metric in metrics])
    path, notes = str(options.predictions), Notes()
    if options.out is not None:
        check_target(options.out, force=options.force, inputs=[path])
    samples = read_samples(path, names=column_names(options.map_), notes=notes)
    print_notes(notes)
    with spreading(load_settings()) as spread:
        bench = build_bench(
            samples,
            kinds=distinct_names(options.kinds) or tuple(KINDS),
            seed=options.seed,
            spread=spread,
        )
    if options.out is not None:
        _write(bench, options.out, force=options.force)
    return run_bench(bench, metrics, level=options.level)


def _write(bench: Bench, out: Path, *, force: bool) -> None:
    """The planted outputs, with place and kind: material of other benches, and to look at."""
    import json

    with whole_file(out, force=force) as file:
        for planted in bench.planted:
            sample, own = planted.sample, bench.unedited[planted.of]
            changed = planted.end - planted.start
            size = len(own.prediction) - len(sample.prediction) + changed
            was = own.prediction[planted.start : planted.start + size]
            values = (sample.id, own.id, planted.kind, planted.start, planted.end, was)
            row = dict(zip(PLANTED, (*values, sample.prediction, sample.context), strict=True))
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _on_project(options: BenchOptions) -> None:
    from backend.db import reading
    from backend.executors.spread import spreading
    from backend.schemas.checks.benches import sources_text
    from backend.services.checks.bench import (
        BenchPlan,
        gather_right_outputs,
        measure_checks,
        record_bench,
    )
    from backend.services.metric_specs import allowed_metrics
    from backend.services.projects import get_project

    plan = BenchPlan(
        dataset=str(options.dataset),
        splits=distinct_names(options.split),
        metrics=distinct_names(options.metrics),
        kinds=distinct_names(options.kinds),
        approved=options.approved,
        seed=options.seed,
        most=options.most,
    )
    installation = open_installation()
    with reading(installation.sessions) as session:
        found = get_project(session, options.project)
        allowed = allowed_metrics(installation.settings, found.id)
        right = gather_right_outputs(session, found.id, plan)
    with spreading(installation.settings) as spread:
        report = measure_checks(right, plan, allowed=allowed, spread=spread)
    with in_project(options.project) as (_, session, found):
        record_bench(session, found.id, plan, right, report)
    if not options.as_json:
        typer.echo(f"right outputs: {sources_text(right.sources)}")
    _show(report, options)


def _show(report: BenchReport, options: BenchOptions) -> None:
    if options.as_json:
        print_json({"figures": figures(report), **report.as_dict()})
    else:
        _print(report)
    if all(check.problem for check in report.checks):
        raise typer.Exit(1)


def figures(report: BenchReport) -> list[dict[str, Any]]:
    """Every figure of a bench in one list, each with its check and kind."""
    found: list[dict[str, Any]] = [figure.as_dict() for figure in report.plantable]
    for check in report.checks:
        for whole in (check.false_alarms, check.recall):
            if whole is not None:
                found.append({"check": check.check, **whole.as_dict()})
        for kind in check.kinds:
            for figure in (kind.recall, kind.worse, kind.located):
                if figure is not None:
                    found.append({"check": check.check, "kind": kind.kind, **figure.as_dict()})
    return found


def _print(report: BenchReport) -> None:
    groups = count_of(report.groups, "group", "groups")
    typer.echo(f"{count_of(report.n, 'output', 'outputs')} in {groups}; {report.note}")
    for reason, count in report.left_out.items():
        typer.echo(f"left out: {count}, {reason}", err=True)
    shares = {figure.metric.partition(":")[2]: figure.value for figure in report.plantable}
    for check in report.checks:
        if check.problem:
            typer.echo(f"error: {check.check}: {shown_text(check.problem)}", err=True)
            continue
        alarms = check.false_alarms
        rows = [_row(kind, shares) for kind in check.kinds]
        print_table(rows, columns=COLUMNS, title=f"{check.check} (simulated)")
        if alarms is not None:
            typer.echo(f"  false alarms {_interval(alarms)} on {alarms.n} unedited outputs")
        typer.echo(f"  {check.reading}")
        if alarms is not None:
            typer.echo(f"  {alarms.signature}")


def _row(kind: Any, shares: dict[str, float]) -> dict[str, Any]:
    return {
        "kind": kind.kind,
        "planted in": f"{shares[kind.kind]:.0%}",
        "recall": kind.recall.value,
        "low": kind.recall.low,
        "high": kind.recall.high,
        "n": kind.recall.n,
        "scored worse": kind.worse.value,
        "marked": None if kind.located is None else kind.located.value,
        "failed": kind.recall.failed,
    }


def _interval(figure: Any) -> str:
    low, high = figure.low, figure.high
    bounds = "" if low is None or high is None else f" ({low:.3f} to {high:.3f})"
    return f"{figure.value:.3f}{bounds}"
