"""A lead's figures and designs over HTTP, in the shapes that the client reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import TypeAdapter
from sqlalchemy import Engine, event, select

from backend.schemas.review import reports as shapes
from backend.schemas.review.queues import DesignOut
from backend.tables.review import ReviewQueue, RubricVersion
from tests.backend.api.conftest import House
from tests.fixtures_review import GOOD

READ: dict[str, Any] = {
    "report": shapes.QueueReportOut,
    "agreement": shapes.AgreementReportOut,
    "estimates": list[shapes.EstimateOut],
    "effects": list[shapes.EffectOut],
    "reviewers": list[shapes.ReviewerQualityOut],
}


def answer_all(house: House, queue_id: int, answer: dict[str, Any]) -> None:
    client = house.client("expert")
    while (
        held := client.post(f"/api/v1/review-queues/{queue_id}/claim").json()["claim"]
    ) is not None:
        client.post(
            f"/api/v1/review-slots/{held['slot_id']}/submit",
            json={"version": held["version"], "answer": answer},
        )
        house.clock.move(minutes=1)


def body(house: House, **changes: Any) -> dict[str, Any]:
    return {
        "name": "by design",
        "generation_run_id": house.desk.run.id,
        "models": ["base"],
        "reviewers": [house.users["expert"].name],
        **changes,
    }


@pytest.mark.parametrize("name", READ)
def test_figures_have_the_shape_that_the_client_reads(house: House, name: str) -> None:
    answer_all(house, house.queue_id, {"ratings": GOOD, "active_seconds": 30})
    for queue_id in (house.queue_id, house.pair_queue_id):
        found = house.client("engineer").get(f"/api/v1/review-queues/{queue_id}/{name}")
        assert found.status_code == 200, found.text
        TypeAdapter(READ[name]).validate_json(found.content)
        assert "expert0" not in found.text
        assert "ada" not in found.text


def test_an_ab_is_watched(house: House) -> None:
    answer_all(house, house.pair_queue_id, {"winner": "left"})
    path = f"/api/v1/review-queues/{house.pair_queue_id}/watch"
    found = house.client("engineer").get(path, params={"margin": 0.1, "alpha": 0.1})
    [watch] = TypeAdapter(list[shapes.WatchOut]).validate_json(found.content)
    assert (watch.margin, watch.figure.level, watch.decision) == (0.1, 0.9, "undecided")
    assert watch.votes == len(watch.series) == 6
    client = house.client("engineer")
    assert client.get(path, params={"margin": 0.5}).status_code == 422
    single = f"/api/v1/review-queues/{house.queue_id}/watch"
    assert client.get(single).status_code == 404


def test_a_stratum_without_its_input_says_what_to_run(house: House) -> None:
    strata = [{"name": "high_risk", "n": 2}]
    asked = body(house, n_items=4, design={"kind": "active", "strata": strata})
    project = f"/api/v1/projects/{house.desk.project.id}"
    refused = house.client("engineer").post(f"{project}/review-designs", json=asked)
    assert refused.status_code == 422
    assert "strop run --resume" in refused.json()["hint"]


def test_a_preview_stores_neither_queue_nor_rubric(house: House) -> None:
    asked = body(house, rubric="contract_clause", overlap=1, n_items=3)
    project = f"/api/v1/projects/{house.desk.project.id}"
    client = house.client("engineer")
    shown = client.post(f"{project}/review-designs", json=asked)
    assert shown.status_code == 200, shown.text
    design = DesignOut.model_validate_json(shown.content)
    assert (design.n_candidates, design.n_items, design.kind) == (6, 3, "random")
    with house.sessions() as session:
        assert session.scalar(select(ReviewQueue).where(ReviewQueue.name == "by design")) is None
        names = set(session.scalars(select(RubricVersion.name)))
        assert "contract_clause" not in names
    opened = client.post(f"{project}/review-queues", json=asked).json()
    assert opened["design"]["n_items"] == design.n_items


def test_a_list_of_queues_costs_as_many_statements_however_long(house: House) -> None:
    project = f"/api/v1/projects/{house.desk.project.id}"
    client, engine = house.client("engineer"), house.sessions.kw["bind"]
    costs, rows = [], []
    client.get("/api/v1/me")  # the first use of a token on a day is noted
    for name in ("one more", "and another"):
        with counted_statements(engine) as statements:
            rows = client.get(f"{project}/review-queues").json()
        costs.append(len(statements))
        client.post(f"{project}/review-queues", json=body(house, name=name))
    assert costs[0] == costs[1]
    for row in rows:
        shown = client.get(f"/api/v1/review-queues/{row['id']}").json()
        assert shown.pop("waits_for")
        assert shown == {key: value for key, value in row.items() if key != "waits_for"}


@contextmanager
def counted_statements(engine: Engine) -> Iterator[list[str]]:
    """The statements that an engine runs."""
    found: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        found.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield found
    event.remove(engine, "before_cursor_execute", note)


def test_rules_and_assignment_come_with_the_queue(house: House) -> None:
    asked = body(
        house,
        rules={"gold_every": 3, "mask": ["Bot"]},
        assignment={"deal": True},
        design={"minutes": 6, "minutes_per_review": 2},
    )
    project = f"/api/v1/projects/{house.desk.project.id}"
    opened = house.client("engineer").post(f"{project}/review-queues", json=asked).json()
    assert opened["rules"]["gold_every"] == 3
    assert opened["rules"]["mask"] == ["Bot"]
    assert opened["rules"]["minutes_budget"] == 6
    assert (opened["design"]["n_items"], opened["finished_at"]) == (3, None)
    wrong = body(house, name="w", rules={"gold_evry": 3})
    refused = house.client("engineer").post(f"{project}/review-queues", json=wrong)
    assert refused.status_code == 422
    assert "gold_every" in refused.text
