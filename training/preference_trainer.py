"""TRL's trainers for preferences, able to take up a training that was killed and to be watched.

They keep where the adapter began as a second adapter, `ref`, which a checkpoint holds in a folder
of its own; the library then loads that folder and forgets the adapter that was being trained.
Validation rows are measured one by one, by the losses that TRL takes the means of (DPO's sigmoid
loss; KTO's with the drift of its batch, Ethayarajh et al. 2024, eq. 7 and 8).
Imports torch and TRL: imported only by a process that is about to train.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from peft import PeftModel
from torch.nn.functional import logsigmoid
from trl import DPOTrainer, KTOTrainer

from training.divergence import StopsWhenDiverged
from training.results.measuring import MeasuresRows
from training.rows.data import IGNORED


class _TakesUp:
    """Loads the adapter in training from a checkpoint; `ref` is made anew from where it began."""

    model: Any

    def _load_from_checkpoint(self, checkpoint: str, model: Any = None) -> None:
        adapted = self.model if model is None else model
        if not isinstance(adapted, PeftModel):
            super()._load_from_checkpoint(checkpoint, model)  # type: ignore[misc]
            return
        adapted.load_adapter(checkpoint, "default", is_trainable=True)
        adapted.set_adapter("default")


class PairTrainer(StopsWhenDiverged, MeasuresRows, _TakesUp, DPOTrainer):  # type: ignore[misc]
    """DPO on pairs of answers."""

    def measure_batch(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        """The loss of each pair, 1, and whether the chosen answer gained more: shape (pairs, 3)."""
        chosen, rejected = _log_probabilities(model, inputs).chunk(2)
        chosen_before, rejected_before = _began(
            self, inputs, "ref_chosen_logps", "ref_rejected_logps"
        )
        margin = self.beta * ((chosen - chosen_before) - (rejected - rejected_before))
        return torch.stack([-logsigmoid(margin), torch.ones_like(margin), margin > 0], dim=1)


class LabelTrainer(StopsWhenDiverged, MeasuresRows, _TakesUp, KTOTrainer):  # type: ignore[misc]
    """KTO on answers with a label."""

    def measure_batch(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        """The loss of each answer, and 1: shape (answers, 2)."""
        gain = _log_probabilities(model, inputs)
        other = _log_probabilities(model, inputs, prefix="KL_")
        gain_before, other_before = _began(self, inputs, "ref_logps", "ref_KL_logps")
        drift = self.accelerator.gather((other - other_before).mean())
        margin = self.beta * (gain - gain_before - drift.mean().clamp(min=0))
        good = inputs["label"].bool()
        loss = torch.where(
            good,
            self.desirable_weight * (1 - margin.sigmoid()),
            self.undesirable_weight * (1 - (-margin).sigmoid()),
        )
        return torch.stack([loss, torch.ones_like(loss)], dim=1)


def _began(trainer: Any, inputs: dict[str, Any], *names: str) -> tuple[torch.Tensor, ...]:
    """The log-probabilities of where training began: those computed before it, else of now."""
    if trainer.precompute_ref_logps:
        return tuple(inputs[name] for name in names)
    began = trainer.model if trainer.ref_model is None else trainer.ref_model
    return cast(tuple[torch.Tensor, ...], trainer.compute_ref_log_probs(began, inputs))


def _log_probabilities(model: Any, inputs: dict[str, Any], *, prefix: str = "") -> torch.Tensor:
    """Log-probability of each answer of a batch, summed over its tokens: shape (answers,)."""
    ids, mask = inputs[f"{prefix}input_ids"], inputs[f"{prefix}completion_mask"]
    found = model(
        input_ids=ids,
        attention_mask=inputs[f"{prefix}attention_mask"],
        labels=ids.masked_fill(mask == 0, IGNORED),
        fused_lm_head=True,
        use_cache=False,
    )
    return cast(torch.Tensor, found.log_probs.sum(dim=1))
