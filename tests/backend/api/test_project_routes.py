"""The engineer's routes: each makes or shows the real thing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from backend.api.routes.verdicts.served import get_served_promotion
from backend.schemas.turns import transcript
from backend.services.datasets.versions import import_dataset
from backend.services.models.adapter_files import project_artifacts
from backend.services.models.others import register_other_base
from backend.services.models.seen import see_base
from backend.services.models.serving import ServerAnswer, ServingReport
from backend.tables.datasets import Example
from backend.tables.queue import Job
from backend.tables.runs import Generation, GenerationRun, ScoreRun
from tests.backend.api.conftest import House
from tests.fixtures_models import tiny_adapter
from tests.fixtures_review import GOOD, make_rows, run_over, score_answers

BAR = """
name: bar
baseline: base
alpha: 0.05
lines:
  - {metric: exact_match, direction: higher, threshold: 0.5}
"""
ROWS = [
    {"id": f"r{n}", "input": f"question {n}", "reference": f"answer {n}", "group": f"g{n}"}
    for n in range(30)
]


@pytest.fixture
def path(house: House) -> str:
    return f"/api/v1/projects/{house.desk.project.id}"


def post(
    house: House, path: str, body: dict[str, Any], status: int = 201, *, by: str = "engineer"
) -> dict[str, Any]:
    answer = house.client(by).post(path, json=body)
    assert answer.status_code == status, answer.text
    made: dict[str, Any] = answer.json()
    return made


def get(house: House, path: str) -> Any:
    answer = house.client("engineer").get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "👍🏽 Who?"},
    {"role": "assistant", "content": "Zoë."},
    {"role": "user", "content": "When?"},
]


def said_in(shown: dict[str, Any]) -> list[dict[str, str]]:
    """The turns of an input as an answer of the API has them."""
    places = [(turn["role"], turn["start"], turn["end"]) for turn in shown["turns"]]
    return [{"role": role, "content": shown["input"][start:end]} for role, start, end in places]


def scored_run(house: House, split: str = "train") -> int:
    """A score run whose ledger is full: the first model copies the reference, the second errs."""
    with house.sessions.begin() as session:
        if split == "train":
            made = session.get_one(GenerationRun, house.desk.run.id)
            made.split = "train"
        else:
            rows = make_rows({split: 6})
            version = import_dataset(
                session, house.desk.project.id, split, rows, source_name="made here"
            )
            made = run_over(session, house.desk, version, split=split)
        query = select(Generation).where(Generation.run_id == made.id)
        for written in session.scalars(query):
            if written.model_version_id == house.desk.models[0].id:
                written.text = written.example.references[0]
        session.flush()
        return score_answers(session, made, "exact_match").id


def test_bar_is_set_and_a_change_is_a_version(house: House, path: str) -> None:
    first = post(house, f"{path}/manifests", {"source": BAR})
    same = post(house, f"{path}/manifests", {"source": BAR + "# a comment\n"})
    other = post(house, f"{path}/manifests", {"source": BAR.replace("0.5", "0.6")})
    assert [first["version"], same["version"], other["version"]] == [1, 1, 2]
    assert [row["version"] for row in get(house, f"{path}/manifests")] == [1, 2]


def test_dataset_is_imported_and_split_by_group(house: House, path: str) -> None:
    made = post(house, f"{path}/datasets", {"name": "faq", "rows": ROWS})
    assert made["n_examples"] == 30
    assert sum(split["examples"] for split in made["splits"].values()) == 30
    page = get(house, f"/api/v1/dataset-versions/{made['id']}/examples?split=train&limit=3")
    assert [item["split"] for item in page["items"]] == ["train"] * 3


def test_dataset_holds_the_conversations_that_were_sent(house: House, path: str) -> None:
    turns = [
        {"role": "system", "content": "You are a bank's desk."},
        {"role": "user", "content": "I lost my card."},
        {"role": "assistant", "content": "Debit or credit?"},
        {"role": "user", "content": "Debit."},
    ]
    answer = {"role": "assistant", "content": "It is blocked."}
    row = {"id": "t", "messages": [*turns, answer], "context": "Rules.", "split": "test"}
    made = post(house, f"{path}/datasets", {"name": "chats", "rows": [row]})
    [shown] = get(house, f"/api/v1/dataset-versions/{made['id']}/examples")["items"]
    assert (shown["messages"], shown["context"]) == (turns, "Rules.")
    assert shown["references"] == ["It is blocked."]
    assert shown["input"].endswith("Assistant: Debit or credit?\n\nUser: Debit.")
    bad = {**row, "messages": [*turns, {"role": "critic", "content": "x"}]}
    refused = post(house, f"{path}/datasets", {"name": "chats", "rows": [row, bad]}, 422)
    assert "row 2: messages has a turn of the role 'critic'" in refused["detail"]


def test_dataset_with_a_bad_row_is_refused_whole(house: House, path: str) -> None:
    rows = [*ROWS, {"id": "r0", "input": "again", "reference": "x"}]
    refused = post(house, f"{path}/datasets", {"name": "faq", "rows": rows}, 422)
    assert "r0" in refused["detail"]
    assert [row["name"] for row in get(house, f"{path}/datasets")] == ["tickets"]


def test_shares_of_a_split_are_kept_or_refused(house: House, path: str) -> None:
    rows = [{"id": str(i), "input": f"ticket {i * 7919}", "reference": "y"} for i in range(20)]
    body = {"name": "shared", "rows": rows, "shares": [0.5, 0.0, 0.5]}
    made = post(house, f"{path}/datasets", body)
    assert {name: one["examples"] for name, one in made["splits"].items()} == {
        "train": 10,
        "test": 10,
    }
    given = {**body, "rows": [{**row, "split": "test"} for row in rows]}
    assert "name their split" in post(house, f"{path}/datasets", given, 422)["detail"]
    odd = post(house, f"{path}/datasets", {**body, "shares": [70, 15, 15]}, 422)
    assert "do not sum to 1" in odd["detail"]


def test_run_is_laid_down_and_queued(house: House, path: str) -> None:
    body = {"dataset": "tickets", "split": "train", "models": ["base", "v1"], "engine": "local"}
    for name in ("fake", "locl"):
        refused = post(house, f"{path}/generation-runs", body | {"engine": name}, 422)
        assert "local" in refused["detail"] + str(refused.get("hint"))
    made = post(house, f"{path}/generation-runs", body | {"metrics": ["exact_match"]})
    assert [model["label"] for model in made["models"]] == ["base", "base:v1@1"]
    assert made["progress"] == {"done": 0, "total": 12, "failed": 0}
    assert made["job"]["state"] == "queued"
    with house.sessions() as session:
        job = session.scalars(select(Job)).one()
        [score_run] = session.scalars(select(ScoreRun)).all()
        assert job.arguments == {"then_score": [score_run.id]}
    assert get(house, f"{path}/jobs")[0]["kind"] == "generate"
    assert len(get(house, f"{path}/generation-runs")["items"]) == 2


def test_outputs_made_elsewhere_are_a_run_taken_once(house: House, path: str) -> None:
    rows = [{"id": f"train-{n}", "prediction": f"answer {n}"} for n in range(6)]
    body = {"dataset": "tickets", "split": "train", "rows": rows, "model": "vendor"}
    made = post(house, f"{path}/generation-runs/import", body | {"metrics": ["exact_match"]})
    assert (made["repeated"], made["outputs"]) == (False, len(rows))
    run = made["run"]
    assert [(m["label"], m["kind"]) for m in run["models"]] == [("vendor@1", "outputs")]
    assert (run["engine"], run["job"], run["progress"]["done"]) == ("import", None, len(rows))
    assert "not proved to be of a model" in run["provenance"][0]
    again = post(house, f"{path}/generation-runs/import", body | {"metrics": ["exact_match"]})
    assert (again["repeated"], again["run"]["id"]) == (True, run["id"])
    assert again["run"]["score_run_ids"] == run["score_run_ids"]
    kinds = {m["label"]: m["kind"] for m in get(house, f"{path}/model-versions")}
    assert kinds["vendor@1"] == "outputs"
    resumed = post(house, f"/api/v1/generation-runs/{run['id']}/resume", {}, 409)
    assert "was imported" in resumed["detail"]
    joined = {"rows": rows, "model": "vendor", "with_run": house.desk.run.id}
    with house.sessions.begin() as session:
        session.get_one(GenerationRun, house.desk.run.id).split = "train"
    beside = post(house, f"{path}/generation-runs/import", joined)
    assert [m["label"] for m in beside["run"]["models"]][-1] == "vendor@1"


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"rows": [{"id": "zz", "prediction": "x"}]}, 422),
        ({"rows": []}, 422),
        ({"rows": [{"id": "zz"}]}, 422),
        ({"rows": [{"id": "a\u0000", "prediction": "x"}]}, 422),
        ({"model": "base"}, 422),
        ({"dataset": "nothing"}, 404),
        ({"with_run": 99, "dataset": None}, 404),
        ({"metrics": ["rouje"]}, 422),
    ],
)
def test_outputs_that_do_not_fit_are_refused_whole(
    house: House, path: str, wrong: dict[str, Any], status: int
) -> None:
    rows = [{"id": "train-0", "prediction": "x"}]
    body = {"dataset": "tickets", "split": "train", "rows": rows, "model": "vendor"}
    answer = house.client("engineer").post(f"{path}/generation-runs/import", json=body | wrong)
    assert answer.status_code == status
    assert len(get(house, f"{path}/generation-runs")["items"]) == 1
    assert "vendor" not in {m["name"] for m in get(house, f"{path}/model-versions")}


@pytest.mark.parametrize(
    "wrong",
    [{"models": ["v9"]}, {"dataset": "nothing"}, {"split": "all"}, {"metrics": ["rouje"]}],
)
def test_run_that_cannot_be_is_refused(house: House, path: str, wrong: dict[str, Any]) -> None:
    body = {"dataset": "tickets", "split": "train", "models": ["base"]}
    answer = house.client("engineer").post(f"{path}/generation-runs", json=body | wrong)
    assert answer.status_code in {404, 422}
    with house.sessions() as session:
        assert session.scalars(select(Job)).all() == []


def test_score_run_is_queued(house: House) -> None:
    with house.sessions.begin() as session:
        session.get_one(GenerationRun, house.desk.run.id).split = "train"
    run_path = f"/api/v1/generation-runs/{house.desk.run.id}/score-runs"
    made = post(house, run_path, {"metrics": ["exact_match"]})
    assert made["job_state"] == "queued"
    assert [row["id"] for row in get(house, run_path)] == [made["id"]]


def test_figures_carry_n_interval_and_recipe(house: House) -> None:
    score_run_id = scored_run(house)
    base, v1 = get(house, f"/api/v1/score-runs/{score_run_id}")["figures"]
    assert (base["model"], base["value"], base["n"], base["failed"]) == ("base", 1.0, 6, 0)
    assert v1["value"] == 0.0
    assert base["low"] <= base["value"] <= base["high"]
    assert base["signature"].startswith("exact_match|")


def test_difference_is_paired(house: House) -> None:
    first, second = (model.id for model in house.desk.models)
    address = f"/api/v1/score-runs/{scored_run(house)}/differences"
    [pair] = get(house, f"{address}?baseline={first}&candidate={second}")
    assert (pair["value"], pair["wins"], pair["losses"], pair["n"]) == (-1.0, 0, 6, 6)
    assert (pair["baseline_model"], pair["candidate_model"]) == ("base", "base:v1@1")


def test_scores_stream_as_lines(house: House) -> None:
    score_run_id = scored_run(house)
    answer = house.client("engineer").get(f"/api/v1/score-runs/{score_run_id}/scores")
    assert answer.headers["content-type"].startswith("application/jsonl")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert len(lines) == 12
    assert {line["metric"] for line in lines} == {"exact_match"}
    detail = get(house, f"/api/v1/generations/{lines[0]['generation_id']}")
    assert detail["scores"][0]["value"] == lines[0]["value"]


def test_a_conversation_is_shown_as_turns_wherever_its_input_is(house: House, path: str) -> None:
    score_run_id = scored_run(house, "test")
    with house.sessions.begin() as session:
        for example in session.scalars(select(Example)):
            example.messages, example.input = TURNS, transcript(TURNS)
        run_id = session.get_one(ScoreRun, score_run_id).generation_run_id
        written = session.scalars(select(Generation).where(Generation.run_id == run_id)).all()
        address = f"/api/v1/dataset-versions/{written[0].example.dataset_version_id}/examples"
    post(house, f"{path}/manifests", {"source": BAR})
    asked = {"baseline": "v1", "candidate": "base", "score_run_id": score_run_id}
    judged = post(house, f"{path}/comparisons", asked)
    design = {"name": "talk", "kind": "single", "generation_run_id": run_id, "models": ["v1"]}
    design |= {"rubric": "telecom_desk", "reviewers": [house.users["expert"].name], "n_items": 2}
    places = [
        get(house, f"/api/v1/generations/{written[0].id}")["example"],
        get(house, address)["items"][0],
        get(house, f"/api/v1/comparisons/{judged['id']}/flips?limit=2")["examples"][0],
        post(house, f"{path}/review-designs", design, 200)["examples"][0],
    ]
    assert [said_in(place) for place in places] == [TURNS] * len(places)


def test_queue_is_opened_answered_shown_and_closed(house: House, path: str) -> None:
    names = [house.users["expert"].name]
    body = {
        "name": "second",
        "kind": "single",
        "generation_run_id": house.desk.run.id,
        "models": ["v1"],
        "rubric": "telecom_desk",
        "reviewers": names,
        "n_items": 2,
    }
    made = post(house, f"{path}/review-queues", body)
    assert (made["progress"]["total"], made["reviewers"][0]["submitted"]) == (2, 0)
    claim_path = f"/api/v1/review-queues/{made['id']}/claim"
    held = house.client("expert").post(claim_path).json()["claim"]
    house.client("expert").post(
        f"/api/v1/review-slots/{held['slot_id']}/submit",
        json={"version": held["version"], "answer": {"ratings": GOOD, "correction": "better"}},
    )
    [review] = get(house, f"/api/v1/review-queues/{made['id']}/reviews")["items"]
    assert (review["models"], review["correction"]) == (["base:v1@1"], "better")
    assert review["reviewer"] == house.users["expert"].pseudonym
    post(house, f"/api/v1/review-queues/{made['id']}/close", {}, 200)
    after = house.client("expert").post(claim_path).json()
    assert (after["claim"], after["reason"]) == (None, "closed")


def test_queue_over_a_foreign_run_is_refused(house: House, path: str) -> None:
    body = {
        "name": "x",
        "generation_run_id": house.foreign.run.id,
        "models": ["base"],
        "reviewers": [house.users["expert"].name],
    }
    refused = post(house, f"{path}/review-queues", body, 404)
    assert "no generation_run" in refused["detail"]


def test_rubric_is_never_a_path(house: House, path: str) -> None:
    body = {
        "name": "x",
        "generation_run_id": house.desk.run.id,
        "models": ["base"],
        "reviewers": [house.users["expert"].name],
        "rubric": "/etc/hostname",
    }
    refused = post(house, f"{path}/review-queues", body, 422)
    assert "rubric" in refused["detail"]


def test_training_set_is_frozen_and_exported(house: House, path: str) -> None:
    client = house.client("expert")
    held = client.post(f"/api/v1/review-queues/{house.queue_id}/claim").json()["claim"]
    client.post(
        f"/api/v1/review-slots/{held['slot_id']}/submit",
        json={"version": held["version"], "answer": {"ratings": GOOD, "correction": "as it was"}},
    )
    made = post(house, f"{path}/training-sets", {"name": "t", "recipe": {"queues": ["q"]}})
    assert made["n_rows"] >= 1
    address = f"/api/v1/training-sets/{made['id']}/export"
    answer = house.client("engineer").get(address, params={"format": "sft"})
    [line] = [json.loads(line) for line in answer.text.splitlines()]
    assert line["completion"] == [{"role": "assistant", "content": "as it was"}]
    assert 'filename="training-set' in answer.headers["content-disposition"]
    unknown = house.client("engineer").get(address, params={"format": "sftt"})
    assert unknown.json()["hint"].startswith("Known, nearest first: sft")


def test_training_without_a_bar_is_refused(house: House, path: str) -> None:
    with house.sessions.begin() as session:
        from backend.tables.curation import TrainingSet

        frozen = TrainingSet(
            project_id=house.desk.project.id, name="t", recipe={}, digest="0" * 64, n_rows=1
        )
        session.add(frozen)
        session.flush()
        set_id = frozen.id
    body = {"training_set_id": set_id, "adapter_name": "v2"}
    refused = post(house, f"{path}/training-runs", body, 409)
    assert "manifest" in refused["detail"]
    post(house, f"{path}/manifests", {"source": BAR})
    unknown = post(house, f"{path}/training-runs", body | {"start": "v7"}, 404)
    assert "no model 'v7'" in unknown["detail"]


def test_candidate_is_judged_promoted_and_rolled_back(house: House, path: str) -> None:
    score_run_id = scored_run(house)
    post(house, f"{path}/manifests", {"source": BAR})
    asked = {"baseline": "v1", "candidate": "base"}
    held_out = post(house, f"{path}/comparisons", asked, 404)
    assert "held-out" in held_out["detail"]
    trained_on = post(house, f"{path}/comparisons", asked | {"score_run_id": score_run_id}, 422)
    assert "is on the train split" in trained_on["detail"]
    on_pairs = asked | {"review_queue_id": house.pair_queue_id}
    score_run_id = scored_run(house, "test")
    trained_on = post(house, f"{path}/comparisons", on_pairs, 422)
    assert "the queue 'pairs' is on the train split" in trained_on["detail"]
    judged = post(house, f"{path}/comparisons", asked | {"score_run_id": score_run_id})
    assert judged["n_simulated"] == 0
    assert judged["lines"][0]["evidence"]["n"] == 6
    assert judged["preflight"]["verdict"] == "INCONCLUSIVE"
    body = {"comparison_id": judged["id"], "override": "tried here"}
    post(house, f"{path}/promotions", body, 403)
    post(house, f"{path}/promotions", body | {"override": None}, 409, by="lead")
    promoted = post(house, f"{path}/promotions", body, by="lead")
    assert (promoted["action"], promoted["model"]) == ("promoted", "base")
    assert promoted["override"] == "tried here"
    assert "No server is configured" in promoted["evidence"]["served"]
    models = get(house, f"{path}/model-versions")
    assert {model["label"]: model["aliases"] for model in models} == {
        "base": ["champion"],
        "base:v1@1": [],
    }
    back = {"action": "rollback", "reason": "worse"}
    refused = post(house, f"{path}/promotions", back, 409, by="lead")
    assert "no model before" in refused["detail"]
    (listed,) = get(house, f"{path}/promotions")
    assert listed["override"] == "tried here"


def test_a_comparison_is_shown_in_full(house: House, path: str) -> None:
    score_run_id = scored_run(house, "test")
    post(house, f"{path}/manifests", {"source": BAR})
    asked = {"baseline": "v1", "candidate": "base", "score_run_id": score_run_id}
    judged = post(house, f"{path}/comparisons", asked)
    address = f"/api/v1/comparisons/{judged['id']}"
    full = get(house, address)
    assert full["lines"] == judged["lines"]
    assert full["bar"]["changed"] is None
    assert {d["metric"] for d in full["differences"]} == {"exact_match"}
    assert [d["metric"] for d in full["usage"]] == ["prompt_tokens", "tokens", "latency"]
    flips = get(house, f"{address}/flips?limit=2")
    assert (flips["better"], flips["worse"], flips["n"], len(flips["examples"])) == (6, 0, 6, 2)
    assert all(one["low"] is not None for one in get(house, f"{address}/slices"))
    unknown = house.client("engineer").get(f"{address}/flips?metric=rougeL")
    assert (unknown.status_code, unknown.json()["hint"]) == (422, "Scored: exact_match.")


def test_a_server_that_is_down_stops_a_promotion(house: House, path: str) -> None:
    """The alias has not moved, and a lead may say why it should all the same."""
    score_run_id = scored_run(house, "test")
    post(house, f"{path}/manifests", {"source": BAR})
    asked = {"baseline": "v1", "candidate": "base", "score_run_id": score_run_id}
    judged = post(house, f"{path}/comparisons", asked)
    house.app.dependency_overrides[get_served_promotion] = lambda: ServingReport(
        (ServerAnswer("http://a", False, "does not answer"),)
    )
    try:
        body = {"comparison_id": judged["id"], "override": "tried here"}
        refused = post(house, f"{path}/promotions", body, 409, by="lead")
        assert "The alias stays" in refused["detail"]
        assert get(house, f"{path}/promotions") == []
        allowed = post(
            house, f"{path}/promotions", body | {"allow_unserved": "it restarts"}, by="lead"
        )
    finally:
        house.app.dependency_overrides.clear()
    assert allowed["evidence"]["unserved"] == "it restarts"


def test_promotion_on_foreign_evidence_is_refused(house: House, path: str) -> None:
    post(house, f"{path}/promotions", {"comparison_id": 999}, 404, by="lead")


def test_a_model_served_elsewhere_is_registered_and_run_without_naming_its_engine(
    house: House, path: str
) -> None:
    made = post(house, f"{path}/served-models", {"name": "gpt", "served_as": "gpt-4o"})
    assert (made["label"], made["kind"], made["base_sha256"]) == ("gpt@1", "served", "")
    assert get(house, f"{path}/model-versions")[-1]["base_model"] == "gpt-4o"
    post(house, f"{path}/served-models", {"name": "v1", "served_as": "gpt-4o"}, 422)
    asked = {"dataset": "tickets", "split": "train", "models": ["base", "gpt"]}
    post(house, f"{path}/generation-runs", asked)
    refused = post(house, f"{path}/generation-runs", {**asked, "engine": "openai"}, 422)
    assert "only asks models that are served elsewhere" in refused["detail"]


def test_an_adapter_is_registered_on_the_base_that_is_named(
    house: House, path: str, tiny_base: Path
) -> None:
    serving, project_id = house.app.state.serving, house.desk.project.id
    with serving.writing.begin() as session:
        place, seen = str(tiny_base), see_base(str(tiny_base))
        large = register_other_base(session, project_id, "large", place, seen=seen).id
    tiny_adapter(project_artifacts(serving.settings, project_id) / "v3", tiny_base)
    body = {"name": "v3", "path": "v3", "base": "large"}
    made = post(house, f"{path}/model-versions", body)
    assert (made["label"], made["base_id"]) == ("large:v3@1", large)
    post(house, f"{path}/model-versions", {**body, "base": "huge"}, 404)
    refused = post(house, f"{path}/model-versions", {**body, "base": "v1"}, 422)
    assert "base:v1@1 is no base" in refused["detail"]


@pytest.mark.parametrize("given", ["/etc", "..", "../project-99/v1", "../v1", "{root}/v1", "v1"])
def test_adapter_outside_the_projects_own_folder_is_refused(
    house: House, path: str, given: str
) -> None:
    """The refusal does not say where the server keeps its files."""
    root = house.app.state.serving.settings.artifacts
    (root / "v1").mkdir(parents=True, exist_ok=True)
    body = {"name": "v7", "path": given.format(root=root)}
    answer = house.client("engineer").post(f"{path}/model-versions", json=body)
    assert answer.status_code in {403, 422}
    assert str(root) not in answer.text.replace(body["path"], "")
    assert len(get(house, f"{path}/model-versions")) == 2
