"""Packing: which rows share one, that none is cut, and that none sees its neighbours."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures_models import write_chat_rows
from training.assemble import build_trainer, load_tokenizer
from training.config import parse_config
from training.methods import METHODS
from training.rows.data import DataError, DataReport, read_rows
from training.rows.encode import Encoded, fill_bins, pack

REPORT = DataReport(rows=2, tokens=4, trained_tokens=4, longest=2, cut=0, dropped=0)


@pytest.mark.parametrize(
    ("lengths", "bins"),
    [
        ([5, 2, 3, 1], [[0], [2, 1], [3]]),
        ([4, 3, 2, 1], [[0, 3], [1, 2]]),
        ([1, 1, 1], [[0, 1, 2]]),
        ([5], [[0]]),
    ],
)
def test_rows_fill_the_fullest_row_with_room(lengths: list[int], bins: list[list[int]]) -> None:
    assert fill_bins(lengths, 5) == bins


@given(st.lists(st.integers(1, 50), min_size=1), st.integers(50, 80))
def test_every_row_is_in_one_bin_and_no_bin_overflows(lengths: list[int], size: int) -> None:
    bins = fill_bins(lengths, size)
    assert sorted(row for rows in bins for row in rows) == list(range(len(lengths)))
    assert all(sum(lengths[row] for row in rows) <= size for rows in bins)


def test_rows_with_a_weight_are_refused() -> None:
    rows = [{"input_ids": [1, 2], "labels": [1, 2], "weight": 0.5} for _ in range(2)]
    with pytest.raises(DataError, match="cannot be combined with rows that have a weight"):
        pack(Encoded(rows, [2, 2], REPORT), max_length=8)


def test_a_packed_batch_has_the_loss_of_its_rows_apart(tmp_path: Path, tiny_base: Path) -> None:
    import torch

    values = {
        "base_model": str(tiny_base),
        "train_file": str(write_chat_rows(tmp_path / "train.jsonl", 12)),
        "output_dir": str(tmp_path / "v1"),
        "manifest_digest": "5" * 64,
        "batch_size": 2,
        "max_length": 128,
        "lora": {"dropout": 0.0},
    }
    losses = {}
    for packing in (True, False):
        config = parse_config({**values, "packing": packing})
        tokenizer = load_tokenizer(tiny_base)
        rows = METHODS[config.method].encode(config, read_rows(config.train_file), tokenizer)
        rows = pack(rows, max_length=128) if packing else rows
        trainer = build_trainer(config, tiny_base, tokenizer, train=rows, validation=None)
        assert trainer.args.packing is packing
        with torch.no_grad():
            batch = trainer.data_collator(rows.records)
            losses[packing] = trainer.compute_loss(trainer.model, batch).item()
        assert len(rows.records) == (3 if packing else 12)
    assert losses[True] == pytest.approx(losses[False], rel=1e-5)
