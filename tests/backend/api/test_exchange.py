"""Exports, imports and webhooks over HTTP, and hostile text in everything that goes through."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import update

from backend.client import StropClient
from backend.schemas.exchange import ImportIn, WebhookIn
from backend.services import review
from backend.services.review import Answer
from backend.tables.accounts import User
from backend.tables.datasets import Example
from backend.tables.review import Review
from backend.tables.runs import Generation
from tests.backend.api.conftest import House
from tests.fixtures_review import BAD, review_next

HOSTILE = {
    "script": "<script>alert(document.cookie)</script><img src=x onerror=alert(1)>",
    "markdown": "![x](https://evil.example/steal?c=1) [y](javascript:alert(1))",
    "ansi": "\x1b[31mred\x1b[0m\x1b]0;title\x07\x1b[2J\x08\x9b1m",
    "bidi": "user\u202egnp.exe\u2066\u200fשלום\u202c",
    "formula": "=cmd|' /C calc'!A0",
    "json": '"}]\n{"item": 1}\n,\u2028\u2029',
    "template": "{{7*7}} ${jndi:ldap://x} %s %n",
    "long": "é😀" * 250_000,
}


@pytest.fixture
def reviewed(house: House) -> House:
    """A house whose queue two experts have worked on."""
    with house.sessions.begin() as session:
        queue = review.get_queue(session, house.queue_id)
        for person in house.desk.experts[:2] * 2:
            ratings = dict(BAD)
            review_next(session, queue, person, Answer(ratings, correction="better"))
    return house


def export(house: House, queue_id: int, **query: Any) -> Any:
    path = f"/api/v1/review-queues/{queue_id}/export"
    return house.client("engineer").get(path, params=query)


def test_that_a_download_goes_on_after_an_item(reviewed: House) -> None:
    whole = export(reviewed, reviewed.queue_id, format="ratings").text
    items = [json.loads(line)["item"] for line in whole.splitlines()]
    second = next(item for item in items if item != items[0])
    rest = export(reviewed, reviewed.queue_id, format="ratings", after=items[0]).text
    assert json.loads(rest.splitlines()[0])["item"] == second
    assert whole.endswith(rest)
    assert whole[: -len(rest)].count("\n") == items.count(items[0])


@pytest.mark.parametrize(
    ("query", "media"),
    [
        ({"format": "ratings"}, "application/jsonl"),
        ({"format": "ratings", "file": "csv"}, "text/csv; charset=utf-8"),
        ({"format": "label-studio"}, "application/json"),
        ({"format": "argilla", "file": "jsonl"}, "application/jsonl"),
    ],
)
def test_that_a_file_is_an_attachment_of_its_kind(
    reviewed: House, query: dict[str, str], media: str
) -> None:
    answer = export(reviewed, reviewed.queue_id, **query)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == media
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"format": "rating"}, 422),
        ({"format": "votes"}, 422),
        ({"format": "ratings", "file": "json"}, 422),
        ({"format": "ratings", "after": 999_999}, 404),
        ({"format": "ratings", "offsets": "bytes"}, 422),
    ],
)
def test_that_a_refusal_is_a_problem_and_no_file(
    reviewed: House, query: dict[str, Any], status: int
) -> None:
    answer = export(reviewed, reviewed.queue_id, **query)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_that_the_client_takes_a_queue_out_and_back(reviewed: House, server_url: str) -> None:
    with StropClient(server_url, token=reviewed.tokens["engineer"]) as strop:
        tasks = json.loads(b"".join(strop.exchange.export_queue(reviewed.queue_id, "label-studio")))
        assert strop.exchange.labelling_config(reviewed.queue_id).startswith(b"<View>")
        person = reviewed.desk.experts[2].pseudonym
        for task in tasks:
            for annotation in task["annotations"]:
                annotation.update(unique_id=f"other-{annotation['unique_id']}", completed_by=5)
            del task["annotations"][1:]
        body = ImportIn(source="label-studio", rows=[*tasks, "x"], people={"5": person})
        report = strop.exchange.import_reviews(reviewed.queue_id, body)
        again = strop.exchange.import_reviews(reviewed.queue_id, body)
    answered = sum(bool(task["annotations"]) for task in tasks)
    assert (report.taken, report.repeated, len(report.refused)) == (answered, 0, 1)
    assert (again.taken, again.repeated, len(again.refused)) == (0, answered, 1)


def test_that_a_webhook_is_added_tried_and_listed(house: House, server_url: str) -> None:
    project_id = house.desk.project.id
    with StropClient(server_url, token=house.tokens["engineer"]) as strop:
        made = strop.webhooks.add(project_id, WebhookIn(url="https://hooks.example.org/a"))
        assert made.secret.startswith("whsec_")
        assert strop.webhooks.test(made.id).state == "pending"
        (shown,) = strop.webhooks.list(project_id)
        (delivery,) = strop.webhooks.deliveries(made.id).items
    assert "secret" not in shown.model_dump()
    assert (delivery.event, delivery.attempts) == ("webhook.test", 0)


@pytest.mark.parametrize("kind", HOSTILE)
def test_that_hostile_text_is_kept_and_given_back_as_it_is(house: House, kind: str) -> None:
    """Source and output in, correction and comment back: nothing is cleaned, nothing is run."""
    text = HOSTILE[kind]
    with house.sessions.begin() as session:
        session.execute(update(Example).values(input=text, context=text))
        session.execute(update(Generation).values(text=text))
    expert = house.client("expert")
    claim = expert.post(f"/api/v1/review-queues/{house.queue_id}/claim").json()["claim"]
    assert (claim["item"]["input"], claim["item"]["output"]["text"]) == (text, text)
    said = text[:400_000]
    answer = {
        "ratings": dict(BAD),
        "correction": f"corrected {said} end",
        "comment": f"see {said[:9000]} end",
    }
    path = f"/api/v1/review-slots/{claim['slot_id']}/submit"
    body = {"version": claim["version"], "answer": answer}
    assert expert.post(path, json=body).status_code == 200
    (shown,) = (
        house.client("engineer")
        .get(f"/api/v1/review-queues/{house.queue_id}/reviews")
        .json()["items"]
    )
    assert (shown["correction"], shown["comment"]) == (answer["correction"], answer["comment"])
    for name in ("label-studio", "argilla"):
        file = export(house, house.queue_id, format=name, file="jsonl")
        assert file.headers["content-type"] == "application/jsonl"
        rows = [json.loads(line) for line in file.text.split("\n") if line]
        outputs = {(row.get("data") or row["fields"])["output"] for row in rows}
        assert outputs == {text}
        assert answer["correction"] in set(texts_in(rows))


def texts_in(value: Any) -> Iterator[str]:
    """Every text in a JSON document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from texts_in(part)


@pytest.mark.parametrize("kind", [kind for kind in HOSTILE if kind != "long"])
def test_that_hostile_names_stay_names(house: House, kind: str) -> None:
    """A person's name reaches nobody else; a pseudonym is what exports show."""
    text = HOSTILE[kind][:100]
    with house.sessions.begin() as session:
        # The person's own row: the house's objects are shared by all tests.
        session.get_one(User, house.desk.experts[0].id).name = text
        queue = review.get_queue(session, house.queue_id)
        ratings = dict(BAD)
        review_next(session, queue, house.desk.experts[0], Answer(ratings))
        assert session.query(Review).filter_by(state="submitted").count() == 1
    people = house.client("engineer").get(f"/api/v1/projects/{house.desk.project.id}/users")
    assert people.headers["content-type"] == "application/json"
    for name in ("ratings", "label-studio", "argilla"):
        said = [
            json.loads(line)
            for line in export(house, house.queue_id, format=name, file="jsonl").text.split("\n")
            if line
        ]
        assert text not in json.dumps(said, ensure_ascii=False)
        assert json.dumps(text)[1:-1] not in json.dumps(said)
