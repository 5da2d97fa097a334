"""What the scenarios share: reviews by the simulated expert, rounds, and the arms they compare.

Each step finds what an earlier start has left, like those of the demo itself.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer
from sqlalchemy import select

from backend.cli.demo import reviews as demo_reviews
from backend.cli.demo.scenarios.claims import Arm
from backend.cli.demo.steps import Demo, generate_and_score
from backend.errors import JobFailed

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.services.rounds import RoundPlan
    from backend.tables.models import ModelVersion
    from backend.tables.rounds import Round

POLL_SECONDS = 0.2
REVIEW_METRICS = ("invented", "exact_match")


def review_outputs(
    demo: Demo, queue: str, model: str, example_ids: Sequence[int], *, dataset: str
) -> int:
    """Let a model answer train examples and the simulated expert rate and correct every answer.

    Returns the generation run.
    """
    run_id = generate_and_score(
        demo, [model], "train", REVIEW_METRICS, dataset=dataset, example_ids=example_ids
    )
    expert = demo_reviews.simulated_expert(demo)
    demo_reviews.open_queue(demo, queue, "single", run_id, [model], [expert])
    demo_reviews.simulate_reviews(demo, queue, expert)
    return run_id


def play_round(demo: Demo, number: int, plan: Mapping[str, Any]) -> int:
    """Start the round of that number, unless it was, and wait until it has ended.

    A promotion that waits to be signed is signed by the simulated lead.

    Returns:
        Its generation run, on which it was decided.

    Raises:
        JobFailed: the round failed, or somebody paused or cancelled it.
    """
    import yaml

    from backend.services.rounds import parse_plan

    checked = parse_plan(yaml.safe_dump({**plan, "engine": demo.engine}))
    _start(demo, number, checked)
    told = 0
    while True:
        with demo.installation.sessions() as session:
            row = _round(session, demo.project_id, number)
            if row is None:
                raise JobFailed(f"Round {number} was not started.")
            for event in row.events[told:]:
                typer.echo(f"Round {number}: {event.text}")
            told = len(row.events)
            if row.state == "finished" and row.generation_run_id is not None:
                return row.generation_run_id
            signing = row.state == "active" and row.phase == "sign"
            if row.state != "active":
                raise JobFailed(
                    f"Round {number} is {row.state}: {row.error or 'it gave no reason'}.",
                    hint="Take it up again: strop round resume",
                )
        if signing:
            _sign(demo, number)
        time.sleep(POLL_SECONDS)


def _start(demo: Demo, number: int, plan: RoundPlan) -> None:
    from backend.db import utc_now
    from backend.services.rounds import start_round

    with demo.installation.sessions.begin() as session:
        if _round(session, demo.project_id, number) is None:
            start_round(session, demo.project_id, plan, started_by_id=None, now=utc_now())


def _sign(demo: Demo, number: int) -> None:
    """Sign as the simulated lead, after the servers, where there are any, serve the model."""
    from backend.cli.verdicts.signing import serve
    from backend.db import utc_now
    from backend.services import rounds

    lead_id = demo_reviews.simulated_person(demo, "simulated lead", "lead")
    sessions = demo.installation.sessions
    with sessions.begin() as session:
        row = rounds.find_round(session, demo.project_id, number)
        move = rounds.plan_signing(session, row, override=None)
    served = serve(move, demo.installation.settings)
    with sessions.begin() as session:
        row = rounds.find_round(session, demo.project_id, number)
        signature = rounds.Signature(lead_id, None, None, serving=served)
        rounds.sign_round(session, row, signature, now=utc_now())


def _round(session: Session, project_id: int, number: int) -> Round | None:
    from backend.tables.rounds import Round

    query = select(Round).where(Round.project_id == project_id, Round.number == number)
    return session.scalar(query)


def describe_arms(session: Session, project_id: int, about: Mapping[str, str]) -> tuple[Arm, ...]:
    """The arms by model name, in order, each with what went into its training."""
    from backend.services.models.versions import find_model

    return tuple(
        describe_arm(session, find_model(session, project_id, name), text)
        for name, text in about.items()
    )


def describe_arm(session: Session, model: ModelVersion, about: str) -> Arm:
    """One arm; a model that was not trained here has no rows."""
    from backend.services.curation.formats import METHOD_ROWS
    from backend.services.training.runs import planned_method
    from backend.tables.curation import TrainingSet
    from backend.tables.training import TrainingRun

    if model.training_run_id is None:
        return Arm(model.name, about, 0, 0, None, {})
    run = session.get_one(TrainingRun, model.training_run_id)
    frozen = session.get_one(TrainingSet, run.training_set_id)
    kind = METHOD_ROWS[planned_method(run)].kind
    by_kind: Mapping[str, int] = frozen.recipe["rows_by_kind"]
    return Arm(
        model=model.name,
        about=about,
        rows=int(by_kind.get(kind, 0)),
        reviews=int(frozen.recipe["n_reviews"]),
        seconds=float(run.result["seconds"]),
        facts={},
    )
