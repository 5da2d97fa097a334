"""From a configuration to a TRL trainer: tokeniser, base model, adapter, trainer arguments.

Knows nothing of folders that appear or of processes that die; `training.sft` does. Imports torch,
transformers, PEFT and TRL inside its functions.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.config import Dtype, Scheduler, SftConfig, TrainingError, partial_dir
from training.data import TokenRow

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from training.trainer import BucketTrainer

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


def build_trainer(
    config: SftConfig,
    base: Path,
    tokenizer: PreTrainedTokenizerBase,
    *,
    train: list[TokenRow],
    validation: list[TokenRow],
) -> BucketTrainer:
    """A TRL trainer on a LoRA adapter, fresh or taken from `start_from`.

    Raises:
        TrainingError: the adapter's shape does not fit the model or the configuration.
    """
    import torch
    from datasets import Dataset
    from transformers import PrinterCallback, set_seed

    from training.trainer import BucketTrainer

    def as_dataset(rows: list[TokenRow]) -> Dataset:
        return Dataset.from_dict(
            {"input_ids": [r.input_ids for r in rows], "labels": [r.labels for r in rows]}
        )

    set_seed(config.seed)
    half = _is_half(config.dtype)
    trainer = BucketTrainer(
        model=_load_model(config, base, torch.bfloat16 if half else torch.float32),
        args=_arguments(config, half=half, with_validation=bool(validation)),
        train_dataset=as_dataset(train),
        eval_dataset=as_dataset(validation) if validation else None,
        processing_class=tokenizer,
    )
    trainer.remove_callback(PrinterCallback)
    if config.group_by_length:
        trainer.lengths = [len(row.input_ids) for row in train]
    return trainer


def _is_half(dtype: Dtype) -> bool:
    import torch

    if dtype is Dtype.AUTO:
        return bool(torch.cuda.is_available() and torch.cuda.is_bf16_supported())
    return dtype is Dtype.BFLOAT16


def _load_model(config: SftConfig, base: Path, dtype: Any) -> Any:
    """The base model with a fresh adapter, or with the one to go on from."""
    from peft import PeftModel
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    part = config.base_model
    try:
        model = AutoModelForCausalLM.from_pretrained(
            base, dtype=dtype, use_safetensors=True, local_files_only=True
        )
        if config.start_from is None:
            adapted = _add_adapter(model, config)
        else:
            part = str(config.start_from)
            adapted = PeftModel.from_pretrained(
                model, part, is_trainable=True, local_files_only=True
            )
            _check_same_shape(config, adapted.peft_config["default"])
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise TrainingError(f"{part} cannot be loaded for training: {reason}") from error
    adapted.peft_config["default"].base_model_name_or_path = config.base_model
    return adapted


def _add_adapter(model: Any, config: SftConfig) -> Any:
    from peft import LoraConfig, get_peft_model

    shape = LoraConfig(
        r=config.lora.rank,
        lora_alpha=config.lora.alpha,
        lora_dropout=config.lora.dropout,
        target_modules=config.lora.target_modules,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, shape)


def _check_same_shape(config: SftConfig, theirs: Any) -> None:
    wanted, found = (config.lora.rank, config.lora.alpha), (theirs.r, theirs.lora_alpha)
    if wanted != found:
        raise TrainingError(
            f"{config.start_from} has rank and alpha {found}, the configuration says {wanted}.",
            hint="Write the adapter's own under lora.",
        )


def _arguments(config: SftConfig, *, half: bool, with_validation: bool) -> Any:
    import torch
    from trl import SFTConfig as TrlConfig

    evaluate = _cadence("eval", config.evaluate_every) if with_validation else {}
    return TrlConfig(
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
        dataset_kwargs={"skip_prepare_dataset": True},
        report_to="none",
        disable_tqdm=True,
        **_cadence("save", config.save_every),
        **evaluate,
    )


def _cadence(what: str, every: str | int) -> dict[str, Any]:
    if every == "epoch":
        return {f"{what}_strategy": "epoch"}
    return {f"{what}_strategy": "steps", f"{what}_steps": every}
