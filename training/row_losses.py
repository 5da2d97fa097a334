"""What each validation row cost under the weights that were kept, and what may be said of them all.

One line a row in `validation_losses.jsonl` beside the adapter, in the order of the evaluation:

    {"group": "a3f...", "loss": 12.5, "count": 9, "right": true}

`loss` is the sum over the `count` tokens that are trained on (SFT, pre-training), or that of one
row whose count is 1 (DPO, KTO). `right`, of DPO alone: the chosen answer gained more than the
rejected one on where training began. Two trainings on the same rows are compared row by row. Knows
nothing of torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.config import TrainingError
from training.results.intervals import (
    LEVEL,
    Estimate,
    difference_estimate,
    group_totals,
    mean_estimate,
    rate_estimate,
)

LOSSES_NAME = "validation_losses.jsonl"


@dataclass(frozen=True, slots=True)
class RowLoss:
    """What one row cost; see above."""

    group: str | None
    loss: float
    count: float
    right: bool | None = None


def write_losses(file: Path, rows: Sequence[RowLoss]) -> None:
    """Write the rows, one JSON object a line."""
    file.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows), encoding="utf-8")


def read_losses(folder: Path) -> list[RowLoss]:
    """The rows that a finished training left in its folder.

    Raises:
        TrainingError: it left none.
    """
    file = folder / LOSSES_NAME
    if not file.is_file():
        raise TrainingError(
            f"{folder} holds no losses of validation rows.",
            hint="It was trained before they were kept: delete that folder to train it again.",
        )
    return [RowLoss(**json.loads(line)) for line in file.read_text("utf-8").splitlines()]


def describe_losses(rows: Sequence[RowLoss], *, seed: int) -> dict[str, Any]:
    """Mean loss with its interval and, where it is known, the share of pairs that are right."""
    groups = [row.group for row in rows]
    told: dict[str, Any] = {"loss": asdict(mean_loss(rows, seed=seed))}
    if all(row.right is not None for row in rows):
        right = group_totals(groups, [(float(row.right or 0), 1.0) for row in rows])
        told["accuracy"] = asdict(rate_estimate(right, n=len(rows)))
    return told


def mean_loss(rows: Sequence[RowLoss], *, seed: int) -> Estimate:
    """Loss over all rows divided by their count, with its interval."""
    totals = group_totals([row.group for row in rows], [(row.loss, row.count) for row in rows])
    return mean_estimate(totals, n=len(rows), seed=seed)


def behind_the_best(
    losses: Mapping[str, Sequence[RowLoss]], best: str, *, level: float = LEVEL
) -> dict[str, Estimate]:
    """How much more each training loses than the best one, row by row, on the same rows.

    The intervals hold together, since the best was picked among all of them: each has the level
    1 - (1 - level) / comparisons (Bonferroni).

    Args:
        losses: by name, the best one's included.

    Raises:
        TrainingError: they were not measured on the same rows.
    """
    others = [name for name in losses if name != best]
    each = 1 - (1 - level) / max(1, len(others))
    return {name: _difference(losses[name], losses[best], level=each) for name in others}


def _difference(rows: Sequence[RowLoss], best: Sequence[RowLoss], *, level: float) -> Estimate:
    if [(row.group, row.count) for row in rows] != [(row.group, row.count) for row in best]:
        raise TrainingError("Two trainings were not validated on the same rows.")
    pairs = zip(rows, best, strict=True)
    columns = np.array([(row.loss - other.loss, row.count) for row, other in pairs])
    totals = group_totals([row.group for row in rows], columns)
    return difference_estimate(totals, n=len(rows), level=level)
