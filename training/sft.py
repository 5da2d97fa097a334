"""Supervised fine-tuning of a LoRA adapter on chat rows.

    python -m training.sft --config run.yaml
    torchrun --nproc-per-node 4 -m training.sft --config run.yaml

Reads the configuration described in `training.config`, trains with TRL and PEFT, and leaves in
`output_dir` a safetensors adapter, `strop.json` (what went in, what came out), `config.yaml`,
`progress.jsonl` (the loss curve) and a model card. A killed run is taken up by the same command.
Exit codes: 0 done, 1 could not run, 4 another process is training this folder.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training import digest, folders
from training.config import (
    EXIT_DONE,
    PROGRESS_NAME,
    Dtype,
    Scheduler,
    SftConfig,
    TrainingError,
    dump_config,
    load_config,
    partial_dir,
    recipe_sha256,
)
from training.data import ChatRow, DataReport, TokenRow, encode_rows, read_rows
from training.result import Outcome, write_result

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from training.trainer import BucketTrainer

_SCHEDULERS = {
    Scheduler.CONSTANT: "constant_with_warmup",
    Scheduler.LINEAR: "linear",
    Scheduler.COSINE: "cosine",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as the configuration says; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m training.sft", description="Train an adapter.")
    parser.add_argument("--config", type=Path, required=True, help="YAML file; see training/config")
    options = parser.parse_args(arguments)
    try:
        train(load_config(options.config))
    except TrainingError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return EXIT_DONE


def train(config: SftConfig) -> Path:
    """Train to the end, or take up where a killed run stopped; returns the adapter's folder.

    Raises:
        TrainingError: the run cannot begin; nothing was written to `output_dir`.
        AlreadyTraining: another process trains into the same folder.
    """
    _silence_hub(config)
    with folders.hold_lock(config.output_dir) if _is_main_process() else nullcontext():
        base = digest.resolve_model(config.base_model)
        inputs = _digest_inputs(config, base)
        recipe = recipe_sha256(config, inputs)
        if folders.is_finished(config.output_dir, recipe):
            print(f"{config.output_dir} already holds the result of this training.")
            folders.remove_partial(config.output_dir)
            return config.output_dir
        train_rows = read_rows(config.train_file)
        eval_rows = read_rows(config.validation_file) if config.validation_file else []
        print(dump_config(config), flush=True)
        started_at = _begin(config, recipe)
        outcome = _fit(config, base, train_rows, eval_rows)
        if _is_main_process():
            write_result(config, outcome, inputs=inputs, recipe=recipe, started_at=started_at)
            folders.publish(config.output_dir)
            print(f"Adapter written to {config.output_dir}.", flush=True)
    return config.output_dir


@dataclass(frozen=True, slots=True)
class _Encoded:
    train: list[TokenRow]
    train_report: DataReport
    validation: list[TokenRow]
    validation_report: DataReport | None


def _is_main_process() -> bool:
    return int(os.environ.get("RANK", "0")) == 0  # set by torchrun and accelerate


def _silence_hub(config: SftConfig) -> None:
    """Keep the libraries off the network; they read these once, when they are imported."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if Path(config.base_model).is_dir():
        os.environ["HF_HUB_OFFLINE"] = "1"


def _digest_inputs(config: SftConfig, base: Path) -> dict[str, str | None]:
    start, validation = config.start_from, config.validation_file
    try:
        return {
            "base_sha256": digest.model_sha256(base),
            "tokenizer_sha256": digest.tokenizer_sha256(base),
            "template_sha256": digest.template_sha256(base),
            "train_sha256": digest.file_sha256(config.train_file),
            "validation_sha256": None if validation is None else digest.file_sha256(validation),
            "start_from_sha256": None if start is None else digest.adapter_sha256(start),
        }
    except OSError as error:
        raise TrainingError(f"{error.filename} cannot be read: {error.strerror}.") from error


def _begin(config: SftConfig, recipe: str) -> str:
    """Make the folder of the unfinished run; returns when the run was first started."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    if not _is_main_process():
        return now
    run = folders.open_partial(config.output_dir, recipe=recipe, started_at=now)
    folders.drop_broken_checkpoints(config.output_dir)
    folders.write_whole(partial_dir(config.output_dir) / "config.yaml", dump_config(config))
    return str(run["started_at"])


def _fit(
    config: SftConfig, base: Path, train_rows: list[ChatRow], eval_rows: list[ChatRow]
) -> Outcome:
    import torch
    from transformers.utils import logging

    from training.trainer import CurveWriter, StopWhenStale, is_stale, read_state

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # what matters is checked here and raised, not logged
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    tokenizer = _load_tokenizer(base)
    data = _encode(config, tokenizer, train_rows, eval_rows)
    checkpoint = folders.last_checkpoint(config.output_dir)
    step = folders.checkpoint_step(checkpoint) if checkpoint else 0
    curve = folders.trim_progress(config.output_dir, step=step)
    if checkpoint:
        print(f"Taking up the unfinished training after step {step}.", flush=True)
    seconds_before = curve[-1]["seconds"] if curve else 0.0
    began = time.time() - seconds_before
    progress = partial_dir(config.output_dir) / PROGRESS_NAME
    with progress.open("a", encoding="utf-8") as stream:
        trainer = _build_trainer(config, base, tokenizer, data)
        trainer.add_callback(CurveWriter(stream, clock=time.time, seconds_before=seconds_before))
        patience = config.early_stopping_patience
        if patience is not None:
            trainer.add_callback(StopWhenStale(patience))
        if checkpoint and patience and is_stale(read_state(checkpoint).log_history, patience):
            _load_best(trainer, checkpoint)  # it had stopped early and was killed before the end
        else:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    return Outcome(
        model=trainer.model,
        state=trainer.state,
        train=data.train_report,
        validation=data.validation_report,
        seconds=time.time() - began,
    )


def _load_tokenizer(base: Path) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _encode(
    config: SftConfig, tokenizer: Any, train_rows: list[ChatRow], eval_rows: list[ChatRow]
) -> _Encoded:
    def encode(rows: list[ChatRow]) -> tuple[list[TokenRow], DataReport]:
        return encode_rows(
            rows,
            tokenizer,
            max_length=config.max_length,
            truncate=config.truncate,
            completion_only=config.completion_only,
        )

    train, report = encode(train_rows)
    print(_describe(report, config.max_length), flush=True)
    validation, validation_report = encode(eval_rows) if eval_rows else ([], None)
    validation.sort(key=lambda row: len(row.input_ids))  # neighbours share a batch: less padding
    return _Encoded(train, report, validation, validation_report)


def _describe(report: DataReport, max_length: int) -> str:
    cut = f"; {report.cut} cut to {max_length}, {report.dropped} of them dropped"
    return (
        f"{report.rows} rows, {report.tokens} tokens, {report.trained_tokens} of them trained on, "
        f"longest {report.longest}{cut if report.cut else ''}"
    )


def _build_trainer(
    config: SftConfig, base: Path, tokenizer: PreTrainedTokenizerBase, data: _Encoded
) -> BucketTrainer:
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
        args=_arguments(config, half=half, with_validation=bool(data.validation)),
        train_dataset=as_dataset(data.train),
        eval_dataset=as_dataset(data.validation) if data.validation else None,
        processing_class=tokenizer,
    )
    trainer.remove_callback(PrinterCallback)
    if config.group_by_length:
        trainer.lengths = [len(row.input_ids) for row in data.train]
    return trainer


def _is_half(dtype: Dtype) -> bool:
    import torch

    if dtype is Dtype.AUTO:
        return bool(torch.cuda.is_available() and torch.cuda.is_bf16_supported())
    return dtype is Dtype.BFLOAT16


def _load_model(config: SftConfig, base: Path, dtype: Any) -> Any:
    """The base model with a fresh adapter, or with the one to go on from."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(
        base, dtype=dtype, use_safetensors=True, local_files_only=True
    )
    if config.start_from is None:
        adapted = _add_adapter(model, config)
    else:
        adapted = PeftModel.from_pretrained(
            model, config.start_from, is_trainable=True, local_files_only=True
        )
        _check_same_shape(config, adapted.peft_config["default"])
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
    try:
        return get_peft_model(model, shape)
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise TrainingError(f"lora.target_modules fits nothing in the model: {reason}") from error


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


def _load_best(trainer: BucketTrainer, checkpoint: Path) -> None:
    from training.trainer import read_state

    trainer.state = read_state(checkpoint)
    trainer._load_best_model()


if __name__ == "__main__":
    sys.exit(main())
