"""From a configuration to a TRL trainer: tokeniser, model, trainer arguments.

Knows nothing of folders that appear or of processes that die; `training.sft` does. Imports torch,
transformers, PEFT and TRL inside its functions.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.config import Dtype, Scheduler, TrainingConfig, TrainingError, Weights, partial_dir
from training.methods import METHODS
from training.rows.data import end_tokens
from training.rows.encode import Encoded
from training.weights.loading import load_model

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, Trainer

_SCHEDULERS = {
    Scheduler.CONSTANT: "constant_with_warmup",
    Scheduler.LINEAR: "linear",
    Scheduler.COSINE: "cosine",
}


def load_tokenizer(base: Path) -> PreTrainedTokenizerBase:
    """The tokeniser of a base model; where it has no padding token, the end token pads."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def end_tokens_of(base: Path, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """The tokens by which a base ends an answer: the tokeniser's, and those that generation stops
    at."""
    ends = end_tokens(tokenizer)
    for name in ("generation_config.json", "config.json"):
        file = base / name
        found = json.loads(file.read_text("utf-8")).get("eos_token_id") if file.is_file() else None
        ends |= {found} if isinstance(found, int) else frozenset(found or ())
    return ends


def build_trainer(
    config: TrainingConfig,
    base: Path,
    tokenizer: PreTrainedTokenizerBase,
    *,
    train: Encoded,
    validation: Encoded | None,
) -> Trainer:
    """A TRL trainer on a LoRA adapter, fresh or taken from `start_from`, or on all weights.

    Preferences hold what is trained to where it began: to the base, or to what `start_from` names.

    Raises:
        TrainingError: the adapter's shape does not fit the model or the configuration.
    """
    import torch
    from datasets import Dataset
    from transformers import PrinterCallback, set_seed

    set_seed(config.seed)
    half = resolve_dtype(config.dtype, base) is Dtype.BFLOAT16
    trainer_class, arguments = METHODS[config.method].trainer(config)
    common = _common_arguments(config, half=half, with_validation=validation is not None)
    model = load_model(config, base, torch.bfloat16 if half else torch.float32)
    trainer = trainer_class(
        model=model,
        args=arguments(**common),
        train_dataset=Dataset.from_list(train.records),
        eval_dataset=Dataset.from_list(_watched(validation)) if validation else None,
        processing_class=tokenizer,
    )
    trainer.remove_callback(PrinterCallback)
    _require_all_rows(trainer.train_dataset, train)
    if validation is not None:
        _require_all_rows(trainer.eval_dataset, validation)
    if train.lengths is not None:
        trainer.end_to_end = _lies_end_to_end(config, model)
        trainer.lengths = train.lengths if config.group_by_length else None
    return trainer


def _lies_end_to_end(config: TrainingConfig, model: Any) -> bool:
    """Whether rows are computed without padding: on a processor, where the base can take them so.

    A soft prompt stands before each row, so it wants rows of their own.
    """
    import torch

    from training.attention import take_rows_apart

    if torch.cuda.is_available() or config.weights is Weights.PROMPT_TUNING:
        return False
    adapted = config.weights is Weights.LORA
    return take_rows_apart(model.get_base_model() if adapted else model)


def _require_all_rows(prepared: Any, encoded: Encoded) -> None:
    """What is reported as trained on is what TRL trains on."""
    if len(prepared) != len(encoded.records):
        raise TrainingError(
            f"TRL takes {len(prepared)} of the {len(encoded.records)} rows that are left.",
            hint="Raise max_length.",
        )


def _watched(validation: Encoded) -> list[dict[str, Any]]:
    """The rows, each with its group where one has any: the trainers measure row by row."""
    if not any(validation.groups):
        return validation.records
    pairs = zip(validation.records, validation.groups, strict=True)
    return [record | {"group": group} for record, group in pairs]


def resolve_dtype(dtype: Dtype, base: Path) -> Dtype:
    """What `auto` means here: bfloat16 where it is faster, else float32.

    That is on a GPU that has it, and on a processor that has (AMX or AVX512-BF16) for a base whose
    hidden size is 512 or more: at 256 it was 1.3 times as fast, but an equal loss on held-out rows
    is not shown; dashboard/guides/training.md has the figures. The base is held and multiplied in
    it. Adapters, their gradients and AdamW's moments, normalisation, attention, the loss and, with
    `weights: full`, all weights stay in float32.
    """
    import torch

    if dtype is not Dtype.AUTO:
        return dtype
    if torch.cuda.is_available():
        half = bool(torch.cuda.is_bf16_supported())
    else:
        half = _processor_has_bfloat16() and _hidden_size(base) >= _WORTH_HALF
    return Dtype.BFLOAT16 if half else Dtype.FLOAT32


_WORTH_HALF = 512
_HIDDEN_SIZE = ("hidden_size", "n_embd", "d_model")


def _processor_has_bfloat16() -> bool:
    import torch

    names = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")  # public under no name yet
    return any(bool(getattr(torch.cpu, name, bool)()) for name in names)


def _hidden_size(base: Path) -> int:
    """As whichever name the architecture has for it says; 0 where it has another."""
    settings = json.loads((base / "config.json").read_text("utf-8"))
    told = [part.get(name) for part in (settings, settings.get("text_config") or {})
            for name in _HIDDEN_SIZE]  # fmt: skip
    return next((one for one in told if isinstance(one, int)), 0)


def _common_arguments(
    config: TrainingConfig, *, half: bool, with_validation: bool
) -> dict[str, Any]:
    import torch

    evaluate = _cadence("eval", config.evaluate_every) if with_validation else {}
    return dict(
        output_dir=str(partial_dir(config.output_dir) / "checkpoints"),
        num_train_epochs=config.epochs,
        learning_rate=config.learning_rate,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        gradient_checkpointing=config.gradient_checkpointing,
        max_length=config.max_length,
        weight_decay=config.weight_decay,
        warmup_steps=config.warmup_ratio,
        lr_scheduler_type=_SCHEDULERS[config.scheduler],
        logging_steps=config.log_every,
        logging_first_step=True,
        logging_nan_inf_filter=False,  # such a loss ends the training: training.divergence
        load_best_model_at_end=config.early_stopping_patience is not None,
        metric_for_best_model="eval_loss" if with_validation else None,
        greater_is_better=False if with_validation else None,
        prediction_loss_only=True,
        include_num_input_tokens_seen="non_padding",
        save_total_limit=2,
        bf16=half,
        use_cpu=not torch.cuda.is_available(),
        ddp_find_unused_parameters=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        seed=config.seed,
        report_to=[str(name) for name in config.report_to] or "none",
        run_name=config.output_dir.name,
        disable_tqdm=True,
        **_cadence("save", config.save_every),
        **evaluate,
    )


def _cadence(what: str, every: str | int) -> dict[str, Any]:
    if every == "epoch":
        return {f"{what}_strategy": "epoch"}
    return {f"{what}_strategy": "steps", f"{what}_steps": every}
