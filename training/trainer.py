"""TRL's trainer with the things that a resumable, watched training needs.

Rows come as the seed shuffles them, in length buckets whose order depends on seed and epoch alone,
or in the order of their curriculum; on a processor a batch is computed without padding, or in
parts of similar length; the rows' weights reach the loss; every checkpoint closes a line of the
loss curve, so that a resumed run draws the same curve; lines are written as they come; training
stops when the validation loss has stopped falling. Imports torch and TRL: imported only by a
process that is about to train.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import Sampler
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import SFTTrainer

from training.attention import lay_end_to_end
from training.divergence import StopsWhenDiverged, require_finite_number
from training.results.measuring import MeasuresRows
from training.rows.curriculum import places, with_weights
from training.rows.data import IGNORED, length_bucketed_order
from training.rows.encode import part_batch

_MOST_LOGITS = 1 << 26  # a quarter of a gigabyte; beyond it TRL's tiles are the better trade
_MOST_TOKENS = 1024  # of a pass; more is not faster, and takes more memory
_MULTIPLE = 32  # tokens of a pass: kernels are made and kept for each size in bfloat16


class BucketSampler(Sampler[int]):  # type: ignore[misc]
    """Rows of the epoch that the trainer is in, batches of similar length."""

    def __init__(
        self, lengths: Sequence[int], batch_size: int, *, seed: int, epoch: Callable[[], int]
    ) -> None:
        self._lengths = lengths
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Any:
        return iter(
            length_bucketed_order(
                self._lengths, self._batch_size, seed=self._seed, epoch=self._epoch()
            )
        )


class FixedSampler(Sampler[int]):  # type: ignore[misc]
    """Rows in one order, the same in every epoch."""

    def __init__(self, order: Sequence[int]) -> None:
        self._order = order

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Any:
        return iter(self._order)


class BucketTrainer(StopsWhenDiverged, MeasuresRows, SFTTrainer):  # type: ignore[misc]
    """SFTTrainer that pads less on a CPU, which saves time and changes neither loss nor gradient.

    With `end_to_end` it pads nothing: rows lie one behind the other, which the model must be able
    to take (`training.attention.take_rows_apart`). Else it computes a batch `in_parts`. It takes
    its rows from a `BucketSampler` where it is given `lengths`. Rows with a place (`order`) are
    shown in that order instead, those with a `weight` weigh so much in the loss; see
    training.rows.curriculum.
    """

    lengths: Sequence[int] | None = None
    in_parts = True
    end_to_end = False
    data_collator: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Before a checkpoint is loaded, so that a resumed run finds the same order.
        self.places = places(
            self.model,
            self.train_dataset,
            self.data_collator,
            batch_size=self.args.train_batch_size,
        )
        if "weight" in self.train_dataset.column_names:
            self.data_collator = with_weights(self.data_collator)
            self._signature_columns = ["input_ids", "labels", "seq_lengths", "weight"]

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        if self.places is not None:
            return FixedSampler(self.places)
        if self.lengths is None:
            return super()._get_train_sampler(train_dataset)
        return BucketSampler(
            self.lengths,
            self.args.train_batch_size,
            seed=self.args.seed,
            # A resumed trainer starts inside an epoch, so the trainer's own count is asked.
            epoch=lambda: int(self.state.epoch or 0),
        )

    def training_step(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Loss and gradients of a batch, summed over the passes that it is computed in."""
        step = super().training_step
        passes = self._passes(inputs, counted=num_items_in_batch is not None)
        return torch.stack([step(model, one, num_items_in_batch) for one in passes]).sum()

    def _passes(self, inputs: dict[str, torch.Tensor], *, counted: bool) -> list[dict[str, Any]]:
        """Several on a CPU, alone, where the trained tokens of the batch are counted.

        A GPU would rather have one large pass, processes must make equally many, and without the
        count each pass would be its own mean.
        """
        several = counted and self.accelerator.num_processes == 1
        if self.end_to_end:
            most = _MOST_TOKENS if several else None
            return lay_end_to_end(inputs, most=most, multiple=_MULTIPLE)
        padded = "attention_mask" in inputs  # packed rows have none
        parted = self.in_parts and several and padded and self.args.device.type == "cpu"
        return part_batch(inputs) if parted else [inputs]

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """TRL's loss; on a CPU, without running the language-model head over the prompts.

        There TRL projects every position, trained on or not, which is a quarter of the time of a
        small model. The value is the same. Weighted rows are summed here on every device.
        """
        weight = inputs.pop("weight", None)
        targets = inputs["labels"][:, 1:]
        columns = (targets != IGNORED).any(dim=0).nonzero().flatten()
        logits_size = len(targets) * len(columns) * self.model.config.vocab_size
        padded = "attention_mask" in inputs  # packed rows have none
        alone = self.accelerator.num_processes == 1 and not return_outputs and padded
        ours = targets.device.type == "cpu" and alone and logits_size <= _MOST_LOGITS
        if not ours and weight is None and not _tokens_before(self.model):
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        logits, targets = _project_trained(model, inputs)
        count = (targets != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        losses = cross_entropy(
            logits.flatten(0, 1).float(),
            targets.flatten(),
            ignore_index=IGNORED,
            reduction="sum" if weight is None else "none",
        )
        total = losses
        if weight is not None:
            each = weight[:, None] if weight.ndim == 1 else weight[:, 1:][:, columns]
            total = (losses.view(targets.shape) * each).sum()
        if num_items_in_batch is not None and self.args.average_tokens_across_devices:
            total = total * self.accelerator.num_processes  # the count is of all of them
        return total / torch.as_tensor(count).clamp(min=1)

    def measure_batch(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        """Summed loss and count of the trained tokens of each row: shape (rows, 2)."""
        weight = inputs.pop("weight", None)
        padded = "attention_mask" in inputs
        if self.end_to_end:
            passes = lay_end_to_end(inputs, most=_MOST_TOKENS)
            sums = torch.cat([_sums_of_rows(model, one) for one in passes])
            return sums if weight is None else sums * torch.stack([weight, weight**0], dim=1)
        if padded and (inputs["labels"].device.type == "cpu" or _tokens_before(self.model)):
            logits, targets = _project_trained(model, inputs)
            losses = cross_entropy(logits.transpose(1, 2).float(), targets, reduction="none")
            columns = torch.stack([losses, (targets != IGNORED).float()], dim=-1)
        else:
            found = model(**inputs, fused_lm_head=True, use_cache=False)
            columns = torch.stack([-found.log_probs.float(), found.label_mask.float()], dim=-1)
        if padded:
            sums = columns.sum(dim=1)
        else:  # rows laid end to end, as packing lays them
            rows = inputs["seq_idx"][0].long()
            sums = columns.new_zeros(int(rows[-1]) + 1, 2).index_add(0, rows[1:], columns[0])
        if weight is not None:
            sums[:, 0] *= weight
        return sums


def _project_trained(model: Any, inputs: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and labels of the positions where some row is trained on; a soft prompt, which the
    model puts before them, moves all of them."""
    targets = inputs["labels"][:, 1:]
    columns = (targets != IGNORED).any(dim=0).nonzero().flatten()
    told = {name: value for name, value in inputs.items() if name != "labels"}
    keep = columns + _tokens_before(model)
    return model(**told, logits_to_keep=keep, use_cache=False).logits, targets[:, columns]


def _sums_of_rows(model: Any, laid: dict[str, Any]) -> torch.Tensor:
    """Summed loss and count of the trained tokens of each row of a pass: shape (rows, 2)."""
    logits, targets = _project_trained(model, laid)
    losses = cross_entropy(logits[0].float(), targets[0], reduction="none")
    lengths = laid["cu_seq_lens_q"].diff()
    rows = torch.arange(len(lengths)).repeat_interleave(lengths)
    trained = rows[1:][laid["labels"][0, 1:] != IGNORED]
    columns = torch.stack([losses, torch.ones_like(losses)], dim=1)
    return columns.new_zeros(len(lengths), 2).index_add(0, trained, columns)


def _tokens_before(model: Any) -> int:
    """How many vectors of a soft prompt the model puts before each row."""
    while not hasattr(model, "active_peft_config") and hasattr(model, "module"):
        model = model.module  # as several processes wrap it
    shape = getattr(model, "active_peft_config", None)
    return shape.num_virtual_tokens if shape is not None and shape.is_prompt_learning else 0


class CurveWriter(TrainerCallback):  # type: ignore[misc]
    """Writes and prints the loss curve while it is drawn.

    Args:
        stream: open file that takes one JSON object a line.
        clock: seconds since the epoch.
        seconds_before: seconds of training before this process took the run up.
        on_line: called after every line.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        clock: Callable[[], float],
        seconds_before: float = 0.0,
        on_line: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_line = on_line
        self._stream = stream
        self._clock = clock
        self._start = clock() - seconds_before

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        control.should_log |= control.should_save

    on_epoch_end = on_step_end

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        logs = logs or {}
        name = next((key for key in ("loss", "eval_loss") if key in logs), None)
        if name is None or not state.is_world_process_zero:
            return
        require_finite_number(logs[name], _WORDS[name], step=state.global_step)
        line = {
            "step": state.global_step,
            "steps": state.max_steps,
            "epoch": round(state.epoch or 0.0, 4),
            name: logs[name],
            "learning_rate": logs.get("learning_rate", _learning_rate(kwargs)),
            "time": self._clock(),
            "seconds": self._clock() - self._start,
        }
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()
        self._on_line()
        print(_readable(line, name), flush=True)


_WORDS = {"loss": "the loss", "eval_loss": "the validation loss"}


class StopWhenStale(TrainerCallback):  # type: ignore[misc]
    """Stops when `patience` evaluations in a row have not lowered the validation loss.

    Keeps no count of its own: the trainer's history, which checkpoints hold, is the count.
    """

    def __init__(self, patience: int) -> None:
        self._patience = patience

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if is_stale(state.log_history, self._patience):
            control.should_training_stop = True


def is_stale(history: Sequence[dict[str, float]], patience: int) -> bool:
    """Whether the lowest validation loss is `patience` evaluations old, or older."""
    losses = [entry["eval_loss"] for entry in history if "eval_loss" in entry]
    return len(losses) > patience and min(losses[-patience:]) >= min(losses[:-patience])


def read_state(checkpoint: Path) -> TrainerState:
    """What the trainer knew when it wrote a checkpoint."""
    return TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))


def _learning_rate(kwargs: dict[str, Any]) -> float | None:
    scheduler = kwargs.get("lr_scheduler")
    return None if scheduler is None else float(scheduler.get_last_lr()[0])


def _readable(line: dict[str, Any], name: str) -> str:
    return (
        f"step {line['step']}/{line['steps']}  epoch {line['epoch']:.2f}  "
        f"{name.replace('eval_', 'validation ')} {line[name]:.4f}  {line['seconds']:.0f} s"
    )
