"""Training of an adapter or a small model, by one of `training.methods.METHODS`.

    python -m training.sft --config run.yaml
    accelerate launch --multi_gpu --num_processes 4 -m training.sft --config run.yaml
    torchrun --nproc-per-node 4 -m training.sft --config run.yaml

Reads the configuration described in `training.config`, trains with TRL and PEFT, and leaves in
`output_dir` a safetensors adapter (with `weights: full` a whole model), `strop.json` (what went in,
what came out), `config.yaml`, `progress.jsonl` (the loss curve) and a model card. A killed run is
taken up by the same command.
Exit codes: 0 done, 1 could not run, 4 another process is training this folder.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.assemble import build_trainer, end_tokens_of, load_tokenizer, resolve_dtype
from training.config import (
    EXIT_DONE,
    PROGRESS_NAME,
    Dtype,
    TrainingConfig,
    TrainingError,
    Weights,
    dump_config,
    load_config,
    partial_dir,
    recipe_sha256,
)
from training.divergence import Diverged
from training.methods import METHODS
from training.results.card import data_warnings
from training.results.exposure import describe_exposure, exposure_lines, rank_canaries
from training.results.forgetting import (
    Texts,
    describe_forgetting,
    forgetting_lines,
    measure,
    untouched_texts,
)
from training.results.result import (
    SPENT_NAME,
    Meter,
    TimeSpent,
    TrainingOutcome,
    check_reporters,
    name_places,
    over_processes,
    rendered_prompts,
    write_result,
)
from training.rows.canaries import plant
from training.rows.data import DataReport
from training.rows.encode import by_length, pack
from training.search import run_search
from training.weights import digest, folders
from training.weights.loading import check_quantization

if TYPE_CHECKING:
    from transformers import Trainer


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


def train(config: TrainingConfig) -> Path:
    """Train to the end, or take up where a killed run stopped; returns the adapter's folder.

    Raises:
        TrainingError: the run cannot begin; nothing was written to `output_dir`.
        AlreadyTraining: another process trains into the same folder.
    """
    _silence_hub(config)
    with folders.hold_lock(config.output_dir) if _is_main_process() else nullcontext():
        base = digest.resolve_model(config.base_model)
        inputs = digest.inputs_sha256(config, base)
        recipe = recipe_sha256(config, inputs)
        if folders.is_finished(config.output_dir, recipe):
            print(f"{config.output_dir} already holds the result of this training.")
            folders.remove_partial(config.output_dir)
        elif config.search is not None:
            run_search(config, recipe=recipe, train=train, is_main=_is_main_process())
        else:
            _train_once(config, base, inputs=inputs, recipe=recipe)
    return config.output_dir


def _train_once(
    config: TrainingConfig, base: Path, *, inputs: Mapping[str, str | None], recipe: str
) -> None:
    check_quantization(config)
    check_reporters(config)
    name_places(config)
    method, watched = METHODS[config.method], config.validation_file
    train_rows = method.read(config.train_file)
    eval_rows = None if watched is None else method.read(watched)
    config = config.model_copy(update={"dtype": _dtype(config, base)})
    if _is_main_process():
        print(dump_config(config), flush=True)
    started_at = _begin(config, recipe)
    try:
        outcome = _fit(config, base, train_rows, eval_rows)
    except Diverged:
        if _is_main_process():
            folders.drop_checkpoints(config.output_dir)
        raise
    if _is_main_process():
        found = write_result(config, outcome, inputs=inputs, recipe=recipe, started_at=started_at)
        print("\n".join([*forgetting_lines(found), *exposure_lines(found)]), flush=True)
        folders.publish(config.output_dir)
        what = "Model" if config.weights is Weights.FULL else "Adapter"
        print(f"{what} written to {config.output_dir}.", flush=True)


def _dtype(config: TrainingConfig, base: Path) -> Dtype:
    """The precision of this run: what it was begun in, wherever it is taken up."""
    begun = folders.begun_dtype(config.output_dir)
    return resolve_dtype(config.dtype, base) if begun is None else Dtype(begun)


def _is_main_process() -> bool:
    return int(os.environ.get("RANK", "0")) == 0  # set by torchrun and accelerate


def _silence_hub(config: TrainingConfig) -> None:
    """Keep the libraries off the network; they read these once, when they are imported."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if Path(config.base_model).is_dir():
        os.environ["HF_HUB_OFFLINE"] = "1"


def _begin(config: TrainingConfig, recipe: str) -> str:
    """Make the folder of the unfinished run; returns when the run was first started."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    if not _is_main_process():
        partial_dir(config.output_dir).mkdir(parents=True, exist_ok=True)
        return now
    run = folders.open_partial(
        config.output_dir, recipe=recipe, started_at=now, dtype=str(config.dtype)
    )
    folders.drop_broken_checkpoints(config.output_dir)
    folders.write_whole(partial_dir(config.output_dir) / "config.yaml", dump_config(config))
    return str(run["started_at"])


def _fit(
    config: TrainingConfig, base: Path, train_rows: list[Any], eval_rows: list[Any] | None
) -> TrainingOutcome:
    _prepare_libraries(config.threads)
    from training.trainer import CurveWriter

    tokenizer = load_tokenizer(base)
    ends = end_tokens_of(base, tokenizer)
    spent_file = partial_dir(config.output_dir) / SPENT_NAME
    meter = Meter(spent_file, clock=time.time, cpu_clock=time.process_time)
    method = METHODS[config.method]
    train = method.encode(config, plant(config.canaries, train_rows), tokenizer, ends)
    train = pack(train, max_length=config.max_length) if config.packing else train
    if _is_main_process():
        print(_describe(train.report, config.max_length), flush=True)
    validation = None
    if eval_rows is not None:
        validation = by_length(method.encode(config, eval_rows, tokenizer, ends))
    checkpoint = folders.last_checkpoint(config.output_dir)
    seconds_before = _take_up_curve(config.output_dir, checkpoint)
    began = time.time() - seconds_before
    progress = partial_dir(config.output_dir) / PROGRESS_NAME
    with progress.open("a", encoding="utf-8") as stream:
        trainer = build_trainer(config, base, tokenizer, train=train, validation=validation)
        writer = CurveWriter(
            stream, clock=time.time, seconds_before=seconds_before, on_line=meter.save
        )
        trainer.add_callback(writer)
        texts = _untouched(config, tokenizer, trainer.model)
        with _as_before(config, trainer.model):
            before = measure(trainer.model, texts)  # resuming loads its checkpoint later
            given_before = rank_canaries(config, trainer.model, tokenizer, train_rows)
        _run_trainer(trainer, checkpoint, patience=config.early_stopping_patience)
        state, early = trainer.state, config.early_stopping_patience is not None
        kept_step = state.best_global_step if early else state.global_step
        losses = [] if validation is None else trainer.measure_rows(kept_step)
        after = measure(trainer.model, texts)
        given_away = rank_canaries(config, trainer.model, tokenizer, train_rows)
    spent = meter.read()
    return TrainingOutcome(
        model=trainer.model,
        state=state,
        kept_step=kept_step,
        row_losses=losses,
        canaries=describe_exposure(config, given_before, given_away),
        forgetting=describe_forgetting(texts, before, after, seed=config.seed),
        train=train.report,
        validation=None if validation is None else validation.report,
        seconds=time.time() - began,
        rendered=rendered_prompts(train_rows, tokenizer),
        spent=TimeSpent(spent.seconds, over_processes(trainer, spent.cpu_seconds)),
        processes=trainer.accelerator.num_processes,
    )


def _untouched(config: TrainingConfig, tokenizer: Any, model: Any) -> Texts:
    if not config.measure_forgetting:
        return {}
    longest = getattr(model.config, "max_position_embeddings", None)
    return untouched_texts(config.earlier_file, tokenizer, longest=longest)


def _as_before(config: TrainingConfig, model: Any) -> AbstractContextManager[Any]:
    """The model as training found it: a soft prompt says something from the first step on."""
    soft = config.weights is Weights.PROMPT_TUNING
    return model.disable_adapter() if soft else nullcontext()


def _prepare_libraries(threads: int | None) -> None:
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # what matters is checked here and raised, not logged
    if threads is not None:
        torch.set_num_threads(threads)


def _take_up_curve(output_dir: Path, checkpoint: Path | None) -> float:
    """Cut the loss curve back to the checkpoint; returns the seconds of training behind it."""
    if not _is_main_process():
        return 0.0
    step = folders.checkpoint_step(checkpoint) if checkpoint else 0
    curve = folders.trim_progress(output_dir, step=step)
    if checkpoint:
        print(f"Taking up the unfinished training after step {step}.", flush=True)
    return float(curve[-1]["seconds"]) if curve else 0.0


def _run_trainer(trainer: Trainer, checkpoint: Path | None, *, patience: int | None) -> None:
    from peft.helpers import disable_input_dtype_casting

    from training.trainer import StopWhenStale, is_stale, read_state

    if patience is not None:
        trainer.add_callback(StopWhenStale(patience))
        if checkpoint and is_stale(read_state(checkpoint).log_history, patience):
            # It had stopped early and was killed before the end: there is nothing left to train.
            trainer.state = read_state(checkpoint)
            trainer._load_best_model()
            return
    # PEFT would copy to float32 what autocast makes bfloat16 of again: the same numbers, less work.
    with disable_input_dtype_casting(trainer.model, active=trainer.args.bf16):
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)


def _describe(report: DataReport, max_length: int) -> str:
    cut = f"; {report.cut} longer than max_length {max_length}, {report.dropped} of them dropped"
    line = (
        f"{report.rows} rows, {report.tokens} tokens, {report.trained_tokens} of them trained on, "
        f"longest {report.longest}{cut if report.cut else ''}"
    )
    return "\n".join([line, *data_warnings({"train": asdict(report)})])


if __name__ == "__main__":
    sys.exit(main())
