"""`strop fairness [parity] FILE|RUN|queue:NAME --by KEY`: gaps with intervals that hold at once.

Exit codes: 0 where no gap stands apart (or all lie within --margin), 2 where one does, 3 where a
margin was given and it cannot be told whether the gaps lie within it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.common import in_project
from backend.cli.inputs import column_names, distinct_names
from backend.cli.options import FILE_HELP, JsonOption, MapOption, ProjectOption, takes
from backend.cli.terminal.printing import print_json, print_notes, print_table, shown_text

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.schemas.fairness import EqualisedOdds, Gap, Parity, ParityReportOut
    from backend.services.fairness.parity import ParityPlan

GROUPS = ["group", "value", "low", "high", "n", "failed", "note"]
GAPS = ["group", "against", "gap", "low", "high", "n", "says"]


@dataclass(frozen=True, slots=True)
class ParityOptions:
    """Options of `strop fairness parity`."""

    subject: Annotated[str, Argument(help=f"Id of a run, queue:NAME, or a file: {FILE_HELP}")]
    by: Annotated[str, Option(help="Keys of the slices, or columns: language,sex.")]
    metrics: Annotated[str | None, Option(help="Of a run all that were scored, of a file f1.")] = (
        None
    )
    models: Annotated[str | None, Option(help="Only these models of a run.")] = None
    rates: Annotated[
        bool, Option("--rates", help="Also demographic parity, equal opportunity, odds.")
    ] = False
    labels: Annotated[
        str | None, Option(help="Labels whose rates are compared; implies --rates.")
    ] = None
    margin: Annotated[float | None, Option(min=0, help="A gap of no account.")] = None
    across_metrics: Annotated[
        bool, Option("--across-metrics", help="One level for all metrics at once.")
    ] = False
    level: Annotated[float, Option(min=0.5, max=0.999, help="Confidence level.")] = 0.95
    seed: Annotated[int, Option(min=0, help="Seed of the bootstrap; of a file.")] = 0
    map_: MapOption = None
    project: ProjectOption = None
    as_json: JsonOption = False


@takes(ParityOptions)
def command(options: ParityOptions) -> None:
    """Gaps of every metric between groups, with intervals that hold all at once."""
    from backend.services.fairness.parity import ParityPlan

    labels = distinct_names(options.labels)
    plan = ParityPlan(
        keys=distinct_names(options.by),
        metrics=distinct_names(options.metrics),
        labels=labels,
        rates=options.rates or bool(labels),
        margin=options.margin,
        across_metrics=options.across_metrics,
        level=options.level,
    )
    reports = (
        _of_project(options, plan) if _is_of_project(options.subject) else _of_file(options, plan)
    )
    if options.as_json:
        print_json([report.model_dump(mode="json") for report in reports])
    else:
        for report in reports:
            _print(report)
    raise typer.Exit(_exit_code(reports))


def _is_of_project(subject: str) -> bool:
    is_number = subject.isascii() and subject.isdigit()
    return (is_number or subject.startswith("queue:")) and not Path(subject).exists()


def _of_project(options: ParityOptions, plan: ParityPlan) -> list[ParityReportOut]:
    from backend.services.fairness.parity import queue_parity
    from backend.services.review import find_queue

    with in_project(options.project) as (_, session, project):
        if options.subject.startswith("queue:"):
            name = options.subject.partition(":")[2]
            return queue_parity(session, find_queue(session, project.id, name).id, plan)
        return _of_run(session, project.id, int(options.subject), options, plan)


def _of_run(
    session: Session, project_id: int, run_id: int, options: ParityOptions, plan: ParityPlan
) -> list[ParityReportOut]:
    from backend.errors import CannotCompute
    from backend.services.fairness.parity import run_parity
    from backend.services.models.versions import find_model
    from backend.services.runs.generation import get_run
    from backend.services.runs.scoring import list_score_runs

    run = get_run(session, run_id, project_id=project_id)
    scored = list_score_runs(session, run.id)
    if not scored:
        raise CannotCompute(
            f"Run {run.id} was not scored.", hint=f"strop run --resume {run.id} --metrics ..."
        )
    if options.models is None:
        return run_parity(session, scored[-1].id, plan)
    chosen = [find_model(session, project_id, label).id for label in distinct_names(options.models)]
    return [r for i in chosen for r in run_parity(session, scored[-1].id, plan, model_id=i)]


def _of_file(options: ParityOptions, plan: ParityPlan) -> list[ParityReportOut]:
    from backend.schemas.fairness import ParityReportOut
    from backend.services.fairness.parity import (
        compare,
        group_columns,
        paired_labels,
        rates_and_odds,
    )
    from evaluators.fairness.measures import Measure, ScoredMeasure
    from evaluators.fairness.rates import label_measures
    from evaluators.files.mapping import Notes
    from evaluators.files.predictions import read_samples
    from evaluators.registry import resolve_metrics

    metrics = resolve_metrics(list(plan.metrics) or ["f1"])
    samples = read_samples(
        options.subject, names=column_names(options.map_), notes=(notes := Notes())
    )
    print_notes(notes)
    keys = group_columns([sample.slices for sample in samples], plan.keys)
    groups = [sample.group for sample in samples]
    scores = {metric.name: metric.score(samples) for metric in metrics}
    measures: list[Measure] = [
        ScoredMeasure(metric, scores[metric.name], groups, options.seed) for metric in metrics
    ]
    found = compare(measures, keys, plan, seed=options.seed)
    odds: list[EqualisedOdds] = []
    if plan.rates:
        rated = label_measures(
            paired_labels(scores.values()), groups, labels=plan.labels, seed=options.seed
        )
        more, odds = rates_and_odds(rated, keys, plan, seed=options.seed)
        found += more
    report = ParityReportOut(
        model_version_id=None,
        model="",
        of=str(options.subject),
        by="code",
        parities=found,
        odds=odds,
    )
    return [report]


def _exit_code(reports: Sequence[ParityReportOut]) -> int:
    from evaluators.fairness.parity import APART, BEYOND, UNTOLD

    said = {one.said for report in reports for one in report.parities}
    margin = any(one.margin is not None for report in reports for one in report.parities)
    if BEYOND in said or (APART in said and not margin):
        return 2
    return 3 if margin and {UNTOLD, APART} & said else 0


def _print(report: ParityReportOut) -> None:
    whose = "ratings by people" if report.by == "human" else "scores"
    simulated = f", of {report.n_simulated} outputs simulated" if report.n_simulated else ""
    typer.echo(f"{shown_text(report.model)} {report.of}: {whose}{simulated}".strip())
    for one in report.parities:
        print_table(
            [{**asdict(group), "note": group.error or group.note} for group in one.groups],
            columns=GROUPS,
            title=f"{one.metric} by {one.key}",
        )
        print_table([_gap_row(g) for g in one.gaps], columns=GAPS)
        typer.echo(f"  {shown_text(sentence(one))}")
        typer.echo(f"  {one.signature}")
    for odds in report.odds:
        bounds = _bounds(odds.low, odds.high)
        value = "unknown" if odds.value is None else f"{odds.value:.3f}"
        typer.echo(f"equalised odds of {odds.label!r} by {odds.key}: {value}{bounds}, n={odds.n}")


def _gap_row(gap: Gap) -> dict[str, Any]:
    said = gap.said + (f": {gap.note}" if gap.note else "")
    return {
        "group": gap.group,
        "against": gap.other,
        "gap": gap.value,
        "low": gap.low,
        "high": gap.high,
        "n": f"{gap.n}, {gap.n_other}",
        "says": said,
    }


def sentence(one: Parity) -> str:
    """The largest gap, what its bounds allow to say, and for whom nothing can be said."""
    if one.largest is None or one.between is None:
        return f"no two groups have a figure ({one.note}): it cannot be told"
    where = " over ".join(one.between)
    told = (
        f"largest gap {one.largest:.3f}{_bounds(one.low, one.high)}, {where}, n={one.n}: {one.said}"
    )
    unnamed = f"; {one.unnamed} say no {one.key}" if one.unnamed else ""
    note = f"; {one.note}" if one.note else ""
    return f"{told}{unnamed}{note} ({one.level:.0%} for {one.family} gaps at once)"


def _bounds(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return ""
    ends = ["?" if end is None else f"{end:.3f}" for end in (low, high)]
    return f" [{ends[0]}, {ends[1]}]"
