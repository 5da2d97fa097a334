"""`strop fairness pairs` and `strop fairness test`: pairs in which a person's group is exchanged.

    strop fairness pairs --dataset tickets --kinds name,gender,age,place
    strop run --dataset tickets-counterfactual --split test --models base,v1 --metrics rougeL
    strop fairness test RUN

Exit codes of `test`: 0 where no answer is shown to move beyond the control, 2 where one is.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.common import in_project
from backend.cli.inputs import distinct_names
from backend.cli.options import JsonOption, ProjectOption, takes
from backend.cli.terminal.printing import print_json, print_table, shown_text

if TYPE_CHECKING:
    from backend.schemas.fairness import Contrast, CounterfactualReportOut

PLURALS = {"names": "name", "genders": "gender", "ages": "age", "places": "place"}
BOUNDS = ["low", "high", "n", "p (Holm)"]
COLUMNS = ["kind", "measure", "swapped", "control", "excess", *BOUNDS, "says"]
SHIFTS = ["kind", "measure", "direction", "change", *BOUNDS]
MOST_REASONS = 6


@dataclass(frozen=True, slots=True)
class PairsOptions:
    """Options of `strop fairness pairs`."""

    dataset: Annotated[str, Option(help="Dataset, NAME or NAME@VERSION.")]
    kinds: Annotated[str, Option(help="Of name, gender, age, place.")] = "name,gender,age,place"
    split: Annotated[str, Option(help="The split that they are made of, and stay in.")] = "test"
    language: Annotated[str | None, Option(help="en or de; by default told row by row.")] = None
    name: Annotated[
        str | None, Option(help="Of the new dataset; NAME-counterfactual by default.")
    ] = None
    most: Annotated[
        int | None, Option(min=1, help="So many rows of a kind at most, drawn by --seed.")
    ] = None
    lists: Annotated[list[Path] | None, Option(help="Further YAML files of words; repeatable.")] = (
        None
    )
    seed: Annotated[int, Option(help="Seed of the words that are chosen.")] = 7
    project: ProjectOption = None
    as_json: JsonOption = False


@takes(PairsOptions)
def make(options: PairsOptions) -> None:
    """Make counterfactual pairs of a dataset's split; what is left out is counted with reasons."""
    from backend.services.fairness.pairs import PairsPlan, make_pairs

    plan = PairsPlan(
        dataset=options.dataset,
        kinds=tuple(PLURALS.get(kind, kind) for kind in distinct_names(options.kinds)),
        split=options.split,
        language=options.language,
        name=options.name,
        most=options.most,
        seed=options.seed,
        lists=tuple(options.lists or ()),
    )
    with in_project(options.project) as (_, session, project):
        made = make_pairs(session, project.id, plan)
        version = made.version
        label = f"{version.dataset.name}@{version.number}"
        found: dict[str, Any] = {
            "dataset": label,
            "dataset_version_id": version.id,
            "n_examples": version.n_examples,
            "digest": version.digest,
            "pairs": dict(made.pairs),
            "skipped": {kind: dict(reasons) for kind, reasons in made.skipped.items()},
        }
    if options.as_json:
        print_json(found)
        return
    typer.echo(
        f"{label}: {found['n_examples']} rows in the {options.split} split, as they are, "
        "exchanged, and with a control"
    )
    for kind, n in made.pairs.items():
        reasons = list(made.skipped[kind].items())
        typer.echo(f"  {kind}: {n} pairs; {sum(made.skipped[kind].values())} rows left out")
        for why, count in reasons[:MOST_REASONS]:
            typer.echo(f"    {count} {shown_text(why)}")
        if len(reasons) > MOST_REASONS:
            typer.echo(f"    and {len(reasons) - MOST_REASONS} further reasons (--json)")
    name = version.dataset.name
    typer.echo(f"next: strop run --dataset {name} --split {options.split} --models base,v1")


def show_test(
    run: Annotated[int, Argument(help="Id of a run over pairs.")],
    models: Annotated[str | None, Option(help="Only these models.")] = None,
    level: Annotated[float, Option(min=0.5, max=0.999, help="Confidence level.")] = 0.95,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """How far answers move with a person's group, beyond what a control moves them."""
    from backend.services.fairness.answers import counterfactual_report
    from backend.services.models.versions import find_model
    from backend.services.runs.generation import get_run
    from evaluators.fairness.contrast import MORE

    with in_project(project) as (_, session, found):
        get_run(session, run, project_id=found.id)
        chosen = [find_model(session, found.id, label).id for label in distinct_names(models)]
        ids: list[int | None] = [*chosen] or [None]
        reports = [
            r for i in ids for r in counterfactual_report(session, run, model_id=i, level=level)
        ]
    if as_json:
        print_json([report.model_dump(mode="json") for report in reports])
    else:
        for report in reports:
            _print(report)
    moved = any(c.said == MORE for report in reports for c in report.contrasts)
    raise typer.Exit(2 if moved else 0)


def _print(report: CounterfactualReportOut) -> None:
    rows = [_row(one) for one in report.contrasts]
    print_table(rows, columns=COLUMNS, title=f"{shown_text(report.model)}, run {report.run_id}")
    for one in report.contrasts:
        if one.failed:
            typer.echo(f"  {one.kind} {one.measure}: {one.failed} rows lack an answer or a score")
    shifts = [{**asdict(s), "change": s.value, "p (Holm)": s.p_holm} for s in report.shifts]
    if shifts:
        print_table(shifts, columns=SHIFTS, title="which way, second group minus first")
    left = {kind: sum(reasons.values()) for kind, reasons in report.skipped.items()}
    told = ", ".join(
        f"{kind} {n} pairs and {left.get(kind, 0)} rows without" for kind, n in report.pairs.items()
    )
    typer.echo(f"  {told}")
    for shown in report.examples[:3]:
        words = ", ".join(f"{a} -> {b}" for a, b in shown.words)
        typer.echo(f"  {shown.kind} {shown.row} ({shown_text(words)}): moved {shown.change:.2f}")
        typer.echo(f"    as it was: {shown_text(shown.original)[:160]}")
        typer.echo(f"    exchanged: {shown_text(shown.swapped)[:160]}")


def _row(one: Contrast) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "measure": one.measure,
        "swapped": one.swapped.value,
        "control": one.control.value,
        "excess": one.value,
        "low": one.low,
        "high": one.high,
        "n": one.n,
        "p (Holm)": one.p_holm,
        "says": one.said,
    }
