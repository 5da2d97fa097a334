"""`strop run`: generate with several models on the same examples, and score what they wrote.

`strop run import` takes what was written elsewhere (`backend.cli.runs.imports`).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from backend.cli.common import in_project, leak_acceptance, read_base_first
from backend.cli.options import AcceptLeaksOption, AsOption, JsonOption, ProjectOption, takes
from backend.cli.runs import imports

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.services.datasets.leaks import Acceptance
    from backend.tables.projects import Project


app = typer.Typer(add_completion=False, invoke_without_command=True)
app.command("import")(imports.command)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What `strop run` is asked for."""

    context: typer.Context
    dataset: Annotated[str | None, Option(help="Dataset, NAME or NAME@VERSION.")] = None
    split: Annotated[str, Option(help="train, validation or test.")] = "test"
    models: Annotated[str, Option(help="Models, for example base,v1,v2@3.")] = "base"
    metrics: Annotated[
        str | None, Option(help="Score with these after, for example rouge,f1@task=intent.")
    ] = None
    engine: Annotated[str | None, Option(help="local, vllm or openai; default: settings.")] = None
    resume: Annotated[int | None, Option(help="Go on with this run.")] = None
    retry_failed: Annotated[
        bool, Option("--retry-failed", help="With --resume: ask failed prompts again.")
    ] = False
    max_tokens: Annotated[int, Option(min=1, help="Longest answer in tokens.")] = 128
    temperature: Annotated[float, Option(min=0, help="0 is greedy.")] = 0.0
    top_p: Annotated[float, Option(help="Nucleus; only above temperature 0.")] = 1.0
    seed: Annotated[int, Option(help="Seed of sampling and of --limit.")] = 0
    samples: Annotated[int, Option(min=1, help="Answers for each example.")] = 1
    limit: Annotated[int | None, Option(min=1, help="Only so many examples, drawn by --seed.")] = (
        None
    )
    truncate_prompt: Annotated[
        bool, Option("--truncate-prompt", help="Cut prompts that are too long.")
    ] = False
    accept_leaks: AcceptLeaksOption = None
    as_: AsOption = None
    project: ProjectOption = None
    json: JsonOption = False


@app.callback()
@takes(RunOptions)
def command(asked: RunOptions) -> None:
    """Generate with several models and score what they wrote; wait until it is done."""
    if asked.context.invoked_subcommand is not None:
        return
    from backend.cli.runs.report import show_report
    from backend.cli.terminal.waiting import run_jobs
    from backend.engines.base import SamplingParams

    params = SamplingParams(
        max_tokens=asked.max_tokens,
        temperature=asked.temperature,
        top_p=asked.top_p,
        seed=asked.seed,
        truncate_prompt=asked.truncate_prompt,
    )
    if asked.resume is not None:
        _check_resumable(asked.resume, asked.project)
    read_base_first(asked.project)
    with in_project(asked.project) as (installation, session, found):
        if asked.resume is None:
            default = installation.settings.engine
            run_id, job_ids = _new_run(session, found, asked, params, default_engine=default)
        else:
            run_id, names = asked.resume, split_list(asked.metrics)
            again = asked.retry_failed
            job_ids = resume_run(session, found, run_id, metrics=names, retry_failed=again)
    typer.echo(f"Run {run_id} is queued; to stop it: strop job cancel run {run_id}", err=True)
    run_jobs(installation.sessions, installation.settings, job_ids, quiet=asked.json)
    show_report(installation, run_id, as_json=asked.json)


def _check_resumable(run_id: int, project: str | None) -> None:
    """Before the base is read: a run that was imported has none."""
    from backend.services.runs import generation

    with in_project(project) as (_, session, found):
        run = generation.get_run(session, run_id, project_id=found.id)
        generation.require_resumable(run)


def _new_run(
    session: Session, project: Project, asked: RunOptions, params: Any, *, default_engine: str
) -> tuple[int, list[int]]:
    run_id, job_id = enqueue_run(
        session,
        project,
        dataset=asked.dataset,
        split=asked.split,
        models=split_list(asked.models),
        metrics=split_list(asked.metrics),
        engine=asked.engine or default_engine,
        params=params,
        samples=asked.samples,
        limit=asked.limit,
        accept_leaks=leak_acceptance(session, asked.accept_leaks, asked.as_),
    )
    return run_id, [job_id]


def split_list(text: str | None) -> list[str]:
    """`a,b` as ["a", "b"]; a slice of several keys stays whole: `f1@a=1,b=2`."""
    parts: list[str] = []
    for part in (text or "").split(","):
        joins = parts and "@" in parts[-1] and "=" in part and "@" not in part
        if joins:
            parts[-1] += f",{part}"
        elif part.strip():
            parts.append(part.strip())
    return parts


def enqueue_run(
    session: Session,
    project: Project,
    *,
    dataset: str | None,
    split: str,
    models: list[str],
    metrics: list[str],
    engine: str,
    params: Any,
    samples: int = 1,
    limit: int | None = None,
    accept_leaks: Acceptance | None = None,
) -> tuple[int, int]:
    """Lay down a run with its scoring, and queue it; returns run and job."""
    from backend.errors import InvalidInput
    from backend.services import queue
    from backend.services.datasets.versions import find_version, list_examples
    from backend.services.models.versions import find_model, register_base
    from backend.services.runs import generation
    from backend.services.runs.leaks import unknown_training

    if dataset is None:
        raise InvalidInput("No dataset is named.", hint="Name it: --dataset NAME")
    version = find_version(session, project.id, dataset)
    chosen = _draw([e.id for e in list_examples(session, version.id, split)], limit, params.seed)
    register_base(session, project.id)
    model_ids = [find_model(session, project.id, label).id for label in models]
    for label in unknown_training(session, model_ids):
        typer.echo(f"{label} was trained elsewhere: leaks into it cannot be checked.", err=True)
    run = generation.create_run(
        session,
        project_id=project.id,
        dataset_version_id=version.id,
        split=split,
        model_ids=model_ids,
        engine=engine,
        params=params,
        samples=samples,
        example_ids=chosen,
        accept_leaks=accept_leaks,
    )
    job = queue.enqueue_job(
        session,
        queue.JobKind.GENERATE,
        run.id,
        arguments={"then_score": _score_runs(session, run.id, metrics)},
    )
    return run.id, job.id


def _draw(example_ids: list[int], limit: int | None, seed: int) -> list[int] | None:
    """A simple random sample in the order of import; files are often sorted by what they hold."""
    if limit is None or limit >= len(example_ids):
        return None
    return sorted(random.Random(seed).sample(example_ids, limit))


def resume_run(
    session: Session, project: Project, run_id: int, *, metrics: list[str], retry_failed: bool
) -> list[int]:
    """Queue what a run still lacks, scores included; returns the job."""
    from backend.services import queue
    from backend.services.runs import generation, scoring

    generation.get_run(session, run_id, project_id=project.id)
    if retry_failed:
        cleared = generation.clear_failed(session, run_id)
        typer.echo(f"{cleared} failed prompts will be asked again.", err=True)
    scored = [run.id for run in scoring.list_score_runs(session, run_id)]
    scored += _score_runs(session, run_id, metrics)
    job = queue.enqueue_job(session, queue.JobKind.GENERATE, run_id)
    return [queue.resume_job(session, job.id, arguments={"then_score": scored}).id]


def _score_runs(session: Session, run_id: int, metrics: list[str]) -> list[int]:
    from backend.services.metric_specs import allowed_metrics
    from backend.services.runs import generation, scoring
    from backend.settings import load_settings

    if not metrics:
        return []
    project_id = generation.get_run(session, run_id).project_id
    allowed = allowed_metrics(load_settings(), project_id)
    made = scoring.create_score_run(
        session, generation_run_id=run_id, metrics=metrics, allowed=allowed
    )
    return [made.id]
