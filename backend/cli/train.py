"""`strop train`: train an adapter on a frozen set, under a bar that was set before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.cli.common import JsonOption, ProjectOption, print_json, working_in_project

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.settings import Settings
    from backend.tables.projects import Project


def command(
    training_set: Annotated[str | None, typer.Option("--set", help="Frozen training set.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the adapter, for example v2.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML with keys of training/config.py; default is all.")
    ] = None,
    resume: Annotated[int | None, typer.Option(help="Go on with this training run.")] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Train an adapter on a frozen set and register it; wait until it is done."""
    from backend.cli.waiting import run_jobs

    with working_in_project(project) as (installation, session, found):
        if resume is not None:
            run_id, job_id = resume_training(session, found, resume)
        else:
            run_id, job_id = enqueue_training(
                session,
                found,
                training_set=training_set,
                name=name,
                config=read_config(config),
                settings=installation.settings,
            )
    typer.echo(f"Training run {run_id} is queued.", err=True)
    run_jobs(installation.sessions, installation.settings, [job_id], quiet=json)
    show_training(installation.sessions, run_id, as_json=json)


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


def enqueue_training(
    session: Session,
    project: Project,
    *,
    training_set: str | None,
    name: str | None,
    config: dict[str, Any],
    settings: Settings,
) -> tuple[int, int]:
    """Lay down a training run and queue it; returns run and job."""
    from backend.errors import InvalidInput
    from backend.services import queue, training

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
    )
    return run.id, queue.enqueue_job(session, queue.JobKind.TRAIN, run.id).id


def resume_training(session: Session, project: Project, run_id: int) -> tuple[int, int]:
    """Queue a training run again; it goes on from its last checkpoint."""
    from backend.services import queue, training

    training.get_training_run(session, run_id, project_id=project.id)
    job = queue.enqueue_job(session, queue.JobKind.TRAIN, run_id)
    return run_id, queue.resume_job(session, job.id).id


def show_training(sessions: Any, run_id: int, *, as_json: bool) -> None:
    """Print the adapter and what its training took."""
    from backend.db import reading
    from backend.services import training

    with reading(sessions) as session:
        run = training.get_training_run(session, run_id)
        model = training.trained_model(session, run_id)
        curve = training.training_progress(run)
    label = model.label if model else None
    if as_json:
        print_json({"training_run": run_id, "model": label, "result": run.result})
        return
    losses = [line["loss"] for line in curve if "loss" in line]
    typer.echo(
        f"{label}: {run.result.get('steps')} steps in {run.result.get('seconds')} s"
        + (f", loss {losses[0]:.3f} -> {losses[-1]:.3f}" if losses else "")
        + f", sha256 {run.result.get('adapter_sha256', '')[:12]}."
    )
