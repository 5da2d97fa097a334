"""The desk over HTTP: claim, draft, submit, skip; what an expert is never shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import func, select, update

from backend.schemas.review.desk import AnswerIn
from backend.services.accounts.credentials import create_token
from backend.tables.review import Preference, Rating, Review, ReviewItem
from tests.backend.api.conftest import House
from tests.fixtures_review import BAD, GOOD, score_with_flag

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
    counts = {"total": 6, "done": 0, "leased": 1, "open": 5, "mine": 0}
    assert held["progress"] == counts | {"skipped": 0, "audited": 0, "skipping": ""}
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


def test_late_answer_is_kept_as_an_extra(house_on_both: House) -> None:
    house = house_on_both
    held = claim(house)
    send(house, held, "draft", answer={"comment": "half of it"})
    asked = f"lapsed?slot_id={held['slot_id']}&version={held['version']}"
    path = f"/api/v1/my/review-queues/{house.queue_id}/{asked}"
    assert house.client("expert").get(path).status_code == 404  # it is theirs
    for _ in range(5):
        send(house, claim(house, "colleague"), "submit", "colleague", answer=ANSWER)
    house.clock.move(seconds=601)
    assert claim(house, "colleague")["slot_id"] == held["slot_id"]
    lost = send(house, held, "draft", answer=ANSWER)
    assert lost.status_code == 409
    assert lost.json()["type"] == "urn:strop:problem:lease-lost"
    assert "given to a colleague" in lost.json()["detail"]
    elsewhere = f"/api/v1/my/review-queues/{house.pair_queue_id}/{asked}"
    assert house.client("expert").get(elsewhere).status_code == 404
    lapsed = house.client("expert").get(path).json()["claim"]
    assert (lapsed["item"], lapsed["draft"]["comment"]) == (held["item"], "half of it")
    assert house.client("colleague").get(path).status_code == 404  # it never was theirs
    late = send(house, held, "submit", answer=ANSWER).json()
    assert house.client("expert").get(path).status_code == 404  # it is answered
    assert (late["state"], late["extra"], late["repeated"]) == ("submitted", True, False)
    assert send(house, held, "submit", answer=ANSWER).json() == {**late, "repeated": True}
    path = f"/api/v1/my/review-queues/{house.queue_id}/reviews"
    [past] = house.client("expert").get(path).json()
    assert (past["extra"], past["revisable_until"]) == (True, None)


def test_submit_and_next_item_in_one_request(house: House) -> None:
    held = claim(house)
    receipt = send(house, held, "submit", answer=ANSWER, next=True).json()
    following = receipt["next"]["claim"]
    assert following["slot_id"] != held["slot_id"]
    assert following["progress"]["done"] == 1
    again = send(house, held, "submit", answer=ANSWER, next=True).json()
    assert again["repeated"]
    assert again["next"]["claim"] == {**following, "resumed": True}
    skipped = send(house, following, "skip", reason="Not my field", next=True).json()
    assert skipped["next"]["claim"]["slot_id"] not in {held["slot_id"], following["slot_id"]}


def test_answer_without_next_brings_none(house: House) -> None:
    assert send(house, claim(house), "submit", answer=ANSWER).json()["next"] is None


def test_why_an_item_was_shown_is_told_after_submitting_only(house: House) -> None:
    with house.sessions.begin() as session:
        session.execute(update(ReviewItem).values(stratum="high risk", why="A check flagged it."))
    held = claim(house)
    assert "flagged it" not in json.dumps(held)
    receipt = send(house, held, "submit", answer=ANSWER).json()
    assert (receipt["stratum"], receipt["why"]) == ("high risk", "A check flagged it.")


def test_own_answer_is_revised(house: House) -> None:
    held = claim(house)
    receipt = send(house, held, "submit", answer=ANSWER).json()
    path = f"/api/v1/my/reviews/{receipt['review_id']}/revise"
    assert house.client("colleague").post(path).status_code == 404
    again = house.client("expert").post(path).json()["claim"]
    assert again["draft"]["correction"] == ANSWER["correction"]
    changed = {**ANSWER, "correction": "Another.", "seconds_by_criterion": {"quality": 3.5}}
    assert send(house, again, "submit", answer=changed).json()["review_id"] != receipt["review_id"]
    [latest, *_] = (
        house.client("expert").get(f"/api/v1/my/review-queues/{house.queue_id}/reviews").json()
    )
    assert latest["answer"]["correction"] == "Another."
    assert latest["answer"]["seconds_by_criterion"] == {"quality": 3.5}


def test_every_field_of_an_answer_is_stored_shown_and_taken_back(house: House) -> None:
    """A field that is new and left out somewhere on the way is missed here."""
    mark = {"start": 0, "end": 4, "kind": "other", "severity": None, "note": "who?"}
    single = {
        "ratings": {name: str(value) for name, value in GOOD.items()},
        "correction": "Another text.",
        "correction_reason": "it invents",
        "spans": [mark],
        "comment": "seen twice",
        "active_seconds": 7.5,
        "seconds_by_criterion": {"quality": 3.5},
    }
    of_a_pair = {"winner"}
    timed = {"active_seconds", "seconds_by_criterion"}
    assert single.keys() | of_a_pair == AnswerIn.model_fields.keys()
    held = claim(house)
    assert send(house, held, "draft", answer=single).status_code == 200
    assert claim(house)["draft"] == {**AnswerIn(**single).model_dump(mode="json"), **single}
    receipt = send(house, held, "submit", answer=single).json()
    reviews = f"/api/v1/my/review-queues/{house.queue_id}/reviews"
    shown = house.client("expert").get(reviews).json()[0]["answer"]
    assert {name: shown[name] for name in single} == single
    back = house.client("expert").post(f"/api/v1/my/reviews/{receipt['review_id']}/revise").json()
    draft = back["claim"]["draft"]
    assert {name: draft[name] for name in single.keys() - timed} == {
        name: value for name, value in single.items() if name not in timed
    }


def test_nothing_to_claim_has_its_reason(house: House) -> None:
    for _ in range(6):
        send(house, claim(house), "submit", answer=ANSWER)
    path = f"/api/v1/review-queues/{house.queue_id}/claim"
    answer = house.client("expert").post(path).json()
    assert (answer["claim"], answer["reason"]) == (None, "finished")
    assert answer["message"]
    house.client("engineer").post(f"/api/v1/review-queues/{house.pair_queue_id}/close")
    closed = house.client("expert").post(f"/api/v1/review-queues/{house.pair_queue_id}/claim")
    assert (closed.status_code, closed.json()["reason"]) == (200, "closed")


def test_links_are_for_who_holds_the_item(house: House) -> None:
    held = claim(house)
    path = f"/api/v1/review-slots/{held['slot_id']}/links"
    links = house.client("expert").get(path).json()
    assert isinstance(links, list)
    for link in links:
        assert link["end"] <= len(held["item"]["output"]["text"])
    assert house.client("colleague").get(path).status_code == 404
    pair = claim(house, queue_id=house.pair_queue_id)
    assert house.client("expert").get(f"/api/v1/review-slots/{pair['slot_id']}/links").json() == []


def test_verdict_is_asked_of_a_third_person_without_names(house: House) -> None:
    with house.sessions.begin() as session:
        queue = house.desk.open(session, "disputed", n_items=1, overlap=2, overlap_share=1.0)
        queue.rules = {"adjudicate_above": 0.1}
        third = create_token(session, house.desk.experts[2], "t", now=house.clock.now)
        queue_id = queue.id
    for person, answer in (("expert", ANSWER), ("colleague", {"ratings": BAD})):
        send(house, claim(house, person, queue_id), "submit", person, answer=answer)
    path = f"/api/v1/review-queues/{queue_id}/adjudications/claim"
    assert house.client("expert").post(path).json()["claim"] is None
    house.tokens["third"] = third.value
    held = house.client("third").post(path).json()["claim"]
    answers = held["adjudication"]["answers"]
    assert [one["label"] for one in answers] == ["Reviewer 1", "Reviewer 2"]
    assert {one["answer"]["correction"] for one in answers} == {ANSWER["correction"], None}
    assert "R-1" not in json.dumps(held)
    assert send(house, held, "submit", "third", answer=ANSWER).status_code == 200


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
        from backend.tables.runs import Generation

        run = session.merge(house.desk.run)
        generation = session.scalars(
            select(Generation).where(Generation.run_id == run.id).order_by(Generation.id).limit(1)
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
        {"answer": {"ratings": GOOD, "seconds_by_criterion": {"quality": -1}}},
        {"answer": {"ratings": GOOD, "seconds_by_criterion": {"a\x00b": 1}}},
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
