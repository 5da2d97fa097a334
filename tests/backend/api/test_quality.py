"""Known answers, contests, pauses, adjudications and rubrics over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from backend.rubrics import dump_rubric, find_rubric
from backend.tables.review import ReviewQueue
from backend.tables.runs import Generation
from tests.backend.api.conftest import House
from tests.fixtures_review import BAD, GOOD

API = "/api/v1"


@pytest.fixture
def queue_id(house: House) -> int:
    """A queue with onboarding by four known answers, two reviews of each item, and adjudication."""
    rules = {
        "gold_onboarding": 4,
        "gold_minimum": 4,
        "adjudicate_above": 0.5,
    }
    with house.sessions.begin() as session:
        queue = house.desk.open(session, "kept", n_items=1, overlap=2, overlap_share=1.0)
        queue.rules = rules
        return queue.id


def outputs(house: House) -> list[int]:
    with house.sessions() as session:
        query = select(Generation.id).where(
            Generation.model_version_id == house.desk.models[1].id,
            Generation.run_id == house.desk.run.id,
        )
        return list(session.scalars(query.order_by(Generation.id)))


def add_known(house: House, queue_id: int, n: int = 4) -> dict[str, Any]:
    rows = [
        {
            "generation": id_,
            "answer": {"ratings": {"faithful": "no"}},
            "explanation": f"Known {id_}.",
        }
        for id_ in outputs(house)[:n]
    ]
    path = f"{API}/review-queues/{queue_id}/gold"
    answer = house.client("engineer").post(path, json={"rows": rows})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def claim(client: TestClient, queue_id: int, path: str = "claim") -> dict[str, Any]:
    answer = client.post(f"{API}/review-queues/{queue_id}/{path}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def submit(client: TestClient, held: dict[str, Any], ratings: dict[str, Any]) -> dict[str, Any]:
    body = {"version": held["version"], "answer": {"ratings": ratings}}
    answer = client.post(f"{API}/review-slots/{held['slot_id']}/submit", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def shape(value: Any) -> Any:
    """The keys of an answer, without its values."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return type(value).__name__


def test_a_known_answer_looks_like_any_other_item(house: House, queue_id: int) -> None:
    with house.sessions.begin() as session:
        session.get_one(ReviewQueue, queue_id).rules = {"gold_onboarding": 1}
    add_known(house, queue_id, 1)
    expert = house.client("expert")
    gold = claim(expert, queue_id)["claim"]
    submit(expert, gold, BAD)
    ordinary = claim(expert, queue_id)["claim"]
    assert shape(gold) == shape(ordinary)
    assert gold["progress"] == ordinary["progress"]
    assert "gold" not in str(gold)


def test_the_receipt_tells_how_it_went(house: House, queue_id: int) -> None:
    add_known(house, queue_id)
    expert = house.client("expert")
    receipt = submit(expert, claim(expert, queue_id)["claim"], GOOD)
    told = receipt["gold"]
    assert (told["passed"], told["score"], told["may_contest"]) == (False, 0.0, True)
    assert told["explanation"].startswith("Known")
    assert told["known"]["ratings"] == {"faithful": "no"}


def test_from_the_pause_to_the_withdrawal(house: House, queue_id: int) -> None:
    add_known(house, queue_id)
    expert, lead = house.client("expert"), house.client("engineer")
    told = [submit(expert, claim(expert, queue_id)["claim"], GOOD)["gold"] for _ in range(4)]
    stopped = claim(expert, queue_id)
    assert (stopped["claim"], stopped["reason"]) == (None, "paused")
    assert "Nothing that you did is lost" in stopped["message"]

    queue = f"{API}/review-queues/{queue_id}"
    first = lead.get(f"{queue}/gold-standing").json()[0]
    assert (first["n"], first["met"], first["value"]) == (4, 0, 0.0)
    assert first["paused_at"]
    assert house.users["expert"].name not in str(first)

    result_id = told[0]["result_id"]
    contest = f"{API}/my/gold-results/{result_id}/contest"
    contested = expert.post(contest, json={"reason": "It is in the source."})
    assert (contested.status_code, contested.json()["may_contest"]) == (200, False)
    assert house.client("colleague").post(contest, json={"reason": "x"}).status_code == 404
    [waiting] = lead.get(f"{queue}/gold-contests").json()
    assert (waiting["result_id"], waiting["reason"]) == (result_id, "It is in the source.")
    assert waiting["said"]["faithful"] == "yes"

    resolve = f"{API}/gold-results/{result_id}/resolve"
    refused = lead.post(resolve, json={"resolution": "withdrawn"})
    assert refused.status_code == 422
    body = {"resolution": "withdrawn", "reason": "It is."}
    undone = lead.post(resolve, json=body).json()
    assert (undone["n_results"], undone["unpaused"]) == (1, [first["pseudonym"]])
    assert claim(expert, queue_id)["claim"]
    assert len(expert.get(f"{API}/my/review-queues/{queue_id}/gold-results").json()) == 3


def test_the_list_of_known_answers_is_paged(house: House, queue_id: int) -> None:
    add_known(house, queue_id)
    lead, path = house.client("engineer"), f"{API}/review-queues/{queue_id}/gold"
    page = lead.get(path, params={"limit": 3}).json()
    rest = lead.get(path, params={"limit": 3, "cursor": page["next"]}).json()
    assert (len(page["items"]), len(rest["items"]), rest["next"]) == (3, 1, None)
    assert page["items"][0]["models"] == ["base:v1@1"]
    gold_id = rest["items"][0]["id"]
    undone = lead.post(f"{API}/gold-answers/{gold_id}/withdraw", json={"reason": "wrong"})
    assert undone.json()["n_results"] == 0
    assert lead.get(path).json()["items"][-1]["withdrawn_reason"] == "wrong"


def test_sent_again_nothing_is_added_twice(house: House, queue_id: int) -> None:
    row = {
        "generation": outputs(house)[0],
        "answer": {"ratings": {"faithful": "no"}},
        "explanation": "x",
    }
    path, key = f"{API}/review-queues/{queue_id}/gold", {"Idempotency-Key": "the-same-key"}
    lead = house.client("engineer")
    first, again = (lead.post(path, json={"rows": [row]}, headers=key).json() for _ in range(2))
    assert first == again
    assert len(lead.get(path).json()["items"]) == 1


def test_a_lead_pauses_and_lifts_by_pseudonym(house: House, queue_id: int) -> None:
    lead, path = house.client("engineer"), f"{API}/review-queues/{queue_id}/pauses"
    person = house.users["expert"].pseudonym
    paused = lead.post(path, json={"reviewer": person, "reason": "Let us talk."}).json()
    assert (paused["pseudonym"], paused["pause_reason"]) == (person, "Let us talk.")
    told = claim(house.client("expert"), queue_id)
    assert (told["claim"], told["reason"]) == (None, "paused")
    assert "Let us talk" not in told["message"]
    assert lead.post(f"{path}/lift", json={"reviewer": person}).json()["paused_at"] is None
    assert lead.post(f"{path}/lift", json={"reviewer": person}).status_code == 409
    nobody = {"reviewer": "R-nobody", "reason": "x"}
    assert lead.post(path, json=nobody).status_code == 404


def test_a_disagreement_is_decided_and_becomes_a_known_answer(house: House, queue_id: int) -> None:
    with house.sessions.begin() as session:
        session.get_one(ReviewQueue, queue_id).rules = {"adjudicate_above": 0.5}
        third = house.desk.experts[2]
        from backend.services.accounts.credentials import create_token

        house.tokens["third"] = create_token(session, third, "test", now=house.clock.now).value
    for person, ratings in (("expert", GOOD), ("colleague", BAD)):
        client = house.client(person)
        submit(client, claim(client, queue_id)["claim"], ratings)
    queue = f"{API}/review-queues/{queue_id}"
    lead = house.client("engineer")
    assert lead.get(f"{queue}/adjudications/progress").json() == {
        "opened": 1,
        "decided": 0,
        "held": 0,
    }
    for person in ("expert", "colleague"):
        assert claim(house.client(person), queue_id, "adjudications/claim")["claim"] is None
    decider = house.client("third")
    held = claim(decider, queue_id, "adjudications/claim")["claim"]
    labels = [one["label"] for one in held["adjudication"]["answers"]]
    assert labels == ["Reviewer 1", "Reviewer 2"]
    assert not any(user.pseudonym in str(held) for user in house.desk.experts)
    assert lead.get(f"{queue}/adjudications").json()["items"][0]["state"] == "held"
    submit(decider, held, BAD)
    [decided] = lead.get(f"{queue}/adjudications").json()["items"]
    assert (decided["state"], decided["verdict"]["ratings"]["faithful"]) == ("decided", "no")
    assert {one["ratings"]["faithful"] for one in decided["answers"]} == {"yes", "no"}
    added = lead.post(f"{queue}/gold/adjudicated", json={})
    assert (added.status_code, len(added.json()["ids"])) == (201, 1)


def test_a_rubric_is_saved_listed_and_read_back(house: House) -> None:
    lead, path = house.client("engineer"), f"{API}/projects/{house.desk.project.id}/rubrics"
    rubric = find_rubric("telecom_desk").model_copy(update={"guidelines": "Read twice."})
    saved = lead.post(path, json={"source": dump_rubric(rubric)})
    assert saved.status_code == 201
    body = saved.json()
    assert (body["is_new"], body["rubric"]["version"]) == (True, 2)
    assert [queue["name"] for queue in body["staying"]] == ["q"]
    assert "stays on version 1" in body["sentence"]
    assert [one["version"] for one in lead.get(path, params={"name": rubric.name}).json()] == [1, 2]
    assert "Read twice." in lead.get(path).json()[-1]["source"]
    assert lead.get(path, params={"name": "nothing"}).status_code == 422
    assert lead.post(path, json={"source": "name: ["}).status_code == 422


def test_the_library_can_be_read(house: House) -> None:
    names = [one["name"] for one in house.client("engineer").get(f"{API}/rubric-library").json()]
    assert {"translation", "clinical_note", "contract_clause"} <= set(names)
    assert house.client("expert").get(f"{API}/rubric-library").status_code == 403
