"""Losses of validation rows: kept, read back, and compared row by row."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.config import TrainingError
from training.results.intervals import (
    LOSSES_NAME,
    RowLoss,
    behind_the_best,
    describe_losses,
    read_losses,
    write_losses,
)

COSTS = [3.0, 9.0, 5.0, 14.0, 7.0, 11.0]


def rows(add: float = 0.0, *, wobble: float = 0.0, group: str | None = None) -> list[RowLoss]:
    signs = [1, -1] * 3
    return [
        RowLoss(group, cost + add + wobble * sign, 1.0)
        for cost, sign in zip(COSTS, signs, strict=True)
    ]


def test_losses_come_back_as_they_were_written(tmp_path: Path) -> None:
    kept = [RowLoss("a", 1.25, 4.0), RowLoss(None, 0.5, 1.0, right=True)]
    write_losses(tmp_path / LOSSES_NAME, kept)
    assert read_losses(tmp_path) == kept


def test_a_folder_without_losses_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="holds no losses of validation rows"):
        read_losses(tmp_path)


def test_a_loss_is_the_mean_over_tokens_not_over_rows() -> None:
    told = describe_losses([RowLoss(None, 2.0, 1.0), RowLoss(None, 2.0, 3.0)], seed=0)
    assert (told["loss"]["value"], told["loss"]["n"]) == (1.0, 2)
    assert "accuracy" not in told


def test_pairs_have_an_accuracy() -> None:
    told = describe_losses([RowLoss(None, 1.0, 1.0, right=i < 3) for i in range(4)], seed=0)
    assert (told["accuracy"]["value"], told["accuracy"]["n"]) == (0.75, 4)
    assert 0.1 < told["accuracy"]["low"] < 0.75 < told["accuracy"]["high"] < 1


def test_a_small_difference_shows_on_the_same_rows_where_two_intervals_would_overlap() -> None:
    losses = {"best": rows(), "steady": rows(0.5, wobble=0.1), "noisy": rows(0.5, wobble=2.0)}
    behind = behind_the_best(losses, "best")
    assert behind.keys() == {"steady", "noisy"}
    assert [one.value for one in behind.values()] == pytest.approx([0.5, 0.5])
    assert behind["steady"].low is not None
    assert behind["steady"].low > 0
    assert behind["noisy"].low is not None
    assert behind["noisy"].low < 0
    high = describe_losses(losses["best"], seed=0)["loss"]["high"]
    assert high > describe_losses(losses["steady"], seed=0)["loss"]["value"]


def test_the_more_trials_the_wider_each_difference() -> None:
    two = behind_the_best({"best": rows(), "a": rows(1, wobble=0.5)}, "best")["a"]
    three = behind_the_best(
        {"best": rows(), "a": rows(1, wobble=0.5), "b": rows(2, wobble=0.5)}, "best"
    )["a"]
    assert (two.level, three.level) == pytest.approx((0.95, 0.975))
    assert three.low is not None
    assert two.low is not None
    assert three.low < two.low


def test_trainings_on_other_rows_are_not_compared() -> None:
    for other in (rows()[:5], rows(group="a")):
        with pytest.raises(TrainingError, match="not validated on the same rows"):
            behind_the_best({"best": rows(), "a": other}, "best")
