"""Runs, scorings and trainings are cancelled over HTTP in the name of who asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.client import StropClient
from backend.errors import Conflict
from backend.services import queue
from backend.services.datasets.versions import import_dataset
from backend.services.projects import set_manifest
from backend.tables.curation import TrainingSet
from backend.tables.rounds import Round
from backend.tables.runs import GenerationRun, ScoreRun
from backend.tables.training import TrainingRun
from tests.backend.api.conftest import House
from tests.fixtures_review import make_rows

BAR = "name: bar\nlines: [{metric: exact_match, margin: 0.1}]"
PLAN = {"adapter": "v9", "recipe": {"queues": ["q"]}, "dataset": "d", "metrics": ["exact_match"]}


@pytest.fixture
def client(house: House, server_url: str) -> Iterator[StropClient]:
    with StropClient(server_url, token=house.tokens["engineer"]) as client:
        yield client


def _run(house: House) -> int:
    """A run of the project's with a queued job."""
    with house.sessions.begin() as session:
        mine = GenerationRun.project_id == house.desk.project.id
        run_id = session.scalars(select(GenerationRun.id).where(mine)).first()
        assert run_id is not None
        queue.enqueue_job(session, "generate", run_id)
        return run_id


def _scores(session: Session, run_id: int) -> ScoreRun:
    row = ScoreRun(generation_run_id=run_id, metrics=[{"metric": "accuracy", "slice": {}}])
    session.add(row)
    session.flush()
    return row


def _training(house: House) -> int:
    """A training of the project's with a queued job."""
    with house.sessions.begin() as session:
        project = house.desk.project.id
        frozen = TrainingSet(project_id=project, name="t", recipe={}, digest="a" * 64, n_rows=1)
        bar = set_manifest(session, project, BAR)
        session.add(frozen)
        session.flush()
        run = TrainingRun(
            project_id=project,
            training_set_id=frozen.id,
            manifest_id=bar.id,
            adapter_name="v9",
            config={},
            output_dir="nowhere",
        )
        session.add(run)
        session.flush()
        queue.enqueue_job(session, "train", run.id)
        return run.id


def test_a_run_is_cancelled_with_its_scoring_and_taken_up_again(
    house: House, client: StropClient
) -> None:
    run_id = _run(house)
    with house.sessions.begin() as session:
        scores = _scores(session, run_id)
        queue.enqueue_job(session, "score", scores.id)
    job = client.jobs.cancel_run(run_id, "wrong split").job
    assert job is not None
    told = f"Run {run_id} was cancelled by eva: wrong split"
    assert (job.state, job.error, job.finished_at) == ("cancelled", told, house.clock.now)
    shown = client.runs.report(scores.id)
    assert shown.job_state == "cancelled"
    assert shown.reason == f"Score run {scores.id} was cancelled by eva: wrong split"
    assert {job.state for job in client.jobs.list(house.desk.project.id)} == {"cancelled"}
    with pytest.raises(Conflict, match=f"Run {run_id} is cancelled: there is nothing to cancel"):
        client.jobs.cancel_run(run_id)
    taken_up = house.client("engineer").post(f"/api/v1/generation-runs/{run_id}/resume").json()
    assert (taken_up["job"]["state"], taken_up["job"]["error"]) == ("queued", None)


def test_scorings_and_trainings_are_cancelled_alone(house: House, client: StropClient) -> None:
    run_id, training_id = _run(house), _training(house)
    with house.sessions.begin() as session:
        scores = _scores(session, run_id)
    with pytest.raises(Conflict, match=f"Score run {scores.id} was never queued"):
        client.jobs.cancel_score_run(scores.id)
    with house.sessions.begin() as session:
        queue.enqueue_job(session, "score", scores.id)
    assert client.jobs.cancel_score_run(scores.id).job_state == "cancelled"
    job = client.jobs.cancel_training(training_id, "wrong rank").job
    assert job is not None
    assert job.error == f"Training run {training_id} was cancelled by eva: wrong rank"
    states = {job.kind: job.state for job in client.jobs.list(house.desk.project.id)}
    assert states == {"generate": "queued", "score": "cancelled", "train": "cancelled"}


def test_a_cancelled_round_takes_its_training_along(house: House, client: StropClient) -> None:
    training_id = _training(house)
    with house.sessions.begin() as session:
        rows = make_rows({"test": 2})
        import_dataset(session, house.desk.project.id, "d", rows, source_name="made here")
    started = client.rounds.start(house.desk.project.id, PLAN)
    with house.sessions.begin() as session:
        session.get_one(Round, started.id).training_run_id = training_id
    assert client.rounds.cancel(started.id, "wrong base").state == "cancelled"
    (job,) = client.jobs.list(house.desk.project.id)
    told = f"Training run {training_id} was cancelled by eva: with round 1, wrong base"
    assert (job.state, job.error) == ("cancelled", told)
