"""Rounds, lineage and withdrawals over HTTP, through the client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from backend.client import StropClient
from backend.errors import Conflict, Forbidden, InvalidInput, NotFound
from backend.services.datasets.versions import import_dataset
from backend.services.projects import set_manifest
from backend.services.review import Answer
from backend.tables.review import Review
from tests.backend.api.conftest import House
from tests.fixtures_review import BAD, make_rows, review_next

BAR = "name: bar\nlines: [{metric: exact_match, margin: 0.1}]"
PLAN = {
    "adapter": "v9",
    "recipe": {"queues": ["q"]},
    "dataset": "held",
    "metrics": ["exact_match"],
}


@pytest.fixture
def client(house: House, server_url: str) -> Iterator[StropClient]:
    with house.sessions.begin() as session:
        set_manifest(session, house.desk.project.id, BAR)
        rows = make_rows({"test": 2})
        import_dataset(session, house.desk.project.id, "held", rows, source_name="made here")
    with StropClient(server_url, token=house.tokens["engineer"]) as client:
        yield client


def test_a_round_is_started_paused_taken_up_and_cancelled(
    house: House, client: StropClient
) -> None:
    project = house.desk.project.id
    started = client.rounds.start(project, PLAN)
    assert (started.state, started.phase, started.next) == (
        "active",
        "wait",
        "freeze the training set",
    )
    assert client.rounds.pause(started.id).state == "paused"
    assert client.rounds.resume(started.id).state == "active"
    assert client.rounds.cancel(started.id, "wrong base").state == "cancelled"
    (listed,) = client.rounds.list(project)
    texts = [event.text for event in listed.events]
    assert texts == ["started", "paused", "taken up", "cancelled by eva: wrong base"]
    with pytest.raises(Conflict, match="cancelled"):
        client.rounds.resume(started.id)


def test_a_wrong_plan_and_a_signature_too_early_are_refused(
    house: House, client: StropClient, server_url: str
) -> None:
    project = house.desk.project.id
    with pytest.raises(InvalidInput, match="The plan is wrong at modle"):
        client.rounds.start(project, {**PLAN, "modle": "x"})
    started = client.rounds.start(project, PLAN)
    with pytest.raises(Forbidden, match="Only a lead"):
        client.rounds.sign(started.id)
    with (
        StropClient(server_url, token=house.tokens["lead"]) as lead,
        pytest.raises(Conflict, match="waits for no signature"),
    ):
        lead.rounds.sign(started.id)


def test_a_review_is_withdrawn_and_its_lineage_says_so(house: House, client: StropClient) -> None:
    with house.sessions.begin() as session:
        queue = house.desk.open(session, "for lineage")
        review_next(
            session, queue, house.desk.experts[0], Answer(BAD, correction="x"), now=house.clock.now
        )
        review_id = session.scalars(select(Review.id).order_by(Review.id.desc())).first()
    assert review_id is not None
    assert client.queues.withdraw_review(review_id, "wrong case").held_by == []
    lineage = client.lineage.of(house.desk.project.id, f"review:{review_id}")
    (node,) = [node for node in lineage.nodes if node.key == lineage.root]
    assert node.marks == ["withdrawn: wrong case"]
    with pytest.raises(NotFound):
        client.lineage.of(house.desk.project.id, "set:nonesuch")
