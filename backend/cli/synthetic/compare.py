"""`strop synthetic compare NAME`: do the synthetic rows help? The same set with and without them.

strop synthetic compare round-2 --queue round-2 --queue drafts-1
strop synthetic compare round-2 --queue drafts-1 --references all --dataset tickets \\
    --train --config train.yaml --split validation --metrics rougeL
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.common import in_project, leak_acceptance, read_base_first
from backend.cli.options import AcceptLeaksOption, AsOption, JsonOption, ProjectOption, takes
from backend.cli.terminal.printing import print_json, print_table

if TYPE_CHECKING:
    from backend.cli.common import Installation

FIGURES = ["metric", "value", "low", "high", "n", "error"]


@dataclass(frozen=True, slots=True)
class CompareOptions:
    """What `strop synthetic compare` is asked for."""

    name: Annotated[str, Argument(help="Name of the set; its twin is NAME-without-synthetic.")]
    queue: Annotated[list[str] | None, Option(help="Queue; may be repeated.")] = None
    recipe: Annotated[Path | None, Option(help="Recipe as YAML; options add to it.")] = None
    approved: Annotated[
        str | None, Option(help="Of other queues, outputs that meet a rule: quality>=4.")
    ] = None
    references: Annotated[
        str | None, Option(help="Replay references: all, 200 or 30% of the SFT rows.")
    ] = None
    dataset: Annotated[
        str | None, Option(help="Dataset of the references, and of the comparison.")
    ] = None
    synthetic_share_max: Annotated[
        float | None, Option(help="Most that synthetic rows may be of all: 0.3.")
    ] = None
    drop_leaks: Annotated[
        bool, Option("--drop-leaks", help="Leave out near-duplicates of held-out prompts.")
    ] = False
    train: Annotated[
        bool, Option("--train", help="Train both, run both, and report the difference.")
    ] = False
    config: Annotated[Path | None, Option(help="YAML of both trainings.")] = None
    split: Annotated[str, Option(help="Split that both are run on.")] = "validation"
    metrics: Annotated[str, Option(help="Metrics of the comparison.")] = "rougeL"
    engine: Annotated[str | None, Option(help="Engine; default: of the settings.")] = None
    max_tokens: Annotated[int, Option(help="Longest answer.")] = 128
    accept_leaks: AcceptLeaksOption = None
    as_: AsOption = None
    project: ProjectOption = None
    json: JsonOption = False


@takes(CompareOptions)
def command(asked: CompareOptions) -> None:
    """Freeze a set with and without its synthetic rows; with --train, say what they brought."""
    if asked.train:
        read_base_first(asked.project)
    installation, record = _freeze(asked)
    if asked.train:
        models = _train(asked, installation, [record["with"]["set"], record["without"]["set"]])
        record |= _compare(asked, installation, models)
    if asked.json:
        print_json(record)
        return
    for key in ("with", "without"):
        one = record[key]
        typer.echo(f"{one['set']}: {one['rows']} rows{', simulated' if one['simulated'] else ''}")
    typer.echo(record["said"])
    if asked.train:
        with_, without = record["models"]
        typer.echo(f"{with_} less {without}, paired, {asked.split} split:")
        print_table(record["differences"], columns=FIGURES)


def _freeze(asked: CompareOptions) -> tuple[Installation, dict[str, Any]]:
    from backend.cli.curation.sets import recipe_of
    from backend.services.derivation import say_synthetic
    from backend.services.models.adapter_files import project_artifacts
    from backend.services.synthetic.twins import freeze_twins

    options = {
        "queues": asked.queue,
        "approved": asked.approved,
        "references": asked.references,
        "dataset": asked.dataset if asked.references else None,
        "synthetic_share_max": asked.synthetic_share_max,
    }
    if asked.drop_leaks:
        options["drop_leaks"] = True
    recipe = recipe_of(asked.recipe, **options)
    with in_project(asked.project) as (installation, session, found):
        twins = freeze_twins(
            session,
            project_id=found.id,
            name=asked.name,
            recipe=recipe,
            accept_leaks=leak_acceptance(session, asked.accept_leaks, asked.as_),
            encoders=project_artifacts(installation.settings, found.id),
        )
        record: dict[str, Any] = {
            key: {
                "set": one.name,
                "id": one.id,
                "rows": one.n_rows,
                "simulated": one.simulated,
                "digest": one.digest,
            }
            for key, one in (("with", twins.with_), ("without", twins.without))
        }
        record["said"] = say_synthetic(twins.with_.recipe["synthetic"])
        record["synthetic"] = twins.with_.recipe["synthetic"]
    return installation, record


def _train(asked: CompareOptions, installation: Installation, sets: Sequence[str]) -> list[str]:
    """Train both by one configuration; the labels of the two models."""
    from backend.cli.terminal.waiting import run_jobs
    from backend.cli.training import enqueue_training, read_config
    from backend.db import reading
    from backend.services.training import runs as training

    config = read_config(asked.config)
    with in_project(asked.project) as (_, session, found):
        laid = [
            enqueue_training(
                session,
                found,
                training_set=one,
                name=one,
                config=config,
                settings=installation.settings,
            )
            for one in sets
        ]
    run_jobs(
        installation.sessions, installation.settings, [job for _, job in laid], quiet=asked.json
    )
    with reading(installation.sessions) as session:
        made = [training.trained_model(session, run_id) for run_id, _ in laid]
    return [model.label for model in made if model is not None]


def _compare(
    asked: CompareOptions, installation: Installation, models: Sequence[str]
) -> dict[str, Any]:
    """Run both on the split, and the paired difference of each metric."""
    from backend.cli.runs.run import enqueue_run, split_list
    from backend.cli.terminal.waiting import run_jobs
    from backend.db import reading
    from backend.engines.base import SamplingParams
    from backend.services.models.versions import find_model
    from backend.services.runs.scoring import list_score_runs
    from backend.services.synthetic.twins import difference

    with in_project(asked.project) as (_, session, found):
        project_id = found.id
        run_id, job_id = enqueue_run(
            session,
            found,
            dataset=asked.dataset,
            split=asked.split,
            models=list(models),
            metrics=split_list(asked.metrics),
            engine=asked.engine or installation.settings.engine,
            params=SamplingParams(max_tokens=asked.max_tokens),
        )
    run_jobs(installation.sessions, installation.settings, [job_id], quiet=asked.json)
    with reading(installation.sessions) as session:
        with_, without = (find_model(session, project_id, label).id for label in models)
        scored = list_score_runs(session, run_id)[-1]
        found_ = difference(session, scored.id, without_id=without, with_id=with_)
    return {"models": list(models), "run": run_id, "differences": found_}
