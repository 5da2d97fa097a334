"""A round whose set is rendered with a prompt judges its model with that prompt."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.services.datasets.prompts.prompts import add_prompt, parse_prompt
from backend.services.models.versions import find_model
from backend.services.rounds.steps import _as_trained
from backend.tables.curation import TrainingSet
from backend.tables.rounds import Round
from tests.fixtures_runs import lay_down_project


@pytest.mark.parametrize(
    ("with_prompt", "label"), [(True, "base:v1@1+brief@1"), (False, "base:v1@1")]
)
def test_the_candidate_is_asked_as_its_rows_were(
    sqlite_sessions: sessionmaker[Session], with_prompt: bool, label: str
) -> None:
    with sqlite_sessions() as session:
        laid = lay_down_project(session)
        prompt = add_prompt(session, laid.project, "brief", parse_prompt("system: Be brief."))
        add_prompt(session, laid.project, "brief", parse_prompt("system: Be long."))
        recorded = {"name": "brief", "version": 1, "digest": prompt.digest, "shots": False}
        frozen = TrainingSet(
            project_id=laid.project,
            name="s",
            recipe={"prompt": recorded} if with_prompt else {},
            digest="0" * 64,
            n_rows=0,
        )
        session.add(frozen)
        session.flush()
        turn = Round(project_id=laid.project, training_set_id=frozen.id)
        trained = find_model(session, laid.project, "v1")
        assert _as_trained(session, turn, trained).label == label
