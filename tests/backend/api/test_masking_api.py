"""Masking over HTTP: rows come in masked; no answer tells an original but the one recorded."""

from __future__ import annotations

import json
import logging

import pytest
from sqlalchemy import select

from backend.services.exchange.review_exports import FORMATS
from backend.tables.audit import AuditEntry
from backend.tables.datasets import Example
from backend.tables.runs import Generation
from backend.tables.webhooks import WebhookDelivery
from tests.backend.api.conftest import SAME_SITE, House
from tests.backend.api.test_rules import ROUTES
from tests.fixtures_review import GOOD

SECRETS = ("Kowalczyk", "4432118", "DE89370400440532013000")
NAMED = "Mrs Kowalczyk (MRN 4432118) came with Mrs Jana Novakova."
ROWS = [
    {
        "id": "MRN-4432118",
        "input": "Summarise the visit of Mrs Anna Kowalczyk.",
        "context": "MRN 4432118, IBAN DE89370400440532013000. Kowalczyk was seen on 2024-03-01.",
        "reference": "Anna Kowalczyk was seen.",
        "group": "Kowalczyk",
    },
    *({"id": f"r{n}", "input": f"ask {n}", "reference": f"say {n}"} for n in range(9)),
]


def _masked(house: House) -> tuple[int, dict[str, int]]:
    """Ids of the project and of what was brought in masked."""
    project_id = house.desk.project.id
    lead = house.client("lead")
    path = f"/api/v1/projects/{project_id}"
    made = lead.post(f"{path}/masking-policies", json={"source": ""}, headers=SAME_SITE)
    assert made.status_code == 201, made.text
    sent = lead.post(f"{path}/datasets", json={"name": "notes", "rows": ROWS}, headers=SAME_SITE)
    assert sent.status_code == 201, sent.text
    version = sent.json()["id"]
    shown = lead.get(f"/api/v1/dataset-versions/{version}/examples?limit=50").json()["items"]
    example = next(row["id"] for row in shown if row["external_id"].startswith("row-"))
    return project_id, {"dataset_version_id": version, "example_id": example}


def test_no_answer_tells_an_original_but_the_one_that_is_recorded(house: House) -> None:
    project_id, things = _masked(house)
    known = {"project_id": project_id, **things}
    asked = 0
    for name in sorted(ROUTES):
        method, path = name.split(" ")
        names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        if method != "GET" or not set(names) <= known.keys() or name.endswith("/original"):
            continue
        address = "/api" + path.format(**known)
        told = house.client("admin", raise_server_exceptions=False).get(address).text
        asked += 1
        assert not [word for word in SECRETS if word in told], name
    assert asked > 25
    for split in ("train", "test", "validation"):
        address = f"/api/v1/dataset-versions/{things['dataset_version_id']}/examples?split={split}"
        told = house.client("lead").get(address).text
        assert not [word for word in SECRETS if word in told]


def test_a_lead_sees_an_original_and_the_look_is_recorded(house: House) -> None:
    _, things = _masked(house)
    address = f"/api/v1/examples/{things['example_id']}/original"
    shown = house.client("lead").get(address).json()
    assert shown["original"]["input"] == ROWS[0]["input"]
    assert shown["original"]["id"] == "MRN-4432118"
    for person, status in (("engineer", 403), ("expert", 403), ("stranger", 404)):
        client = house.client(person, raise_server_exceptions=False)
        assert client.get(address).status_code == status
    with house.sessions() as session:
        query = select(AuditEntry).where(AuditEntry.action == "texts.read")
        looks = [look for look in session.scalars(query) if look.detail["of"] == "originals"]
    assert [(look.subject, look.user_id) for look in looks] == [
        (f"example:{things['example_id']}", house.users["lead"].id)
    ]
    assert not [word for word in SECRETS if word in json.dumps(looks[0].detail)]


def test_the_page_is_told_what_was_found(house: House) -> None:
    project_id, _ = _masked(house)
    shown = house.client("engineer").get(f"/api/v1/projects/{project_id}/masking").json()
    assert shown["n_masked"] == 10
    assert shown["n_unmasked"] > 0
    assert shown["by_kind"]["PERSON"] == 3
    assert shown["titles"]["IBAN"] == "bank account (IBAN)"
    assert shown["policy"]["key_is_here"] is True
    assert shown["originals_openable"] == shown["n_originals"] == 10


def test_an_engineer_sets_no_policy_and_a_wrong_one_is_refused(house: House) -> None:
    path = f"/api/v1/projects/{house.desk.project.id}/masking-policies"
    engineer = house.client("engineer", raise_server_exceptions=False)
    assert engineer.post(path, json={"source": ""}, headers=SAME_SITE).status_code == 403
    lead = house.client("lead", raise_server_exceptions=False)
    wrong = lead.post(path, json={"source": "kinds: {NAMES: off}"}, headers=SAME_SITE)
    assert wrong.status_code == 422
    assert "NAMES" in wrong.text


def test_what_comes_in_beside_rows_goes_out_of_no_door(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """Outputs of elsewhere that name people, reviewed, exported, told to a webhook, and logged."""
    caplog.set_level(logging.DEBUG)
    project_id, things = _masked(house)
    lead = house.client("lead")
    lead.headers.update(SAME_SITE)
    path = f"/api/v1/projects/{project_id}"
    hook = lead.post(f"{path}/webhooks", json={"url": "https://hooks.example.test/x"})
    assert hook.status_code == 201, hook.text
    with house.sessions() as session:
        split = session.get_one(Example, things["example_id"]).split
    outputs = {
        "rows": [{"id": "MRN-4432118", "prediction": NAMED}],
        "model": "vendor",
        "dataset": "notes",
        "split": split,
        "metrics": ["rouge1"],
    }
    sent = lead.post(f"{path}/generation-runs/import", json=outputs)
    assert sent.status_code == 201, sent.text
    queue = {
        "name": "outside",
        "generation_run_id": sent.json()["run"]["id"],
        "models": ["vendor"],
        "rubric": "telecom_desk",
        "reviewers": [house.users["expert"].name],
    }
    opened = lead.post(f"{path}/review-queues", json=queue)
    assert opened.status_code == 201, opened.text
    expert = house.client("expert")
    claim = expert.post(f"/api/v1/review-queues/{opened.json()['id']}/claim")
    claimed = claim.json()["claim"]
    shown = json.dumps(claimed, ensure_ascii=False)
    answer = {"ratings": GOOD, "correction": "She was seen."}
    body = {"version": claimed["version"], "answer": answer}
    done = expert.post(f"/api/v1/review-slots/{claimed['slot_id']}/submit", json=body)
    assert done.status_code == 200, done.text
    said = [shown, done.text, sent.text, opened.text]
    for name in FORMATS.keys() - {"votes"}:  # of pairs alone
        export = lead.get(f"/api/v1/review-queues/{opened.json()['id']}/export?format={name}")
        assert export.status_code == 200, export.text
        said.append(export.text)
    assert sum(len(one) > 100 for one in said) > 5
    with house.sessions() as session:
        told = session.scalars(select(WebhookDelivery.payload))
        said += [json.dumps(payload, ensure_ascii=False) for payload in told]
        said += [one or "" for one in session.scalars(select(Generation.text))]
    said += [record.getMessage() for record in caplog.records]
    assert not [word for word in (*SECRETS, "Novakova") for one in said if word in one]
