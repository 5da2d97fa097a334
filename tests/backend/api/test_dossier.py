"""Dossiers over HTTP: a lead takes one out, it is noted, and nobody else gets it."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from backend.services.datasets.versions import import_dataset
from backend.services.dossier import check_dossier
from backend.services.projects import set_manifest
from backend.services.verdicts import comparison
from backend.tables.audit import AuditEntry
from tests.backend.api.conftest import House
from tests.fixtures_review import make_rows, run_over, score_answers

BAR = "name: b\nlines: [{metric: exact_match, margin: 0}]"


@pytest.fixture
def address(house: House) -> str:
    """Of a comparison of base and v1 on five examples of a test set."""
    with house.sessions.begin() as session:
        desk = house.desk
        rows = make_rows({"test": 5})
        version = import_dataset(session, desk.project.id, "held", rows, source_name="made here")
        run = run_over(session, desk, version, split="test")
        row = comparison.compare_models(
            session,
            manifest_row=set_manifest(session, desk.project.id, BAR),
            score_run=score_answers(session, run, "exact_match"),
            baseline=session.merge(desk.models[0]),
            candidate=session.merge(desk.models[1]),
        )
        return f"/api/v1/comparisons/{row.id}/dossier"


def test_a_lead_takes_a_dossier_out_that_holds_and_it_is_noted(house: House, address: str) -> None:
    answer = house.client("lead").get(address)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"].endswith('.tar"')
    key = house.client("engineer").get("/api/v1/dossier-key").json()["public_key"]
    files = check_dossier.unpack(answer.content)
    check_dossier.verify(files, key)
    assert house.client("lead").get(address).content == answer.content
    with house.sessions() as session:
        read = select(AuditEntry).where(AuditEntry.action == "texts.read")
        noted = [e for e in session.scalars(read) if e.detail["of"] == "dossiers"]
    assert [entry.user_id for entry in noted] == [house.users["lead"].id] * 2


@pytest.mark.parametrize(
    ("person", "status"), [("engineer", 403), ("expert", 403), ("stranger", 404), (None, 401)]
)
def test_nobody_else_gets_it(house: House, address: str, person: str | None, status: int) -> None:
    answer = house.client(person).get(address)
    assert answer.status_code in (status, 404)
    assert b"ustar" not in answer.content


def test_answers_are_given_and_shown(house: House) -> None:
    path = f"/api/v1/projects/{house.desk.project.id}/dossier-answers"
    client = house.client("engineer")
    given = client.post(path, json={"answers": {"purpose": "<b>Summaries</b>"}})
    assert given.status_code == 200, given.text
    shown = {one["name"]: one["text"] for one in client.get(path).json()["questions"]}
    assert shown["purpose"] == "<b>Summaries</b>"
    assert shown["risks"] is None
    assert client.post(path, json={"answers": {"purpse": "x"}}).status_code in (404, 422)
    assert house.client("stranger").get(path).status_code in (403, 404)
