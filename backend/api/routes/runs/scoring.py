"""Score runs, their figures with intervals, and paired differences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session

from backend.api.deps import CurrentUser, NowDep, ServingDep, SessionDep
from backend.api.once import OnceDep
from backend.api.streams import stream_lines
from backend.schemas.queue import JobCancelled
from backend.schemas.runs import (
    ClassRow,
    DifferenceOut,
    ScoreOut,
    ScoreRunDetail,
    ScoreRunIn,
    ScoreRunOut,
)
from backend.services import overview, queue
from backend.services.cancelling import Cancellation, cancel_subjects
from backend.services.metric_specs import allowed_metrics, get_score_run, parse_metric_specs
from backend.services.queue import JobKind
from backend.services.runs import generation, scoring
from backend.services.runs.figures import class_report, model_figures, paired_figures
from backend.tables.runs import ScoreRun

router = APIRouter(tags=["scoring"])


def _show(session: Session, run: ScoreRun) -> ScoreRunOut:
    job = queue.find_job(session, JobKind.SCORE, run.id)
    return ScoreRunOut.of(run, job_state=job and job.state, reason=job and job.error)


@router.get("/generation-runs/{generation_run_id}/score-runs")
def list_score_runs(generation_run_id: int, session: SessionDep) -> list[ScoreRunOut]:
    """The scorings of a run, oldest first."""
    found = scoring.list_score_runs(session, generation_run_id)
    return [_show(session, run) for run in found]


@router.post("/generation-runs/{generation_run_id}/score-runs", status_code=201)
def make_score_run(
    generation_run_id: int,
    body: ScoreRunIn,
    session: SessionDep,
    serving: ServingDep,
    once: OnceDep,
) -> ScoreRunOut:
    """Lay down the scoring of a run and queue it."""
    project_id = generation.get_run(session, generation_run_id).project_id
    run = scoring.create_score_run(
        session,
        generation_run_id=generation_run_id,
        metrics=body.metrics,
        seed=body.seed,
        allowed=allowed_metrics(serving.settings, project_id),
    )
    queue.enqueue_job(session, JobKind.SCORE, run.id)
    return once.answer(_show(session, run))


@router.get("/score-runs/{score_run_id}")
def show_score_run(score_run_id: int, session: SessionDep, serving: ServingDep) -> ScoreRunDetail:
    """Every figure with its n, its interval and its recipe, or the reason why there is none."""
    run = get_score_run(session, score_run_id)
    made = model_figures(session, run.id, kept=serving.kept)
    figures = [found.shown() for found in made]
    return ScoreRunDetail.of(_show(session, run), figures=figures)


@router.post("/score-runs/{score_run_id}/cancel")
def cancel_score_run(
    score_run_id: int, body: JobCancelled, session: SessionDep, user: CurrentUser, now: NowDep
) -> ScoreRunOut:
    """Stop a scoring; what was scored stays."""
    run = get_score_run(session, score_run_id)
    cancellation = Cancellation(user, now, body.reason)
    cancel_subjects(session, [(JobKind.SCORE, run.id)], cancellation)
    return _show(session, run)


@router.get("/score-runs/{score_run_id}/differences")
def show_differences(
    score_run_id: int,
    session: SessionDep,
    serving: ServingDep,
    baseline: Annotated[int, Query(description="Model version id.")],
    candidate: Annotated[int, Query(description="Model version id.")],
) -> list[DifferenceOut]:
    """Candidate minus baseline on the same examples, for every metric and slice."""
    run = get_score_run(session, score_run_id)
    labels = {model.id: model.label for model in run.generation_run.models}
    found = paired_figures(session, score_run_id, baseline, candidate, kept=serving.kept)
    return [pair.shown(labels) for pair in found]


@router.get("/score-runs/{score_run_id}/classes")
def show_classes(
    score_run_id: int,
    session: SessionDep,
    model: Annotated[int, Query(description="Model version id.")],
    metric: Annotated[str, Query(max_length=200, description="For example f1@task=intent.")],
) -> list[ClassRow]:
    """Precision, recall and F1 of each class."""
    [spec] = parse_metric_specs([metric])
    return class_report(session, score_run_id, model, spec)


@router.get("/score-runs/{score_run_id}/scores", response_class=StreamingResponse)
def stream_scores(score_run_id: int, serving: ServingDep) -> StreamingResponse:
    """Every single score as JSONL: one line for each generation and metric."""

    def lines() -> Iterator[str]:
        with serving.reading() as session:
            for score in overview.each_score(session, score_run_id):
                shown = ScoreOut.model_validate(score).model_dump_json()
                yield f'{{"generation_id":{score.generation_id},{shown[1:]}\n'

    return stream_lines(lines(), filename=f"scores-{score_run_id}.jsonl")
