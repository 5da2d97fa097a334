"""What a training made its model lose: measured on untouched text, before and after."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.fixtures_models import write_chat_rows
from tests.fixtures_training import train_and_read, write_small_config
from training.assemble import load_tokenizer
from training.results.card import render_card
from training.results.forgetting import (
    describe_forgetting,
    forgetting_lines,
    measure,
    untouched_texts,
)
from training.results.general import GENERAL
from training.results.intervals import RowLoss


def rows(*losses: float) -> list[RowLoss]:
    return [RowLoss(None, loss, 10) for loss in losses]


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (rows(21, 32, 43, 54), "+0.250"),
        (rows(21, 31, 41, 51), "whether it has forgotten any cannot be told"),
        (rows(22, 33, 42, 53), "it has forgotten some of it"),
        (rows(18, 28, 37, 48), "it has become better at it"),
        (rows(22, 28, 42, 38), "no forgetting is shown"),
        (rows(20, 30, math.nan, 40), "Not measured on general text: a loss is not finite."),
    ],
)
def test_the_change_is_judged_by_its_interval(after: list[RowLoss], said: str) -> None:
    before = {"general": rows(20, 30, 40, 50)}
    found = describe_forgetting({"general": []}, before, {"general": after}, seed=0)
    assert said in forgetting_lines({"forgetting": found})[0]


def test_a_record_of_before_says_nothing() -> None:
    assert forgetting_lines({}) == []


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> dict[str, Any]:
    """Three trainings: measured, not measured, and one that goes on from the first."""
    found = {}
    first = tmp_path_factory.mktemp("first")
    ways: dict[str, dict[str, Any]] = {
        "measured": {"measure_forgetting": True},
        "not measured": {},
        "continued": {"measure_forgetting": True, "start_from": str(first / "v1")},
    }
    for name, changes in ways.items():
        folder = first if name == "measured" else tmp_path_factory.mktemp("other")
        given = {
            "train_file": str(write_chat_rows(folder / "train.jsonl", 16)),
            "earlier_file": str(write_chat_rows(folder / "earlier.jsonl", 6)),
            "epochs": 2,
            "lora": {"rank": 4, "alpha": 8, "dropout": 0.1},
        }
        found[name] = train_and_read(write_small_config(folder, tiny_base, given | changes))
        found[name]["folder"] = folder
    return found


def test_every_training_says_what_it_lost_and_where(results: dict[str, Any]) -> None:
    found = results["measured"]["forgetting"]
    assert set(found) == {"general", "earlier"}
    assert found["general"]["change"]["n"] == len(GENERAL)
    assert found["earlier"]["change"]["n"] == 6
    for one in found.values():
        assert one["change"]["value"] == pytest.approx(
            one["after"]["value"] - one["before"]["value"]
        )
    card = render_card(results["measured"])
    assert "## Forgetting\n\n- Loss on general text " in card


def test_measuring_changes_no_training(results: dict[str, Any]) -> None:
    assert results["not measured"]["forgetting"] == {}
    digests = {results[name]["adapter_sha256"] for name in ("measured", "not measured")}
    assert len(digests) == 1


def test_before_is_where_the_training_began(results: dict[str, Any]) -> None:
    first, then = (results[name]["forgetting"]["earlier"] for name in ("measured", "continued"))
    assert then["before"]["value"] == pytest.approx(first["after"]["value"], rel=1e-5)
    assert first["after"]["value"] != first["before"]["value"]


def test_the_loss_is_that_of_the_answers_tokens(tiny_base: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    tokenizer = load_tokenizer(tiny_base)
    model = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32).train()
    texts = untouched_texts(write_chat_rows(tmp_path / "e.jsonl", 3), tokenizer, longest=64)
    found = measure(model, texts)["earlier"]
    assert model.training
    for row, one in zip(texts["earlier"], found, strict=True):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row.input_ids])).logits[0].log_softmax(-1)
        taught = [(at, label) for at, label in enumerate(row.labels) if label != -100]
        assert one.count == len(taught)
        assert one.loss == pytest.approx(
            -sum(float(logits[at - 1, t]) for at, t in taught), rel=1e-4
        )


def test_without_rows_the_reason_stands_in_their_place(tiny_base: Path, tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").touch()
    texts = untouched_texts(tmp_path / "none.jsonl", load_tokenizer(tiny_base), longest=64)
    found = json.loads(
        json.dumps(
            describe_forgetting(texts, {"general": rows(1, 2)}, {"general": rows(1, 3)}, seed=0)
        )
    )
    assert found["earlier"] == {"reason": "no validation split has references"}
    assert forgetting_lines({"forgetting": found})[1].endswith(
        "no validation split has references."
    )
