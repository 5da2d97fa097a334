"""TRL's trainers for preferences, able to take up a training that was killed.

They keep where the adapter began as a second adapter, `ref`, which a checkpoint holds in a folder
of its own; the library then loads that folder and forgets the adapter that was being trained.
Imports torch and TRL: imported only by a process that is about to train.
"""

from __future__ import annotations

from typing import Any

from peft import PeftModel
from trl import DPOTrainer, KTOTrainer


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


class PairTrainer(_TakesUp, DPOTrainer):  # type: ignore[misc]
    """DPO on pairs of answers."""


class LabelTrainer(_TakesUp, KTOTrainer):  # type: ignore[misc]
    """KTO on answers with a label."""
