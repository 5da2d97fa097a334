"""The routes on fairness, from making pairs to what a run over them says."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from backend.services.curation import Recipe, freeze_training_set
from tests.backend.api.conftest import House
from tests.fixtures_fairness import build_office


@pytest.fixture
def office(house: House) -> dict[str, int]:
    """An office that only an admin sees; its run, its scores and a set."""
    with house.sessions.begin() as session:
        office = build_office(session)
        scored = office.score(office.answer(office.version), "exact_match")
        recipe = Recipe.model_validate({"references": {}, "dataset": "letters"})
        frozen = freeze_training_set(session, project_id=office.project.id, name="s", recipe=recipe)
        return {"project": office.project.id, "scores": scored.id, "set": frozen.id}


@pytest.fixture
def admin(house: House) -> TestClient:
    return house.client("admin")


def found(answer: Any) -> Any:
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def test_from_pairs_to_gaps(office: dict[str, int], admin: TestClient) -> None:
    path = f"/api/v1/projects/{office['project']}/counterfactuals"
    body = {"dataset": "letters", "kinds": ["gender"]}
    made = found(admin.post(path, json=body))
    assert (made["pairs"], made["n_examples"], made["split"]) == ({"gender": 40}, 120, "test")
    assert found(admin.get(path)) == [made]
    [base, v1] = found(admin.get(f"/api/v1/score-runs/{office['scores']}/parity?by=sex"))
    assert base["parities"][0]["said"] == "cannot be told"
    assert v1["parities"][0]["said"] == "apart"
    said = found(admin.get(f"/api/v1/training-sets/{office['set']}/mentions"))
    assert {m["group"]: m["rows"] for m in said["mentions"]}["female"] == 6
    kinds = {entry["kind"] for entry in found(admin.get("/api/v1/fairness-lists"))}
    assert kinds == {"name", "place", "gender", "words"}


@pytest.mark.parametrize(
    "body",
    [
        {"dataset": "letters", "kinds": ["hair"]},
        {"dataset": "letters", "kinds": []},
        {"dataset": "\x00"},
        {"dataset": "letters", "language": "fr"},
        {"dataset": "letters", "split": "<b>"},
        {"dataset": "letters", "lists": ["/etc/passwd"]},
        {"dataset": "nothing"},
        {},
    ],
)
@pytest.mark.deep
def test_pairs_that_are_refused(
    office: dict[str, int], admin: TestClient, body: dict[str, Any]
) -> None:
    answer = admin.post(f"/api/v1/projects/{office['project']}/counterfactuals", json=body)
    assert answer.status_code in (404, 422), answer.text
    assert answer.json()["detail"]


@pytest.mark.parametrize("query", ["", "by=", "by=hair", "by=sex&metrics=bleu", "by=sex&level=2"])
@pytest.mark.deep
def test_gaps_that_are_refused(office: dict[str, int], admin: TestClient, query: str) -> None:
    answer = admin.get(f"/api/v1/score-runs/{office['scores']}/parity?{query}")
    assert answer.status_code == 422, answer.text


def test_others_reach_none_of_it(office: dict[str, int], house: House) -> None:
    for person in ("engineer", "lead", "expert"):
        client = house.client(person)
        for path in (
            f"projects/{office['project']}/counterfactuals",
            f"score-runs/{office['scores']}/parity?by=sex",
            f"training-sets/{office['set']}/mentions",
        ):
            assert client.get(f"/api/v1/{path}").status_code in (403, 404)
