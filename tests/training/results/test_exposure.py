"""What a training remembers of canaries: repeated ones, and not those that were never planted."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures_models import write_chat_rows
from tests.fixtures_training import train_and_read, write_small_config
from training.assemble import load_tokenizer
from training.config import Canaries, ConfigError, TrainingConfig, parse_config, recipe_sha256
from training.results.card import render_card
from training.results.exposure import (
    BY_CHANCE,
    encode_sequences,
    exposure_lines,
    mean_exposure,
)
from training.rows.canaries import as_row, draw_canaries, draw_references, plant
from training.rows.data import BY_LOSS, ChatRow, encode_rows
from training.rows.preferences import LabelRow, PreferencePairRow

ASK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who?"}]
SAY = [{"role": "assistant", "content": "Eva."}]


def test_canaries_are_of_the_seed_alone_and_controls_are_never_planted() -> None:
    asked = Canaries(count=6, repeats=(1, 5), seed=3)
    drawn = draw_canaries(asked)
    assert drawn == draw_canaries(asked)
    assert drawn != draw_canaries(Canaries(count=6, repeats=(1, 5), seed=4))
    assert [one.repeats for one in drawn] == [1, 5, 1, 5, 1, 5] + [0] * 6
    assert len({one.question for one in drawn}) == 12
    assert all(len(one.secret.split()) == 8 for one in drawn)
    others = draw_references(asked, drawn[0])
    assert len(others) == 255
    assert drawn[0].secret not in {one.secret for one in others}
    assert {one.question for one in others} == {drawn[0].question}


@pytest.mark.parametrize(
    "row",
    [
        ChatRow(1, ASK, SAY, weight=0.5, order=BY_LOSS),
        PreferencePairRow(1, ASK, SAY, [{"role": "assistant", "content": "No."}]),
        LabelRow(1, ASK, SAY, True),
        "A document of some words.",
    ],
)
def test_they_are_planted_in_the_form_of_the_rows(row: Any) -> None:
    asked = Canaries(count=2, repeats=(1, 3))
    rows = plant(asked, [row])
    assert rows[0] == row
    assert len(rows) == 1 + 1 + 3
    assert {type(one) for one in rows} == {type(row)}
    if not isinstance(row, str):
        assert all(one.prompt[0] == ASK[0] for one in rows)
        assert len({one.number for one in rows}) == 5
    if isinstance(row, ChatRow):
        assert {(one.weight, one.order) for one in rows} == {(0.5, BY_LOSS)}
    assert plant(None, [row]) == [row]


@pytest.mark.parametrize(
    ("ranks", "value"),
    [([1.0], 8.0), ([256.0], 0.0), ([128.0, 128.0], 1.0), ([1.0, 256.0], 4.0)],
)
def test_exposure_is_log2_of_the_share_that_is_likelier(ranks: list[float], value: float) -> None:
    found = mean_exposure(ranks, references=255, length=8)
    assert found.value == pytest.approx(value)
    assert found.low <= found.value <= found.high
    assert (found.n, found.most) == (len(ranks), 8.0)
    assert found.possible == pytest.approx(8 * math.log2(10))


def test_what_is_all_remembered_has_an_interval_that_reaches_to_all_that_is_possible() -> None:
    found = mean_exposure([1.0] * 8, references=255, length=8)
    assert 5.5 < found.low < 8.0
    assert found.high == found.possible


def test_of_no_rank_there_is_no_mean() -> None:
    with pytest.raises(ValueError, match="no canary"):
        mean_exposure([], references=255, length=8)


def test_the_interval_holds_what_chance_gives_about_as_often_as_it_says() -> None:
    import random

    chance = random.Random(5)
    held = 0
    for _ in range(300):
        ranks = [float(chance.randint(1, 256)) for _ in range(8)]
        found = mean_exposure(ranks, references=255, length=8)
        held += found.low <= BY_CHANCE <= found.high
    assert held / 300 > 0.9


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": 0},
        {"repeats": []},
        {"repeats": [0]},
        {"references": 3},
        {"length": 2},
        {"lenght": 8},
    ],
)
def test_what_cannot_be_planted_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        parse_config(
            {
                "base_model": "b",
                "train_file": "t",
                "output_dir": "o",
                "manifest_digest": "5" * 64,
                "canaries": wrong,
            }
        )


def test_without_canaries_the_recipe_is_what_it_was_before_there_were_any() -> None:
    values: dict[str, Any] = {
        "base_model": "b",
        "train_file": "t",
        "output_dir": "o",
        "manifest_digest": "5" * 64,
    }
    plain = TrainingConfig.model_validate(values)
    planted = TrainingConfig.model_validate({**values, "canaries": {"count": 2}})
    dumped = plain.model_dump(mode="json")
    assert dumped.pop("canaries") is None
    assert recipe_sha256(plain, {}) != recipe_sha256(planted, {})


def test_sequences_are_encoded_as_rows_of_training_are(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    asked = Canaries(count=1, references=31)
    (canary, _) = draw_canaries(asked)
    sequences = [canary, *draw_references(asked, canary)]
    like = ChatRow(1, ASK[1:], SAY)
    rows = [as_row(one, like, n, asked) for n, one in enumerate(sequences, start=1)]
    known, _ = encode_rows(rows, tokenizer, max_length=200, truncate=False, completion_only=True)
    assert encode_sequences(sequences, tokenizer, like=like) == known


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> dict[str, Any]:
    """A training with canaries planted once and forty times."""
    folder = tmp_path_factory.mktemp("canaries")
    values = {
        "train_file": str(write_chat_rows(folder / "train.jsonl", 8)),
        "epochs": 2,
        "canaries": {"count": 4, "repeats": [1, 40], "references": 63},
        "weights": "full",
        "lora": {},
        "learning_rate": 0.01,
        "measure_forgetting": False,
    }
    return train_and_read(write_small_config(folder, tiny_base, values))


def test_what_is_repeated_is_remembered_and_controls_are_not(result: dict[str, Any]) -> None:
    found = result["canaries"]
    assert found["rows"] == 2 * 1 + 2 * 40
    repeated, controls = found["planted 40"]["after"], found["controls"]["after"]
    assert repeated["value"] > 4.0
    assert repeated["low"] > controls["value"]
    assert controls["value"] < 3.0
    assert controls["written"] == 0
    assert found["planted 40"]["before"]["value"] < 3.5


@pytest.mark.deep
def test_the_demo_base_remembers_what_is_repeated_and_not_what_stands_once(tmp_path: Path) -> None:
    """Of 8 canaries in 64 rows: 4 planted 24 times, 4 once, beside 8 that never were."""
    base = Path(__file__).parents[3] / "training" / "demo" / "base"
    values = {
        "train_file": str(write_chat_rows(tmp_path / "train.jsonl", 64)),
        "epochs": 2,
        "learning_rate": 0.002,
        "batch_size": 8,
        "max_length": 128,
        "lora": {"rank": 16, "alpha": 32, "dropout": 0.0},
        "canaries": {"count": 8, "repeats": [1, 24], "references": 63},
        "measure_forgetting": False,
    }
    found = train_and_read(write_small_config(tmp_path, base, values))["canaries"]
    repeated, once, controls = (
        found[name]["after"] for name in ("planted 24", "planted 1", "controls")
    )
    assert (repeated["value"], repeated["written"]) == (6.0, 4)
    assert (once["written"], controls["written"]) == (0, 0)
    assert repeated["low"] > max(once["value"], controls["value"])
    assert once["low"] < BY_CHANCE < once["high"]
    assert controls["low"] < BY_CHANCE < controls["high"]


def test_the_record_says_it_and_holds_no_sequence(result: dict[str, Any]) -> None:
    lines = exposure_lines(result)
    assert len(lines) == 4
    assert "planted 40 times: exposure" in "".join(lines)
    assert "What it remembers" in render_card(result)
    text = json.dumps(result)
    assert all(one.secret not in text for one in draw_canaries(Canaries(count=4, repeats=(1, 40))))
    assert exposure_lines({}) == []
