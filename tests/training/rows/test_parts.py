"""A batch in parts: every row once, less padding, and the loss and gradients of the whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.assemble import build_trainer, load_tokenizer
from training.config import TrainingConfig
from training.methods import METHODS
from training.rows.data import read_rows
from training.rows.encode import part_batch, part_bounds

ANSWERS = ["no", "blue " * 40, "yes", "red and green " * 20, "maybe", "a"]


@pytest.mark.parametrize(
    ("lengths", "bounds"),
    [
        ([], []),
        ([7], [(0, 1)]),
        ([100, 100, 100], [(0, 3)]),
        ([10, 12, 300], [(0, 2), (2, 3)]),
        ([10, 20, 30], [(0, 3)]),  # more passes would cost more than the padding
        ([10, 200, 1000], [(0, 1), (1, 2), (2, 3)]),
    ],
)
def test_parts_are_cut_where_that_saves_work(
    lengths: list[int], bounds: list[tuple[int, int]]
) -> None:
    assert part_bounds(lengths) == bounds


@given(st.lists(st.integers(1, 900), min_size=1, max_size=32).map(sorted))
def test_parts_follow_each_other_and_pad_no_more_than_the_whole(lengths: list[int]) -> None:
    bounds = part_bounds(lengths)
    assert [start for start, _ in bounds] == [0, *(end for _, end in bounds[:-1])]
    assert bounds[-1][1] == len(lengths)
    padded = sum((end - start) * lengths[end - 1] for start, end in bounds)
    assert sum(lengths) <= padded <= len(lengths) * lengths[-1]


def test_a_part_keeps_its_rows_whole() -> None:
    lengths = [300, 2, 301, 3]
    mask = torch.tensor([[1] * n + [0] * (301 - n) for n in lengths])
    ids = torch.arange(4 * 301).view(4, 301) * mask
    batch = {"input_ids": ids, "attention_mask": mask, "weight": torch.tensor([1.0, 2, 3, 4])}
    parts = part_batch(batch)
    assert [part["input_ids"].shape for part in parts] == [(2, 3), (2, 301)]
    assert [part["weight"].tolist() for part in parts] == [[2, 4], [1, 3]]
    assert sum(int(part["input_ids"].sum()) for part in parts) == int(ids.sum())


def build(folder: Path, base: Path, **row: float) -> Any:
    file = folder / "train.jsonl"
    user = [{"role": "user", "content": "Ticket"}]
    rows = [
        {"prompt": user, "completion": [{"role": "assistant", "content": answer}]}
        | {name: value * (place + 1) for name, value in row.items()}
        for place, answer in enumerate(ANSWERS)
    ]
    file.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    config = TrainingConfig.model_validate(
        {
            "base_model": str(base),
            "train_file": str(file),
            "output_dir": str(folder / "v1"),
            "manifest_digest": "5" * 64,
            "lora": {"rank": 4, "alpha": 8, "dropout": 0.0},
            "batch_size": len(ANSWERS),
            "threads": 1,
        }
    )
    tokenizer = load_tokenizer(base)
    encoded = METHODS[config.method].encode(config, read_rows(file), tokenizer)
    return build_trainer(config, base, tokenizer, train=encoded, validation=None)


def step(trainer: Any, **how: bool) -> tuple[float, list[torch.Tensor], list[int]]:
    """Loss and gradients of the first batch, and the tokens of each pass through the model."""
    for name, value in ({"in_parts": False, "end_to_end": False} | how).items():
        setattr(trainer, name, value)
    trainer.model.zero_grad()
    passes: list[int] = []
    hook = trainer.model.register_forward_pre_hook(
        lambda _, __, told: passes.append(told["input_ids"].numel()), with_kwargs=True
    )
    batch = next(iter(trainer.get_train_dataloader()))
    count = (batch["labels"][:, 1:] != -100).sum()
    loss = trainer.training_step(trainer.model, batch, count)
    hook.remove()
    trained = [p.grad.clone() for p in trainer.model.parameters() if p.requires_grad]
    return float(loss), trained, passes


@pytest.mark.parametrize("row", [{}, {"weight": 0.1}], ids=["plain", "weighted"])
def test_loss_and_gradients_are_those_of_the_padded_batch(
    row: dict[str, float], tmp_path: Path, tiny_base: Path
) -> None:
    trainer = build(tmp_path, tiny_base, **row)
    assert trainer.end_to_end
    real = sum(len(ids) for ids in trainer.train_dataset["input_ids"])
    loss, gradients, padded = step(trainer)
    assert any(float(gradient.abs().max()) > 0 for gradient in gradients)
    assert len(padded) == 1
    assert padded[0] > 2 * real
    for how, most in (("in_parts", 1.2 * real), ("end_to_end", real + 31)):
        same_loss, same_gradients, passes = step(trainer, **{how: True})
        assert real <= sum(passes) <= most
        assert same_loss == pytest.approx(loss, rel=1e-5)
        for ours, whole in zip(same_gradients, gradients, strict=True):
            torch.testing.assert_close(ours, whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("row", [{}, {"weight": 0.1}], ids=["plain", "weighted"])
def test_many_passes_add_up_to_one(
    row: dict[str, float], tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = build(tmp_path, tiny_base, **row)
    loss, gradients, passes = step(trainer, end_to_end=True)
    monkeypatch.setattr("training.trainer._MOST_TOKENS", 1)
    same_loss, same_gradients, of_rows = step(trainer, end_to_end=True)
    assert (len(passes), len(of_rows)) == (1, len(ANSWERS))
    assert same_loss == pytest.approx(loss, rel=1e-5)
    for ours, whole in zip(same_gradients, gradients, strict=True):
        torch.testing.assert_close(ours, whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("row", [{}, {"weight": 0.1}], ids=["plain", "weighted"])
def test_validation_rows_have_the_losses_of_the_padded_batch(
    row: dict[str, float], tmp_path: Path, tiny_base: Path
) -> None:
    trainer = build(tmp_path, tiny_base, **row)
    batch = next(iter(trainer.get_train_dataloader()))
    sums = {}
    with torch.no_grad():
        for laid in (True, False):
            trainer.end_to_end = laid
            sums[laid] = trainer.measure_batch(trainer.model.eval(), dict(batch))
    assert sums[True].shape == (len(ANSWERS), 2)
    torch.testing.assert_close(sums[True], sums[False], rtol=1e-5, atol=1e-5)
