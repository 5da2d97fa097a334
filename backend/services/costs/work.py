"""What runs and trainings took: tokens, the clock of their jobs, processor and GPU seconds, money.

The clock of a job runs from where a worker began it to its end, so that no waiting is in it; each
attempt overwrites the one before, of which nothing is known then. Processor and GPU seconds of a
job are those of all its attempts and of whoever helped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.orm import Session, joinedload, load_only, selectinload

from backend.schemas.costs import CostTotal, RunCost, TrainingCost
from backend.schemas.projects import Price
from backend.services.costs.totals import SECONDS, TOKENS, counted, total, unknown
from backend.services.queue import UNFINISHED, JobKind
from backend.tables.datasets import DatasetVersion
from backend.tables.models import ModelKind, ModelVersion
from backend.tables.queue import Job
from backend.tables.runs import Generation, GenerationRun, ScoreRun
from backend.tables.training import TrainingRun

MILLION = 1_000_000
NO_TOKENS = "Of failed answers, and of whoever reports none, no tokens are recorded."
NO_TOKEN_PRICE = "The bar states no price of tokens."
NO_JOB = "No job of a worker did it."
NO_SCORING = "It was not scored."
NO_PROCESSOR = "Its job has not noted any processor seconds, or ended before they were noted."
NO_GPU = "A server answered, or its job ended before GPU seconds were noted."
NOT_SAID = "Its result does not say."
NO_HOUR_PRICE = "No price_per_hour was stated when it was trained."


class _Answers(NamedTuple):
    answers: int = 0
    failed: int = 0
    n_prompt: int = 0
    prompt: int = 0
    n_completion: int = 0
    completion: int = 0
    n_both: int = 0
    prompt_of_both: int = 0
    completion_of_both: int = 0


def run_costs(session: Session, run_ids: Sequence[int], *, price: Price | None) -> list[RunCost]:
    """What each of these runs took, in the order in which they are named."""
    answers = _answers(session, run_ids)
    jobs = _jobs(session, run_ids)
    rows = _runs(session, run_ids)
    return [
        _run_cost(rows[run_id], answers.get(run_id, _Answers()), jobs[run_id], price=price)
        for run_id in run_ids
        if run_id in rows
    ]


def _runs(session: Session, run_ids: Sequence[int]) -> dict[int, GenerationRun]:
    """The runs without the lists of their examples, which may be long."""
    columns = (GenerationRun.split, GenerationRun.engine, GenerationRun.dataset_version_id)
    query = (
        select(GenerationRun)
        .where(GenerationRun.id.in_(run_ids))
        .options(
            load_only(*columns),
            selectinload(GenerationRun.models),
            joinedload(GenerationRun.dataset_version).joinedload(DatasetVersion.dataset),
        )
    )
    return {row.id: row for row in session.scalars(query)}


def _run_cost(row: GenerationRun, found: _Answers, jobs: _Jobs, *, price: Price | None) -> RunCost:
    of = found.answers
    version = row.dataset_version
    return RunCost(
        run_id=row.id,
        dataset=f"{version.dataset.name}@{version.number}",
        split=row.split,
        engine=row.engine,
        models=tuple(model.label for model in row.models),
        answers=of,
        failed=found.failed,
        prompt_tokens=counted(found.prompt, TOKENS, n=found.n_prompt, of=of, lacking=NO_TOKENS),
        completion_tokens=counted(
            found.completion, TOKENS, n=found.n_completion, of=of, lacking=NO_TOKENS
        ),
        generating=_clock(jobs.generating),
        scoring=total([_clock(job) for job in jobs.scoring], SECONDS, nothing=NO_SCORING),
        processor=_seconds(jobs, "processor_s", NO_PROCESSOR),
        gpu=_seconds(jobs, "gpu_s", NO_GPU),
        money=_token_money(found, price),
    )


def _token_money(found: _Answers, price: Price | None) -> CostTotal:
    if price is None:
        return unknown("", NO_TOKEN_PRICE, of=found.answers)
    paid = found.prompt_of_both * price.prompt + found.completion_of_both * price.completion
    return counted(
        paid / MILLION, price.currency, n=found.n_both, of=found.answers, lacking=NO_TOKENS
    )


def _answers(session: Session, run_ids: Sequence[int]) -> dict[int, _Answers]:
    """Answers and their tokens by run. A 0 of an imported answer is not known; of another one it
    is, where the other count is above 0 (as in `runs.slices`)."""
    prompt, completion = Generation.prompt_tokens, Generation.completion_tokens
    made_here = and_(ModelVersion.kind != ModelKind.OUTPUTS, or_(prompt > 0, completion > 0))
    wrote = Generation.error.is_(None)
    of_prompt = and_(wrote, or_(made_here, prompt > 0))
    of_completion = and_(wrote, or_(made_here, completion > 0))
    of_both = and_(wrote, or_(made_here, and_(prompt > 0, completion > 0)))

    def added(condition: Any, value: Any = 1) -> Any:
        return func.sum(case((condition, value), else_=0))

    query = (
        select(
            Generation.run_id,
            func.count(),
            added(Generation.error.is_not(None)),
            added(of_prompt),
            added(of_prompt, prompt),
            added(of_completion),
            added(of_completion, completion),
            added(of_both),
            added(of_both, prompt),
            added(of_both, completion),
        )
        .join(ModelVersion, ModelVersion.id == Generation.model_version_id)
        .where(Generation.run_id.in_(run_ids))
        .group_by(Generation.run_id)
    )
    return {row[0]: _Answers(*map(int, row[1:])) for row in session.execute(query)}


class _Jobs(NamedTuple):
    """The jobs of a run; None where no worker did something of it."""

    generating: Job | None
    scoring: list[Job | None]


def _jobs(session: Session, run_ids: Sequence[int]) -> dict[int, _Jobs]:
    scorings = select(ScoreRun.generation_run_id, ScoreRun.id).where(
        ScoreRun.generation_run_id.in_(run_ids)
    )
    of_run: dict[int, list[int]] = defaultdict(list)
    for run_id, score_run_id in session.execute(scorings):
        of_run[run_id].append(score_run_id)
    generating = _jobs_of(session, JobKind.GENERATE, run_ids)
    scoring = _jobs_of(session, JobKind.SCORE, [i for ids in of_run.values() for i in ids])
    return {
        run_id: _Jobs(generating.get(run_id), [scoring.get(i) for i in of_run[run_id]])
        for run_id in run_ids
    }


def _jobs_of(session: Session, kind: JobKind, subject_ids: Sequence[int]) -> dict[int, Job]:
    query = select(Job).where(Job.kind == kind, Job.subject_id.in_(subject_ids))
    return {job.subject_id: job for job in session.scalars(query)}


def _seconds(jobs: _Jobs, column: str, lacking: str) -> CostTotal:
    """Seconds of all jobs of a run together, as far as they are on their rows."""

    def of(job: Job | None) -> CostTotal:
        if job is None or getattr(job, column) is None:
            return unknown(SECONDS, NO_JOB if job is None else lacking)
        going = job.state in UNFINISHED
        note = f"Its job has not ended: it is {job.state}." if going else ""
        return CostTotal(getattr(job, column), SECONDS, 1, 1, at_least=going, note=note)

    return total([of(job) for job in (jobs.generating, *jobs.scoring)], SECONDS, nothing=NO_JOB)


def _clock(job: Job | None) -> CostTotal:
    if job is None:
        return unknown(SECONDS, NO_JOB)
    if job.state in UNFINISHED or job.finished_at is None:
        return unknown(SECONDS, f"Its job has not ended: it is {job.state}.", of=job.attempt)
    if job.started_at is None or job.executor_id is None:  # cancelled while it waited
        return unknown(SECONDS, "No worker began its job.", of=job.attempt)
    seconds = (job.finished_at - job.started_at).total_seconds()
    if seconds < 0:
        return unknown(SECONDS, "Its job ended before it began: the workers' clocks differ.")
    lacking = f"Of {job.attempt} attempts at a job the last is recorded."
    return counted(seconds, SECONDS, n=1, of=job.attempt, lacking=lacking)


def training_costs(session: Session, run_ids: Sequence[int]) -> list[TrainingCost]:
    """What each of these trainings took, in the order in which they are named."""
    query = select(
        TrainingRun.id,
        TrainingRun.adapter_name,
        TrainingRun.finished_at,
        TrainingRun.result["ledger"],
    ).where(TrainingRun.id.in_(run_ids))
    rows = {row[0]: row for row in session.execute(query)}
    jobs = select(Job.subject_id, Job.state).where(
        Job.kind == JobKind.TRAIN, Job.subject_id.in_(run_ids)
    )
    states = {subject_id: str(state) for subject_id, state in session.execute(jobs)}
    return [_training_cost(rows[i], states.get(i)) for i in run_ids if i in rows]


def _training_cost(row: Any, state: str | None) -> TrainingCost:
    run_id, adapter, finished_at, ledger = row
    told: Mapping[str, Any] = ledger if isinstance(ledger, Mapping) else {}
    starts = told.get("starts")

    def spent(name: str, unit: str, *, otherwise: str = NOT_SAID) -> CostTotal:
        value = told.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return CostTotal(float(value), unit, 1, 1)
        return unknown(unit, otherwise if told else _why_none(finished_at, state))

    return TrainingCost(
        training_run_id=run_id,
        adapter=adapter,
        starts=starts if isinstance(starts, int) else None,
        clock=spent("seconds", SECONDS),
        processor=spent("cpu_seconds", SECONDS),
        gpu=spent("gpu_seconds", SECONDS),
        tokens=spent("tokens", TOKENS),
        money=spent("cost", "", otherwise=NO_HOUR_PRICE),
    )


def _why_none(finished_at: Any, state: str | None) -> str:
    if finished_at is not None:
        return NOT_SAID
    ended = state is not None and state not in UNFINISHED
    why = f"its job is {state}" if state else "no job is on it"
    return f"It has no result, {why}." if ended or state is None else f"It has not ended, {why}."
