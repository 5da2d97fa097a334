"""The desk over HTTP: claim, draft, submit, skip; what an expert is never shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import func, select

from backend.tables.review import Preference, Rating, Review
from tests.backend.api.conftest import House
from tests.fixtures_review import GOOD, score_with_flag

ANSWER = {"ratings": GOOD, "correction": "train customer pays EUR 10.90", "active_seconds": 12.5}
HIDDEN = ("model", "score", "value", "probability", "a_is_left", "signature", "reference")


def claim(house: House, person: str = "expert", queue_id: int | None = None) -> dict[str, Any]:
    path = f"/api/v1/review-queues/{queue_id or house.queue_id}/claim"
    answer = house.client(person).post(path)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["claim"]
    return found


def send(house: House, held: dict[str, Any], act: str, person: str = "expert", **body: object):
    method = "PUT" if act == "draft" else "POST"
    path = f"/api/v1/review-slots/{held['slot_id']}/{act}"
    return house.client(person).request(method, path, json={"version": held["version"], **body})


def keys_of(value: object) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {key for part in value.values() for key in keys_of(part)}
    if isinstance(value, list):
        return {key for part in value for key in keys_of(part)}
    return set()


def test_claim_answer_and_next(house_on_both: House) -> None:
    house = house_on_both
    held = claim(house)
    assert held["kind"] == "single"
    assert held["item"]["output"]["text"].startswith("base says")
    assert held["progress"] == {"total": 6, "done": 0, "leased": 1, "open": 5, "mine": 0}
    done = send(house, held, "submit", answer=ANSWER)
    assert done.json()["state"] == "submitted"
    following = claim(house)
    assert following["slot_id"] != held["slot_id"]
    assert following["progress"]["mine"] == 1
    with house.sessions() as session:
        review = session.scalars(select(Review).where(Review.state == "submitted")).one()
        assert review.corrections[0].text == ANSWER["correction"]
        assert review.active_seconds == 12.5
        assert not review.simulated


def test_same_answer_again_is_one_answer(house: House) -> None:
    held = claim(house)
    first, second = (send(house, held, "submit", answer=ANSWER).json() for _ in range(2))
    assert (first["repeated"], second["repeated"]) == (False, True)
    assert first["review_id"] == second["review_id"]
    with house.sessions() as session:
        assert session.scalar(select(func.count(Rating.id))) == 3


def test_draft_comes_back_after_a_reload(house: House) -> None:
    held = claim(house)
    draft = {"ratings": {"quality": 4}, "correction": "half a sent", "comment": "ünïcode 😀"}
    saved = send(house, held, "draft", answer=draft)
    assert saved.json()["lease_until"] == "2026-05-04T09:10:00Z"
    again = claim(house)
    assert (again["slot_id"], again["version"]) == (held["slot_id"], held["version"])
    assert again["resumed"]
    assert {k: again["draft"][k] for k in draft} == draft


def test_two_people_hold_two_items(house: House) -> None:
    assert claim(house)["slot_id"] != claim(house, "colleague")["slot_id"]


def test_answer_under_anothers_lease_is_refused(house: House) -> None:
    held = claim(house)
    for act, body in (
        ("submit", {"answer": ANSWER}),
        ("draft", {"answer": {}}),
        ("skip", {"reason": "no"}),
        ("heartbeat", {}),
    ):
        assert send(house, held, act, "colleague", **body).status_code == 404


def test_lapsed_lease_that_passed_on_is_lost_kindly(house: House) -> None:
    held = claim(house)
    for _ in range(5):
        send(house, claim(house, "colleague"), "submit", "colleague", answer=ANSWER)
    house.clock.move(seconds=601)
    assert claim(house, "colleague")["slot_id"] == held["slot_id"]
    lost = send(house, held, "submit", answer=ANSWER)
    assert lost.status_code == 409
    assert lost.json()["type"] == "urn:strop:problem:lease-lost"
    assert "given to a colleague" in lost.json()["detail"]


def test_skip_needs_a_reason(house: House) -> None:
    held = claim(house)
    assert send(house, held, "skip", reason="").status_code == 422
    assert send(house, held, "skip", reason="Not my field").json()["state"] == "skipped"
    assert claim(house)["slot_id"] != held["slot_id"]


def test_blind_vote_names_a_side(house: House) -> None:
    held = claim(house, queue_id=house.pair_queue_id)
    assert held["item"]["output"] is None
    left_is_base = held["item"]["left"]["text"].startswith("base")
    assert send(house, held, "submit", answer={"winner": "left"}).status_code == 200
    with house.sessions() as session:
        winner = session.scalars(select(Preference.winner)).one()
    assert winner == ("a" if left_is_base else "b")


def test_empty_queue_is_not_an_error(house: House) -> None:
    for _ in range(6):
        send(house, claim(house), "submit", answer=ANSWER)
    answer = house.client("expert").post(f"/api/v1/review-queues/{house.queue_id}/claim")
    assert answer.json()["claim"] is None
    assert answer.json()["progress"]["done"] == 6


def test_expert_sees_own_queues_only(house: House) -> None:
    mine = house.client("expert").get("/api/v1/my/review-queues").json()
    assert {queue["id"] for queue in mine} == {house.queue_id, house.pair_queue_id}
    foreign = house.client("expert").get(f"/api/v1/my/review-queues/{house.foreign_queue_id}")
    assert foreign.status_code == 404


def test_nothing_shown_to_an_expert_names_a_model_or_a_score(house: House) -> None:
    with house.sessions.begin() as session:
        from backend.tables.generation import Generation

        run = session.merge(house.desk.run)
        generation = session.scalars(
            select(Generation).where(Generation.run_id == run.id).limit(1)
        ).one()
        scored = score_with_flag(session, run, generation)
        queue_id = house.desk.open(session, "flagged", score_run_id=scored.id).id
    shown: list[object] = []
    flags = []
    for _ in range(6):
        held = claim(house, queue_id=queue_id)
        flags += held["item"]["output"]["flagged"]
        shown.append(held)
        send(house, held, "submit", answer=ANSWER)
    client = house.client("expert")
    shown.append(client.get(f"/api/v1/my/review-queues/{queue_id}/reviews").json())
    shown.append([q | {"rubric": {}} for q in client.get("/api/v1/my/review-queues").json()])
    pair = claim(house, queue_id=house.pair_queue_id)
    shown.append(pair)
    assert [flag["reason"] for flag in flags] == ["not in the source"]
    found = {key for key in keys_of(shown) if any(word in key for word in HIDDEN)}
    assert found == set()
    assert "0.125" not in json.dumps(shown)


@pytest.mark.parametrize(
    "body",
    [
        {"answer": {"ratings": {"quality": 9, "faithful": "yes", "problem": "none"}}},
        {"answer": {"winner": "left"}},
        {"answer": {"ratings": GOOD, "correction": "  "}},
        {"answer": {"ratings": GOOD, "spans": [{"start": 0, "end": 10_000, "kind": "x"}]}},
        {"answer": {"ratings": GOOD, "mood": "good"}},
        {"answer": ANSWER, "simulated": True},
    ],
)
def test_answer_that_does_not_fit_keeps_the_lease(house: House, body: dict[str, Any]) -> None:
    held = claim(house)
    refused = send(house, held, "submit", **body)
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert claim(house)["slot_id"] == held["slot_id"]


def test_last_answer_can_be_looked_at_again(house: House) -> None:
    held = claim(house)
    send(house, held, "submit", answer=ANSWER)
    path = f"/api/v1/my/review-queues/{house.queue_id}/reviews"
    [past] = house.client("expert").get(path).json()
    assert past["item"] == held["item"]
    assert past["answer"]["correction"] == ANSWER["correction"]
    assert house.client("colleague").get(path).json() == []
