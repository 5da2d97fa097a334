"""Measuring validation rows one by one, in place of TRL's means of batches.

A mean of batches depends on which rows share a batch, and has no interval. Here every evaluation
keeps each row's loss, and the validation loss is their total divided by their count. Imports torch:
imported only by a process that is about to train.
"""

from __future__ import annotations

from typing import Any

import torch

from training.divergence import Diverged
from training.results.intervals import RowLoss


class MeasuresRows:
    """What BucketTrainer, PairTrainer and LabelTrainer add to TRL's evaluation.

    Attributes:
        row_losses: of the newest evaluation, in the order of the validation rows.
        measured_at: the step of that evaluation; None before the first.
    """

    row_losses: list[RowLoss]
    measured_at: int | None = None
    _batches: list[torch.Tensor]
    accelerator: Any
    state: Any
    eval_dataset: Any

    def measure_batch(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        """Loss, count and (DPO) whether the pair is right: shape (rows, 2) or (rows, 3)."""
        raise NotImplementedError

    def prediction_step(
        self, model: Any, inputs: Any, prediction_loss_only: bool, ignore_keys: Any = None
    ) -> tuple[torch.Tensor, None, None]:
        inputs = self._prepare_inputs(inputs)  # type: ignore[attr-defined]
        with torch.no_grad(), self.compute_loss_context_manager():  # type: ignore[attr-defined]
            measured = self.measure_batch(model, inputs).double()
        # Of several processes: in the order of the rows, without those that fill the last batch.
        self._batches.append(self.accelerator.gather_for_metrics(measured).cpu())
        return measured[:, 0].sum() / measured[:, 1].sum(), None, None

    def evaluation_loop(self, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any) -> Any:
        self._batches = []
        output = super().evaluation_loop(  # type: ignore[misc]
            *args, metric_key_prefix=metric_key_prefix, **kwargs
        )
        table = torch.cat(self._batches)
        if not bool(torch.isfinite(table).all()):
            raise Diverged("the validation loss", self.state.global_step)
        rows = self.eval_dataset
        grouped = "group" in rows.column_names
        self.row_losses = _as_rows(table, list(rows["group"]) if grouped else [None] * len(rows))
        self.measured_at = self.state.global_step
        total, count = table[:, 0].sum(), table[:, 1].sum()
        output.metrics[f"{metric_key_prefix}_loss"] = float(total / count)
        if table.shape[1] > 2:
            output.metrics[f"{metric_key_prefix}_accuracy"] = float(table[:, 2].mean())
        return output

    def measure_rows(self, step: int) -> list[RowLoss]:
        """Losses of the validation rows under the weights of now, which are those of `step`.

        Nothing is logged; an evaluation at that step is not repeated.
        """
        if self.measured_at != step:
            loader = self.get_eval_dataloader()  # type: ignore[attr-defined]
            self.evaluation_loop(loader, description="Evaluation", prediction_loss_only=True)
        return self.row_losses


def _as_rows(table: torch.Tensor, groups: list[str | None]) -> list[RowLoss]:
    pairs = zip(groups, table.tolist(), strict=True)
    return [
        RowLoss(group, loss, count, *(bool(one) for one in right))
        for group, (loss, count, *right) in pairs
    ]
