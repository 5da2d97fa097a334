"""Costs over HTTP, through the client: the settings' price, the limit, and no text of anybody."""

from __future__ import annotations

import pytest

from backend.client import StropClient
from backend.errors import InvalidInput, NotFound
from tests.backend.api.conftest import House
from tests.fixtures_yields import add_round, build_turn


def test_costs_are_told_without_a_text(house: House, server_url: str) -> None:
    with house.sessions.begin() as session:
        add_round(build_turn(session, house.desk))
        project = house.desk.project.id
    with StropClient(server_url, token=house.tokens["engineer"]) as client:
        told = client.costs.of(project, limit=1)
        assert [len(rows) for rows in (told.runs, told.trainings, told.rounds, told.reviews)] == [
            1, 1, 1, 1,
        ]  # fmt: skip
        [queue], [turn] = told.reviews, told.rounds
        assert (queue.minutes.value, queue.minutes.n) == (6.0, 6)
        assert turn.minutes.value == turn.minutes.n == 4  # those that it was taught
        said = told.model_dump_json()
        assert "fix 0" not in said
        assert "says train-0" not in said
        with pytest.raises(InvalidInput):
            client.costs.of(project, limit=201)
        with pytest.raises(NotFound):
            client.costs.of(project + 1000)
