"""The replay of a round's corrections on its candidate, part of the phase EVALUATE.

The runs are known by set, candidate and dataset version, and the step that lays them down commits
whole: a worker that dies leaves none or all, and the next one starts no second.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from backend.engines.base import SamplingParams
from backend.services.rounds.plans import RoundPlan
from backend.services.yields import replays_of, start_replays
from backend.settings import Settings
from backend.tables.curation import TrainingSet
from backend.tables.models import ModelVersion
from backend.tables.rounds import Round


def start_round_replays(
    session: Session, row: Round, plan: RoundPlan, settings: Settings
) -> list[int]:
    """The generation runs of the replays, laid down and queued if they are lacking."""
    if not plan.replay:
        return []
    replays = start_replays(
        session,
        session.get_one(TrainingSet, row.training_set_id),
        session.get_one(ModelVersion, row.candidate_id),
        engine=plan.engine or settings.engine,
        params=SamplingParams(max_tokens=plan.max_tokens),
        created_by_id=row.started_by_id,
    )
    return [replay.generation_run_id for replay in replays]


def replay_runs(session: Session, row: Round) -> list[int]:
    """The generation runs of the replays that a round has begun."""
    if row.training_set_id is None or row.candidate_id is None:
        return []
    found = replays_of(session, row.training_set_id, row.candidate_id)
    return [replay.generation_run_id for replay in found]
