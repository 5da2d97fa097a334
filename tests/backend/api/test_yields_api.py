"""Yields over HTTP, through the client: a round's, a candidate's, the curve, and a replay."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backend.client import StropClient
from backend.errors import CannotCompute, InvalidInput
from backend.schemas.yields import ReplayIn
from tests.backend.api.conftest import House
from tests.fixtures_yields import add_round, build_turn


@pytest.fixture
def client(house: House, server_url: str) -> Iterator[StropClient]:
    with StropClient(server_url, token=house.tokens["engineer"]) as client:
        yield client


def test_a_yield_is_asked_of_a_round_of_a_candidate_and_of_all(
    house: House, client: StropClient
) -> None:
    with house.sessions.begin() as session:
        turn = build_turn(session, house.desk)
        round_id, project = add_round(turn).id, house.desk.project.id
        turn.replay(turn.right)
    told = client.yields.of_round(round_id, examples=3)
    assert (told.candidate, told.trained.value, len(told.examples)) == ("base:v9@1", 1.0, 3)
    assert client.yields.of_candidate(project, "v9", rule="token_f1>=0.5").is_frozen_rule is False
    [point] = client.yields.curve(project)
    assert (point.number, point.trained.value) == (1, 1.0)
    with pytest.raises(InvalidInput, match="does not say when"):
        client.yields.of_candidate(project, "v9", rule="better")


def test_a_replay_is_started_once(house: House, client: StropClient) -> None:
    with house.sessions.begin() as session:
        add_round(build_turn(session, house.desk))
        project = house.desk.project.id
    body = ReplayIn(candidate="v9", engine="fake")
    first, again = client.yields.replay(project, body), client.yields.replay(project, body)
    assert first == again
    assert len(first.generation_run_ids) == 1
    assert client.yields.of_candidate(project, "v9").counts == {"unknown": len_prompts(house)}


def test_a_round_without_a_candidate_has_no_yield(house: House, client: StropClient) -> None:
    with house.sessions.begin() as session:
        round_id = add_round(build_turn(session, house.desk), with_candidate=False).id
    with pytest.raises(CannotCompute, match="no candidate yet"):
        client.yields.of_round(round_id)


def len_prompts(house: House) -> int:
    from backend.services.curation import find_training_set
    from backend.services.yields import reviewed_prompts

    with house.sessions() as session:
        frozen = find_training_set(session, house.desk.project.id, "s")
        return len(reviewed_prompts(session, frozen.id))
