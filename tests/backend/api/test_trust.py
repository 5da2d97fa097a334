"""What a body names is checked against who asks: persons, files, code, other projects' things."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.services.projects import set_manifest
from backend.tables.curation import TrainingSet
from tests.backend.api.conftest import House

BAR = "name: bar\nlines: [{metric: exact_match, margin: 0.1}]"
PLAN: dict[str, Any] = {
    "adapter": "v9",
    "recipe": {"queues": ["q"]},
    "dataset": "tickets",
    "metrics": ["exact_match"],
}
FILE = str(Path(__file__).parents[3] / "backend/rubrics/library/blind_pair.yaml")
# Fields by which somebody else is asked to do something; each is looked up in the project.
MAY_NAME_PEOPLE = {"reviewers", "people", "reviewer"}
PERSONAL = ("user", "person", "people", "reviewer", "author", "owner", "signed", "signer", "lead")


@pytest.fixture
def barred(house: House) -> House:
    """A house whose project has a bar."""
    with house.sessions.begin() as session:
        set_manifest(session, house.desk.project.id, BAR)
    return house


def _fields(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield from _fields_of(document, f"{method} {path}", operation.get("requestBody", {}))


def _fields_of(document: dict[str, Any], where: str, node: Any) -> Iterator[tuple[str, str]]:
    stack, seen = [node], set()
    while stack:
        match stack.pop():
            case {"$ref": str(name)} if name not in seen:
                seen.add(name)
                stack.append(document["components"]["schemas"][name.rpartition("/")[2]])
            case dict() as found:
                yield from ((where, name) for name in found.get("properties", {}))
                stack += found.values()
            case list() as found:
                stack += found


def test_no_body_says_who_does_it(house: House) -> None:
    """A new field that names a person has to be looked at here."""
    named = {
        (where, name)
        for where, name in _fields(house.app.openapi())
        if (any(word in name for word in PERSONAL) or name.endswith(("_by", "_by_id", "by_id")))
        and name not in MAY_NAME_PEOPLE
    }
    assert named == set()


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"accepted_leaks": {"user_id": 1, "reason": "x"}}, 422, "wrong at accepted_leaks"),
        ({"started_by_id": 1}, 422, "wrong at started_by_id"),
        ({"metrics": ["evaluate:/tmp/evil"]}, 403, "may not use the metric"),
        ({"metrics": ["exact_match@a=b", "json_schema:/etc/passwd"]}, 403, "may not use"),
        ({"config": {"report_to": ["tensorboard", "wandb"]}}, 403, "loss sent to 'wandb'"),
        ({"config": {"report_to": "mlflow"}}, 403, "loss sent to 'mlflow'"),
        ({"review": {"reviewers": ["expert0-theirs"]}}, 422, "active person of this project"),
        ({"review": {"reviewers": ["nobody"]}}, 422, "active person of this project"),
        ({"review": {"reviewers": ["expert0-ours"], "rubric": FILE}}, 422, "no rubric named"),
    ],
)
def test_a_plan_is_checked_against_who_sends_it(
    barred: House, changes: dict[str, Any], status: int, said: str
) -> None:
    client = barred.client("engineer")
    path = f"/api/v1/projects/{barred.desk.project.id}/rounds"
    answer = client.post(path, json={"plan": {**PLAN, **changes}})
    assert (answer.status_code, said in answer.text) == (status, True), answer.text


@pytest.mark.parametrize("named", [["mlflow"], ["wandb"], "wandb"])
def test_a_request_has_the_loss_sent_nowhere(barred: House, named: object) -> None:
    client, project = barred.client("engineer"), barred.desk.project.id
    with barred.sessions.begin() as session:
        frozen = TrainingSet(project_id=project, name="s", recipe={}, digest="0" * 64, n_rows=0)
        session.add(frozen)
        session.flush()
        body = {"training_set_id": frozen.id, "adapter_name": "v9", "config": {"report_to": named}}
    answer = client.post(f"/api/v1/projects/{project}/training-runs", json=body)
    assert (answer.status_code, "loss sent to" in answer.text) == (403, True), answer.text


@pytest.mark.parametrize("metric", ["evaluate:/tmp/evil", "json_schema:/etc/passwd", "embedding:x"])
def test_metrics_are_checked_in_every_route(house: House, metric: str) -> None:
    client, project = house.client("engineer"), house.desk.project.id
    run = house.desk.run.id
    bar = f"name: b\nlines: [{{metric: '{metric}', threshold: 1}}]"
    recipe = {"queues": ["q"], "replays": [1], "fixed_when": {"metric": metric, "least": 1}}
    bodies: list[tuple[str, dict[str, Any]]] = [
        (f"generation-runs/{run}/score-runs", {"metrics": [metric]}),
        (f"projects/{project}/manifests", {"source": bar}),
        (f"projects/{project}/training-sets", {"name": "s", "recipe": recipe}),
    ]
    for path, body in bodies:
        answer = client.post(f"/api/v1/{path}", json=body)
        assert answer.status_code in (403, 422), (path, answer.text)


@pytest.mark.parametrize("name", ["expert0-theirs", "sam", "nobody-at-all"])
def test_a_reviewer_of_elsewhere_is_as_unknown_as_nobody(house: House, name: str) -> None:
    """The hint names people of the project alone, and is the same for whoever is meant."""
    client, project = house.client("engineer"), house.desk.project.id
    body: dict[str, Any] = {
        "name": "new",
        "generation_run_id": house.desk.run.id,
        "models": ["base"],
        "reviewers": [name],
    }
    people = {**body, "reviewers": [], "assignment": {"people": {"task=reply": name}}}
    for given in (body, people):
        for path in ("review-queues", "review-designs"):
            answer = client.post(f"/api/v1/projects/{project}/{path}", json=given)
            assert answer.status_code == 422
            told = answer.text.replace(name, "")
            assert "active person of this project" in told
            assert "theirs" not in told
            assert "sam" not in told


def test_a_rubric_is_text_or_a_name_and_no_file(house: House) -> None:
    project = house.desk.project.id
    body: dict[str, Any] = {
        "name": "new",
        "kind": "pair",
        "generation_run_id": house.desk.run.id,
        "models": ["base", "v1"],
        "reviewers": ["expert0-ours"],
    }
    path = f"/api/v1/projects/{project}/review-queues"
    for rubric in (FILE, "../library/blind_pair", "/etc/passwd"):
        answer = house.client("engineer").post(path, json={**body, "rubric": rubric})
        assert answer.status_code == 422, answer.text
        assert "root:" not in answer.text
