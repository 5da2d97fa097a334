"""A masked queue gives no model away: every answer that its reviewers can get is looked through."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import update
from starlette.testclient import TestClient

from backend.services import review
from backend.services.exchange.review_exports import ExportAsk, FileKind, export_text
from backend.services.review.answer import Answer, SpanMark
from backend.services.review.blind import mask_answer
from backend.services.review.quality import gold_items
from backend.services.review.quality.gold_items import GoldRow
from backend.services.review.rules import QueueRules
from backend.tables.models import ModelVersion
from backend.tables.review import ReviewItem
from backend.tables.runs import Generation, Score
from tests.backend.api.conftest import House
from tests.fixtures_review import GOOD, score_with_flag

NAMES = ("qwen-lora-7", "smol-base-2")
RULES = QueueRules(adjudicate_above=0.1, gold_onboarding=1)


class Watched:
    """A reviewer's client that looks through every answer for what names a model."""

    def __init__(self, client: TestClient, said: list[str]) -> None:
        self.client, self.said = client, said

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.client.request(method, f"/api/v1{path}", json=body)
        self.said.append(f"{method} {path}: {answer.text}")
        return answer.json()

    def answer(self, claim: dict[str, Any], faithful: str, fix: str | None = None) -> Any:
        answer = {"ratings": {**GOOD, "faithful": faithful}, "correction": fix}
        path = f"/review-slots/{claim['slot_id']}"
        self.ask("GET", f"{path}/links")
        self.ask("PUT", f"{path}/draft", {"version": claim["version"], "answer": answer})
        body = {"version": claim["version"], "answer": answer, "next": True}
        return self.ask("POST", f"{path}/submit", body)


def name_models(house: House) -> None:
    """Two models with telling names, which stand in all that they wrote."""
    with house.sessions.begin() as session:
        for model, name in zip(house.desk.models, NAMES, strict=True):
            session.execute(
                update(ModelVersion).where(ModelVersion.id == model.id).values(name=name)
            )
            written = update(Generation).where(Generation.model_version_id == model.id)
            session.execute(written.values(text=f"I am {name.upper()}, and pay EUR 5."))


def open_masked(house: House, kind: str, name: str) -> int:
    with house.sessions.begin() as session:
        pair = kind == "pair"
        shared = {"overlap": 2, "overlap_share": 1.0, "n_items": 2, "rules": RULES}
        people = [house.users[who].id for who in ("expert", "colleague")]
        scores = None
        if not pair:
            first = session.query(Generation).order_by(Generation.id).first()
            assert first is not None
            scores = score_with_flag(session, house.desk.run, first)
            flag = {"start": 0, "end": 4, "reason": f"{NAMES[0]} says so", "kind": "name"}
            session.execute(update(Score).values(spans=[flag]))
        queue = house.desk.open(
            session,
            name,
            kind=kind,
            reviewer_ids=[*people, house.desk.experts[2].id],
            score_run_id=None if scores is None else scores.id,
            **shared,
        )
        taken = {item.generation_a_id for item in session.query(ReviewItem)}
        free = session.query(Generation).filter(Generation.id.not_in(taken)).first()
        if not pair and free is not None:
            row = GoldRow(
                answer={"ratings": {"faithful": "no"}},
                explanation=f"{NAMES[0]} invents it",
                generation=free.id,
            )
            gold_items.add_gold(session, queue.id, [row], by=None)
        return queue.id


def test_no_answer_to_a_reviewer_names_a_model(house: House) -> None:
    name_models(house)
    said: list[str] = []
    single = open_masked(house, "single", f"{NAMES[0]} at work")
    pairs = open_masked(house, "pair", "old against new")
    people = [Watched(house.client(who), said) for who in ("expert", "colleague")]
    for number, person in enumerate(people):
        for queue_id in (single, pairs):
            walk(person, queue_id, single=queue_id == single, number=number)
        person.ask("GET", "/my/review-queues")
    with house.sessions() as session:
        texts = list(
            export_text(house.sessions, single, "label-studio", ExportAsk(), kind=FileKind.JSON)
        )
        texts += export_text(house.sessions, single, "argilla", ExportAsk(), kind=FileKind.JSON)
        third = house.desk.experts[2].id
        found = review.claim_adjudication(session, single, third, now=house.clock.now)
        assert isinstance(found, review.Claim)
    told = [line for line in [*said, *texts] if any(n in line.lower() for n in NAMES)]
    assert told == []
    assert not any("old against new" in line for line in said)
    assert any("▇▇▇▇▇▇▇▇▇▇▇, and pay EUR 6." in line for line in said), "corrections were shown"


def walk(person: Watched, queue_id: int, *, single: bool, number: int) -> None:
    """All that a person does in a queue, with a look back at each."""
    path = f"/my/review-queues/{queue_id}"
    person.ask("GET", path)
    given = person.ask("POST", f"/review-queues/{queue_id}/claim")
    while (claim := given.get("claim")) is not None:
        shown = claim["item"]["output"]["text"] if single else ""
        if single:
            fix = shown.replace("EUR 5", "EUR 6")
            receipt = person.answer(claim, ("yes", "no")[number], fix)
        else:
            body = {"version": claim["version"], "answer": {"winner": "left"}, "next": True}
            receipt = person.ask("POST", f"/review-slots/{claim['slot_id']}/submit", body)
        given = receipt["next"]
    for past in person.ask("GET", f"{path}/reviews"):
        again = person.ask("POST", f"/my/reviews/{past['review_id']}/revise")
        if single and "claim" in again:
            person.answer(again["claim"], ("yes", "no")[number], past["answer"]["correction"])
    person.ask("GET", f"{path}/gold-results")
    person.ask("POST", f"/review-queues/{queue_id}/adjudications/claim")


def test_what_was_masked_is_stored_as_it_was_written(house: House) -> None:
    """A correction, revised and corrected again, keeps the words that nobody saw."""
    name_models(house)
    queue_id = open_masked(house, "single", "plain")
    person = Watched(house.client("expert"), [])
    walk(person, queue_id, single=True, number=0)
    with house.sessions() as session:
        rows = review.my_reviews(session, queue_id, house.users["expert"].id)
        texts = [r.corrections[0].text for r in _standing(session, queue_id) if r.corrections]
    assert rows
    assert texts
    assert all("▇" not in text for text in texts)
    assert all(NAMES[0].upper() in text and "EUR 6" in text for text in texts)


def _standing(session: Any, queue_id: int) -> list[Any]:
    from backend.tables.review import Review

    query = session.query(Review).join(ReviewItem).filter(ReviewItem.queue_id == queue_id)
    return list(query.filter(Review.superseded_at.is_(None), Review.purpose == "review"))


def test_a_lead_reads_names_and_a_neutral_name_is_only_for_what_names(house: House) -> None:
    plain = house.client("expert").get(f"/api/v1/my/review-queues/{house.queue_id}").json()
    assert plain["name"] == "q"
    engineer = house.client("engineer").get(f"/api/v1/review-queues/{house.pair_queue_id}").json()
    assert engineer["name"] == "pairs"
    pair = house.client("expert").get(f"/api/v1/my/review-queues/{house.pair_queue_id}").json()
    assert pair["name"] == f"Blind pairs {house.pair_queue_id}"
    assert json.dumps(pair).count('"pairs"') == 0


def test_every_text_of_somebody_elses_answer_is_masked() -> None:
    said = Answer(
        ratings={"why": "qwen said so"},
        correction="qwen would not",
        correction_reason="qwen",
        spans=(SpanMark(0, 4, "other", None, "by qwen"),),
        comment="Qwen again",
    )
    assert "qwen" in str(said).lower()
    assert "qwen" not in str(mask_answer(said, ["qwen"])).lower()
