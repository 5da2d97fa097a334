"""`strop train`: train an adapter on a frozen set, under a bar that was set before.

strop train --set round-2 --name v2 --start champion
strop train --set round-2 --name v2 --search rank=8,16 learning_rate=1e-4,2e-4 epochs=1,3
strop train --documents notes/ --name domain
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.common import in_project, leak_acceptance
from backend.cli.options import AcceptLeaksOption, AsOption, JsonOption, ProjectOption, takes
from backend.cli.terminal.printing import print_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.orm import Session

    from backend.services.datasets.leaks import Acceptance
    from backend.settings import Settings
    from backend.tables.projects import Project


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """What `strop train` is asked for."""

    grid: Annotated[
        list[str] | None, Argument(metavar="[KEY=VALUES]...", help="More of --search.")
    ] = None
    training_set: Annotated[str | None, Option("--set", help="Frozen training set.")] = None
    name: Annotated[str | None, Option(help="Name of the adapter, for example v2.")] = None
    config: Annotated[
        Path | None, Option(help="YAML with keys of training/config.py; default is all.")
    ] = None
    start: Annotated[str | None, Option(help="Go on from these weights: champion, v1, v1@2.")] = (
        None
    )
    base: Annotated[
        str | None, Option(help="Another base of the project to train on, for example large.")
    ] = None
    documents: Annotated[
        str | None, Option(help="Pre-train on raw documents: a folder, or a dataset's train split.")
    ] = None
    search: Annotated[
        list[str] | None,
        Option(
            help="Values to try, as rank=8,16 learning_rate=1e-4,2e-4 epochs=1,3; the lowest loss "
            "on the validation split is kept (dpo, kto: on rows kept out of training)."
        ),
    ] = None
    canaries: Annotated[
        int | None, Option(help="Plant so many random sequences, and measure what is remembered.")
    ] = None
    canary_repeats: Annotated[
        str | None, Option(help="How often each is planted, as 1,16; goes round.")
    ] = None
    drop_leaks: Annotated[
        bool, Option("--drop-leaks", help="Leave out documents that hold a test prompt.")
    ] = False
    accept_leaks: AcceptLeaksOption = None
    as_: AsOption = None
    resume: Annotated[int | None, Option(help="Go on with this training run.")] = None
    project: ProjectOption = None
    json: JsonOption = False


@takes(TrainOptions)
def command(asked: TrainOptions) -> None:
    """Train an adapter on a frozen set and register it; wait until it is done."""
    from backend.cli.terminal.waiting import run_jobs

    with in_project(asked.project) as (installation, session, found):
        if asked.resume is not None:
            run_id, job_id = resume_training(session, found, asked.resume)
        else:
            run_id, job_id = _new_training(session, found, asked, installation.settings)
    stop = f"strop job cancel training {run_id}"
    typer.echo(f"Training run {run_id} is queued; to stop it: {stop}", err=True)
    run_jobs(installation.sessions, installation.settings, [job_id], quiet=asked.json)
    show_training(installation.sessions, run_id, as_json=asked.json)


def _new_training(
    session: Session, project: Project, asked: TrainOptions, settings: Settings
) -> tuple[int, int]:
    training_set, wanted = asked.training_set, [*(asked.search or []), *(asked.grid or [])]
    keys = read_config(asked.config) | ({"search": parse_search(wanted)} if wanted else {})
    keys |= canary_keys(keys, asked.canaries, asked.canary_repeats)
    if asked.documents is not None:
        training_set, keys = take_documents(
            session,
            project,
            asked.documents,
            training_set=training_set,
            config=keys,
            drop_leaks=asked.drop_leaks,
            accept_leaks=leak_acceptance(session, asked.accept_leaks, asked.as_),
        )
    return enqueue_training(
        session,
        project,
        training_set=training_set,
        name=asked.name,
        config=keys,
        settings=settings,
        start=asked.start,
        base=asked.base,
    )


def read_config(path: Path | None) -> dict[str, Any]:
    """The keys of a YAML file; none without a file."""
    import yaml

    from backend.errors import InvalidInput

    if path is None:
        return {}
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInput(f"{path} is not YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(values, dict | None):
        raise InvalidInput(f"{path} holds no `key: value` lines.")
    return values or {}


def canary_keys(
    config: Mapping[str, Any], count: int | None, repeats: str | None
) -> dict[str, Any]:
    """The key `canaries` of a configuration with what the options say of it.

    Raises:
        InvalidInput: the repeats are no list of whole numbers.
    """
    from backend.errors import InvalidInput

    if count is None and repeats is None:
        return {}
    asked = dict(config.get("canaries") or {})
    asked |= {} if count is None else {"count": count}
    if repeats is not None:
        try:
            asked["repeats"] = [int(one) for one in repeats.split(",")]
        except ValueError:
            raise InvalidInput(
                f"{repeats!r} is no list of whole numbers.", hint="--canary-repeats 1,16"
            ) from None
    return {"canaries": asked}


def parse_search(pairs: Sequence[str]) -> dict[str, list[float]]:
    """`rank=8,16` and its like as a search space; InvalidInput names what is not of that form."""
    from backend.errors import InvalidInput

    space: dict[str, list[float]] = {}
    for pair in (one for part in pairs for one in part.split()):
        key, equals, values = pair.partition("=")
        try:
            numbers = [float(value) for value in values.split(",")]
        except ValueError:
            numbers = []
        if not equals or not numbers or key in space:
            raise InvalidInput(
                f"{pair!r} is no list of values to try.",
                hint="strop train --search rank=8,16 learning_rate=1e-4,2e-4 epochs=1,3",
            )
        space[key] = numbers
    return space


def take_documents(
    session: Session,
    project: Project,
    source: str,
    *,
    training_set: str | None,
    config: dict[str, Any],
    drop_leaks: bool,
    accept_leaks: Acceptance | None,
) -> tuple[str, dict[str, Any]]:
    """Freeze documents; returns the set's name and a configuration that pre-trains on it.

    Raises:
        InvalidInput: a set is named too, or the configuration is of another method.
        LeakRefused: a document holds a held-out prompt.
    """
    from backend.errors import InvalidInput
    from backend.services.datasets.masking.keys import keys_of
    from backend.services.training.files import DOCUMENT_METHOD, freeze_documents
    from backend.settings import load_settings

    if training_set is not None or config.get("method", DOCUMENT_METHOD) != DOCUMENT_METHOD:
        raise InvalidInput(
            f"Documents are for method: {DOCUMENT_METHOD}, and are a set of their own.",
            hint="Leave out --set and method, or leave out --documents.",
        )
    frozen = freeze_documents(
        session,
        project.id,
        source,
        drop_leaks=drop_leaks,
        accept_leaks=accept_leaks,
        keys=keys_of(load_settings().masking_keys),
    )
    return frozen.name, {**config, "method": DOCUMENT_METHOD.value}


def enqueue_training(
    session: Session,
    project: Project,
    *,
    training_set: str | None,
    name: str | None,
    config: dict[str, Any],
    settings: Settings,
    start: str | None = None,
    base: str | None = None,
) -> tuple[int, int]:
    """Lay down a training run and queue it; returns run and job."""
    from backend.errors import InvalidInput
    from backend.services import queue
    from backend.services.training import runs as training

    if not training_set or not name:
        raise InvalidInput(
            "A training needs a frozen set and a name.", hint="strop train --set T --name v2"
        )
    run = training.create_training_run(
        session,
        project_id=project.id,
        training_set_id=training.find_training_set(session, project.id, training_set).id,
        adapter_name=name,
        config=config,
        settings=settings,
        start=start,
        base=base,
    )
    for note in [*training.serving_notes(run), *training.data_notes(session, run)]:
        typer.echo(note, err=True)
    return run.id, queue.enqueue_job(session, queue.JobKind.TRAIN, run.id).id


def resume_training(session: Session, project: Project, run_id: int) -> tuple[int, int]:
    """Queue a training run again; it goes on from its last checkpoint."""
    from backend.services import queue
    from backend.services.training import runs as training

    training.get_training_run(session, run_id, project_id=project.id)
    job = queue.enqueue_job(session, queue.JobKind.TRAIN, run_id)
    return run_id, queue.resume_job(session, job.id).id


def show_training(sessions: Any, run_id: int, *, as_json: bool) -> None:
    """Print the adapter and what its training took."""
    from backend.db import reading
    from backend.services.training import runs as training

    with reading(sessions) as session:
        run = training.get_training_run(session, run_id)
        model = training.trained_model(session, run_id)
        curve = training.training_progress(run)
    label = model.label if model else None
    if as_json:
        print_json({"training_run": run_id, "model": label, "result": run.result})
        return
    for line in describe_result(label, run.result, curve):
        typer.echo(line)


def describe_result(
    label: str | None, result: Mapping[str, Any], curve: Sequence[Mapping[str, Any]]
) -> list[str]:
    """What a training gave, what it took, and the trials of a search, in lines."""
    from training.results.card import (
        data_warnings,
        ledger_lines,
        search_verdict,
        trial_figures,
        validation_line,
    )
    from training.results.exposure import exposure_lines
    from training.results.forgetting import forgetting_lines

    losses = [line["loss"] for line in curve if "loss" in line]
    digest = result.get("adapter_sha256") or result.get("model_sha256") or ""
    told = [
        f"{label}: {result.get('steps')} steps in {result.get('seconds')} s"
        + (f", loss {losses[0]:.3f} -> {losses[-1]:.3f}" if losses else "")
        + f", sha256 {digest[:12]}."
    ]
    told += [f"  {line}" for line in data_warnings(result)]
    validation = result.get("validation") or {}
    if "loss" in validation:
        told.append(f"  {validation_line(validation)}")
    told += [f"  {line}" for line in [*forgetting_lines(result), *exposure_lines(result)]]
    if search := result.get("search"):
        for trial in sorted(search["trials"], key=lambda one: float(one["validation_loss"])):
            loss, behind = trial_figures(trial)
            end = (
                "  kept" if trial["name"] == search["kept"] else behind and f", behind by {behind}"
            )
            told.append(f"  {trial['name']}: validation loss {loss}, n={trial['rows']}{end}")
        told += [f"  {line}" for line in [search_verdict(search)] if line]
    if ledger := result.get("ledger"):
        told += [f"  {line}" for line in ledger_lines(ledger)]
    return told
