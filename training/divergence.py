"""A training that has left the numbers: a loss, gradient or weight that is not finite ends it.

Nothing that is learnt from there on is anything, and the libraries go on regardless: they log the
mean of the losses before in its place. Torch is imported inside functions.
"""

from __future__ import annotations

import math
from typing import Any

from training.errors import TrainingError

_HINT = "Lower the learning rate; nothing was kept of this training."


class Diverged(TrainingError):
    """A number of the training is not finite."""

    def __init__(self, what: str, step: int) -> None:
        super().__init__(f"The training diverged: {what} is not finite at step {step}.", hint=_HINT)


def require_finite_number(value: float, what: str, *, step: int) -> None:
    """Raise Diverged when a number is NaN or infinite; `what` is "the loss" and its like."""
    if not math.isfinite(value):
        raise Diverged(what, step)


class StopsWhenDiverged:
    """What the trainers add to TRL's: they look at the loss and the gradient of every step.

    Of several processes each looks at the gradient alone, which is the same in all of them, so that
    they stop together; a loss that is not finite has made it so.
    """

    accelerator: Any
    state: Any

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        loss = super().training_step(*args, **kwargs)  # type: ignore[misc]
        if self.accelerator.num_processes == 1:
            require_finite_number(float(loss), "the loss", step=self.state.global_step + 1)
        return loss

    def _clip_grad_norm(self, model: Any) -> Any:
        norm = super()._clip_grad_norm(model)  # type: ignore[misc]
        require_finite_number(float(norm), "the gradient", step=self.state.global_step + 1)
        return norm

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """None beside a checkpoint: ours is of what the whole training came to."""


def require_magnitudes(model: Any) -> None:
    """Refuse DoRA where a row of the base has norm 0, by which every one of its steps divides.

    Raises:
        TrainingError: it names the first such module.
    """
    vectors = {n: w for n, w in model.named_parameters() if "lora_magnitude_vector" in n}
    zero = {n: count for n, w in vectors.items() if (count := int((w == 0).sum()))}
    if zero:
        module = next(iter(zero)).removeprefix("base_model.model.").split(".lora_magnitude")[0]
        raise TrainingError(
            f"DoRA divides by the norms of the base's rows, and {sum(zero.values())} rows in "
            f"{len(zero)} of {len(vectors)} modules are zero (the first in {module}).",
            hint="Leave out lora.dora, or train other target_modules.",
        )
