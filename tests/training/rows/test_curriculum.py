"""Weights reach the loss, and a curriculum is the order in which rows are shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from training.assemble import build_trainer, load_tokenizer
from training.config import TrainingConfig, load_config
from training.methods import METHODS
from training.rows.curriculum import mean_one_weights
from training.rows.data import DataError, TokenRow, read_rows
from training.rows.encode import Encoded


def row(answer: str, **extra: Any) -> dict[str, Any]:
    return {
        "prompt": [{"role": "user", "content": "Ticket"}],
        "completion": [{"role": "assistant", "content": answer}],
        **extra,
    }


def write_rows(folder: Path, rows: list[dict[str, Any]]) -> Path:
    file = folder / "train.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    return file


def configure(folder: Path, base: Path, rows: list[dict[str, Any]]) -> TrainingConfig:
    values = {
        "base_model": str(base),
        "train_file": str(write_rows(folder, rows)),
        "output_dir": str(folder / "v1"),
        "manifest_digest": "5" * 64,
        "lora": {"rank": 4, "alpha": 8, "dropout": 0.1},
        "batch_size": 2,
        "threads": 1,
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(values))
    return load_config(folder / "run.yaml")


def build(folder: Path, base: Path, rows: list[dict[str, Any]]) -> tuple[Any, Encoded]:
    config = configure(folder, base, rows)
    tokenizer = load_tokenizer(base)
    encoded = METHODS[config.method].encode(config, read_rows(config.train_file), tokenizer)
    return build_trainer(config, base, tokenizer, train=encoded, validation=None), encoded


def shown(trainer: Any) -> list[list[int]]:
    """The token ids of an epoch's rows, in the order in which the trainer shows them."""
    trainer.model.eval()
    return [
        ids[: int(mask.sum())].tolist()
        for batch in trainer.get_train_dataloader()
        for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)
    ]


def loss_of(trainer: Any, records: list[dict[str, Any]]) -> float:
    trainer.model.eval()
    return float(trainer.compute_loss(trainer.model, trainer.data_collator(records)).item())


def test_that_the_mean_token_weighs_one() -> None:
    rows = [TokenRow([1] * 4, [-100, 1, 1, 1], 0.5), TokenRow([1] * 2, [-100, 1], 1.0)]
    first, second = mean_one_weights(rows)
    assert first is not None
    assert second is not None
    assert second == pytest.approx(2 * first)
    assert 3 * first + second == pytest.approx(4)


def test_that_equal_weights_are_none() -> None:
    rows = [TokenRow([1, 1], [-100, 1], 0.5)] * 3
    assert mean_one_weights(rows) == [None, None, None]


def test_that_a_weight_multiplies_the_loss_of_its_row(tmp_path: Path, tiny_base: Path) -> None:
    answers = ["blue", "red and green"]
    rows = [row(a, weight=w) for a, w in zip(answers, (0.25, 1.0), strict=True)]
    trainer, encoded = build(tmp_path, tiny_base, rows)
    plain = [{k: r[k] for k in ("input_ids", "labels")} for r in encoded.records]
    tokens = [sum(label != -100 for label in r["labels"]) for r in plain]
    sums = [loss_of(trainer, [r]) * n for r, n in zip(plain, tokens, strict=True)]
    weights = [r["weight"] for r in encoded.records]
    expected = sum(w * s for w, s in zip(weights, sums, strict=True)) / sum(tokens)
    assert loss_of(trainer, encoded.records) == pytest.approx(expected, rel=1e-5)
    assert expected != pytest.approx(loss_of(trainer, plain), rel=1e-4)


def test_that_the_weight_is_in_the_batches_of_training(tmp_path: Path, tiny_base: Path) -> None:
    trainer, _ = build(tmp_path, tiny_base, [row("a", weight=0.5), row("b", weight=1.0)])
    batch = next(iter(trainer.get_train_dataloader()))
    assert sorted(batch["weight"].tolist()) == pytest.approx([2 / 3, 4 / 3])


def test_that_given_places_are_kept_in_every_epoch(tmp_path: Path, tiny_base: Path) -> None:
    order = [3, 0, 4, 1, 2]
    trainer, encoded = build(tmp_path, tiny_base, [row("x" * (n + 1), order=n) for n in order])
    lengths = [len(ids) for ids in shown(trainer)]
    assert lengths == sorted(len(record["input_ids"]) for record in encoded.records)
    assert [len(ids) for ids in shown(trainer)] == lengths


def test_that_easy_rows_come_before_hard_ones(tmp_path: Path, tiny_base: Path) -> None:
    answers = ["blue blue blue", "q", "Zebra! 42 %", "aaaa", "the answer is no"]
    trainer, encoded = build(tmp_path, tiny_base, [row(a, order="loss") for a in answers])
    plain = [{k: r[k] for k in ("input_ids", "labels")} for r in encoded.records]
    losses = {tuple(r["input_ids"]): loss_of(trainer, [r]) for r in plain}
    found = [losses[tuple(ids)] for ids in shown(trainer)]
    assert found == sorted(found)
    assert len(set(found)) == len(answers)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row("a", weight=0)], "line 1: the weight is no number above 0"),
        ([row("a", weight="heavy")], "the weight is no number"),
        ([row("a", weight=True)], "the weight is no number"),
        ([row("a", order=1.5)], "the order is neither a place nor 'loss'"),
        ([row("a", order="length")], "the order is neither"),
        ([row("a", weight=1.0), row("b")], "'weight' is not given alike in all rows"),
        ([row("a", order=1), row("b", order="loss")], "'order' is not given alike"),
    ],
)
def test_that_a_wrong_weight_or_order_is_named(
    tmp_path: Path, rows: list[dict[str, Any]], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        read_rows(write_rows(tmp_path, rows))
