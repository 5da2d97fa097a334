"""`strop check train|list|show`: checkers, adapters that tell what a source supports.

strop check train facts --dataset notes --approved faithful=yes
strop check list · strop check show facts
strop run --resume 3 --metrics check:facts
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.common import in_project
from backend.cli.options import JsonOption, ProjectOption, takes
from backend.cli.terminal.printing import print_rows, print_shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

    from backend.services.checks.checkers.checkers import Trained
    from backend.services.curation.recipes import Recipe
    from backend.settings import Settings
    from backend.tables.projects import Project


@dataclass(frozen=True, slots=True)
class CheckerTrainOptions:
    """What `strop check train` is asked for."""

    name: Annotated[str, Argument(help="Name of the checker, for example facts.")]
    dataset: Annotated[
        str | None, Option(help="Dataset whose references are right; default: the only one.")
    ] = None
    queue: Annotated[
        list[str] | None,
        Option(help="Queue whose corrections and marks teach; default: all of outputs."),
    ] = None
    approved: Annotated[
        str | None, Option(help="Which outputs are right: faithful=yes, quality>=4.")
    ] = None
    marks: Annotated[
        list[str] | None,
        Option(help="Kinds of marks that mean unsupported; default: not of tone and the like."),
    ] = None
    references: Annotated[
        bool, Option("--references/--no-references", help="Take references as right.")
    ] = True
    most: Annotated[int | None, Option(min=20, help="Most sentences to learn from.")] = None
    config: Annotated[
        Path | None, Option(help="YAML with keys of training/config.py; default is all.")
    ] = None
    seed: Annotated[int, Option(help="Seed of errors and of what is kept out.")] = 7
    project: ProjectOption = None
    json: JsonOption = False


@takes(CheckerTrainOptions)
def train(asked: CheckerTrainOptions) -> None:
    """Train a checker on planted errors and on what experts marked; then measure it."""
    from backend.cli.terminal.waiting import run_jobs

    with in_project(asked.project) as (installation, session, found):
        run_id, job_id, rows = _lay_down(session, found, asked, installation.settings)
    stop = f"strop job cancel training {run_id}"
    typer.echo(f"Training run {run_id} learns {rows} sentences; to stop it: {stop}", err=True)
    run_jobs(installation.sessions, installation.settings, [job_id], quiet=asked.json)
    show(asked.name, project=asked.project, json=asked.json)


def _lay_down(
    session: Session, project: Project, asked: CheckerTrainOptions, settings: Settings
) -> tuple[int, int, int]:
    """Training run, its job, and how many sentences it learns."""
    from backend.cli.training import read_config
    from backend.services import queue
    from backend.services.checks.checkers import checkers
    from backend.services.curation import get_training_set
    from backend.services.training.runs import get_training_run

    row = checkers.train_checker(
        session,
        project.id,
        asked.name,
        _recipe(session, project, asked),
        config=read_config(asked.config),
        settings=settings,
        most=asked.most or checkers.MOST_LESSONS,
        mark_kinds=tuple(asked.marks or ()),
    )
    run = get_training_run(session, row.training_run_id)
    job = queue.enqueue_job(session, queue.JobKind.TRAIN, run.id)
    return run.id, job.id, get_training_set(session, run.training_set_id).n_rows


def _recipe(session: Session, project: Project, asked: CheckerTrainOptions) -> Recipe:
    """Where right texts come from: what is named, else all that the project has."""
    from backend.services.curation.recipes import ReplayPart, parse_rule, recipe_from_content
    from backend.services.review.queues import list_queues
    from backend.tables.review import QueueKind

    queues = asked.queue or [
        queue.name
        for queue in list_queues(session, project.id)
        if queue.kind == QueueKind.SINGLE and not asked.dataset
    ]
    name, _, number = (asked.dataset or "").partition("@")
    said: dict[str, Any] = {"queues": queues, "seed": asked.seed}
    if asked.references:
        said["references"] = ReplayPart().model_dump()
    if name or not queues:
        said["dataset"] = name or _only_dataset(session, project)
        said["dataset_number"] = int(number) if number.isdigit() else None
    if asked.approved is not None:
        said["approved"] = parse_rule(asked.approved).model_dump()
    return recipe_from_content(said)


def _only_dataset(session: Session, project: Project) -> str:
    from sqlalchemy import select

    from backend.errors import InvalidInput
    from backend.tables.datasets import Dataset

    query = select(Dataset.name).where(Dataset.project_id == project.id).order_by(Dataset.id)
    names = list(session.scalars(query))
    if len(names) != 1:
        raise InvalidInput(
            f"The project has {len(names)} datasets, and no queue of outputs says which.",
            hint=f"Name one: --dataset {names[0]}" if names else "Import one: strop dataset import",
        )
    return names[0]


def list_(project: ProjectOption = None, json: JsonOption = False) -> None:
    """List the checkers with what was measured of each."""
    from backend.services.checks.checkers.checkers import list_checkers

    with in_project(project) as (_, session, found):
        rows = [_line(one) for one in list_checkers(session, found.id)]
    print_rows(rows, json=json, empty="There is no checker: strop check train NAME")


def _line(trained: Trained) -> dict[str, Any]:
    figures = trained.checker.figures or {}
    told = {one["metric"]: one for one in figures.get("sentences", ())}
    return {
        "metric": trained.model.check_name,
        "AUROC (simulated)": interval(told.get("auroc")),
        "balanced accuracy": interval(told.get("balanced_accuracy")),
        "false alarms": interval(figures.get("false_alarms")),
        "sha256": (trained.model.adapter_sha256 or "")[:12],
        "trained": f"{trained.model.created_at:%Y-%m-%d %H:%M}",
    }


def show(
    name: Annotated[str, Argument(help="Checker, for example facts or facts@1.")],
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """What a checker was taught with, how it is asked, and how good it is on what it never saw."""
    from backend.services.checks.checkers.checkers import find_checker, training_run_of
    from backend.services.curation import get_training_set

    with in_project(project) as (_, session, found):
        trained = find_checker(session, found.id, name)
        frozen = get_training_set(session, training_run_of(session, trained).training_set_id)
        record = {
            "metric": trained.model.check_name,
            "model": trained.model.label,
            "training_run": trained.checker.training_run_id,
            "training_set": frozen.name,
            "rows_by_source": frozen.recipe["rows_by_source"],
            "errors": frozen.recipe["check"]["errors"],
            "simulated_reviews": frozen.simulated,
            "form": trained.checker.form,
            "figures": trained.checker.figures,
        }
    print_shown(record, lambda told: typer.echo("\n".join(describe(told))), json=json)


def describe(record: Mapping[str, Any]) -> list[str]:
    """A checker in lines."""
    rows, form, figures = record["rows_by_source"], record["form"], record["figures"]
    said = [
        f"{record['metric']} is {record['model']}, trained on {record['training_set']!r}: "
        + ", ".join(f"{n} {source}" for source, n in rows.items())
        + " sentences.",
        "Errors: " + ", ".join(f"{n} {kind}" for kind, n in record["errors"].items()) + ".",
        f"It answers {form['yes']} or {form['no']}, and is shown up to {form['source_bytes']} "
        "bytes of the source.",
    ]
    if not figures:
        again = f"strop train --resume {record['training_run']}"
        return [*said, f"It was not measured yet; measure it: {again}"]
    return [*said, *describe_figures(figures)]


def describe_figures(figures: Mapping[str, Any]) -> list[str]:
    """What was measured, in lines; planted errors are simulated, and so are these figures."""
    said = [
        f"On {figures['groups']} groups that training never saw (simulated: errors are planted):"
    ]
    names = {"auroc": "AUROC", "balanced_accuracy": "balanced accuracy at .5"}
    for one in figures["sentences"]:
        said.append(f"  {names[one['metric']]} of sentences {interval(one)}, n={one['n']}")
    for one in figures.get("beside", ()):  # not measured before
        apart = one["metric"] == "difference"
        about = "the checker's less that of" if apart else "AUROC of sentences by"
        said.append(f"  {about} {one['predictor']} {interval(one)}, n={one['n']}")
    for one in figures["texts"]:
        said.append(f"  AUROC of whole texts by {one['predictor']} {interval(one)}, n={one['n']}")
    alarms = figures["false_alarms"]
    said.append(f"  false alarms {interval(alarms)}, n={alarms['n']} right sentences")
    for kind, one in figures["found"].items():
        said.append(f"  finds {kind} {interval(one)}, n={one['n']}")
    if figures["failed"]:
        said.append(f"  {figures['failed']} sentences could not be judged")
    return said


def interval(figure: Mapping[str, Any] | None) -> str:
    """`0.71 [0.66, 0.76]`; without bounds where nothing is known of the spread."""
    if figure is None:
        return ""
    if figure["low"] is None:
        return f"{figure['value']:.2f} (no interval)"
    return f"{figure['value']:.2f} [{figure['low']:.2f}, {figure['high']:.2f}]"
