"""Correction yield: of a round, of a candidate, over rounds; and the replay that it needs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from backend.api.deps import CurrentUser, ServingDep, SessionDep
from backend.api.once import OnceDep
from backend.engines.base import SamplingParams
from backend.errors import NotFound
from backend.schemas import yields as shapes
from backend.services import yields
from backend.services.curation import parse_fixed_rule
from backend.services.models.versions import find_model
from backend.tables.models import ModelVersion
from backend.tables.rounds import Round

router = APIRouter(tags=["yields"])
Rule = Annotated[
    str | None, Query(max_length=200, description="Another rule than the set's: token_f1>=0.9.")
]
Examples = Annotated[int, Query(ge=0, le=200, description="So many prompts, the wrong ones first.")]


def _show(
    session: Session, candidate: ModelVersion, turn: Round | None, rule: str | None, examples: int
) -> shapes.YieldOut:
    parsed = None if rule is None else parse_fixed_rule(rule)
    return yields.candidate_yield(session, candidate, turn, rule=parsed, examples=examples)


@router.get("/rounds/{round_id}/yield")
def show_round_yield(
    round_id: int, session: SessionDep, rule: Rule = None, examples: Examples = 0
) -> shapes.YieldOut:
    """What the candidate of a round made of the round's corrections."""
    row = session.get(Round, round_id)
    if row is None:
        raise NotFound(f"There is no round {round_id}.")
    return _show(session, yields.candidate_of_round(session, row), row, rule, examples)


@router.get("/projects/{project_id}/yield")
def show_yield(
    project_id: int,
    session: SessionDep,
    of: Annotated[str, Query(max_length=200, description="Candidate, for example v2.")],
    rule: Rule = None,
    examples: Examples = 0,
) -> shapes.YieldOut:
    """What a candidate made of the corrections of the set that it was trained on."""
    candidate = find_model(session, project_id, of)
    turn = yields.round_of_candidate(session, candidate)
    return _show(session, candidate, turn, rule, examples)


@router.get("/projects/{project_id}/yield-curve")
def show_yield_curve(project_id: int, session: SessionDep) -> list[shapes.RoundPointOut]:
    """The yield of each round that has a candidate, oldest first."""
    return yields.yield_curve(session, project_id)


@router.get("/projects/{project_id}/yield-forecast")
def show_forecast(
    project_id: int,
    session: SessionDep,
    metric: Annotated[str | None, Query(max_length=200, description="f1, f1@task=intent.")] = None,
    more: Annotated[int, Query(ge=1, le=1_000_000, description="So many more examples.")] = 200,
) -> shapes.CurveForecastOut:
    """The learning curve of the newest held-out run, and what more examples would bring."""
    return yields.forecast_curve(session, project_id, metric=metric, more=more)


@router.post("/projects/{project_id}/replays", status_code=201)
def start_replays(
    project_id: int,
    body: shapes.ReplayIn,
    session: SessionDep,
    serving: ServingDep,
    user: CurrentUser,
    once: OnceDep,
) -> shapes.ReplayStarted:
    """Replay a candidate's corrections on it; what was replayed already is not run again."""
    candidate = find_model(session, project_id, body.candidate)
    replays = yields.start_replays(
        session,
        yields.candidate_set(session, candidate),
        candidate,
        engine=body.engine or serving.settings.engine,
        params=SamplingParams(max_tokens=body.max_tokens),
        created_by_id=user.id,
    )
    ids = [replay.generation_run_id for replay in replays]
    return once.answer(shapes.ReplayStarted(generation_run_ids=ids))
