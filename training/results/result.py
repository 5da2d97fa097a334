"""What a finished training leaves behind: the adapter, `strop.json`, the model card.

All is written to the staging folder of the run; `training.weights.folders.publish` makes it appear.
Given a trained model and the trainer's state; knows nothing of how they were trained.

What a training run has used: time of clock and processors, over all its starts.

Kept in `spent.json` beside the checkpoints and written with every line of the loss curve, so that
the work of a process that was killed counts too.

Who else is told the loss of a training: MLflow, Weights & Biases, TensorBoard, if named.

Nothing is sent anywhere by default. The packages are told where to by their own environment
variables (MLFLOW_TRACKING_URI, WANDB_MODE, ...); TensorBoard writes beside the output folder.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import resource
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from training.config import (
    PROGRESS_NAME,
    RESULT_NAME,
    Reporter,
    TrainingConfig,
    TrainingError,
    Weights,
    dump_config,
    partial_dir,
)
from training.methods import METHODS
from training.results.card import render_card
from training.results.intervals import LOSSES_NAME, RowLoss, describe_losses, write_losses
from training.rows.data import DataReport, token_ids
from training.weights.digest import (
    ADAPTER_FILES,
    TOKENIZER_FILES,
    adapter_sha256,
    ids_sha256,
    model_sha256,
    resolve_model,
    text_sha256,
)
from training.weights.folders import read_progress, write_whole
from training.weights.tensors import model_tensors, read_tensors, require_finite

SPENT_NAME = "spent.json"


@dataclass(frozen=True, slots=True)
class TimeSpent:
    """Seconds by the clock, and seconds of processors (user and system, all threads)."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0


class Meter:
    """Counts from now on, on top of what earlier starts of the run have used.

    Args:
        file: where the count is kept.
        clock, cpu_clock: seconds, of the wall and of this process.
    """

    def __init__(
        self, file: Path, *, clock: Callable[[], float], cpu_clock: Callable[[], float]
    ) -> None:
        self._file = file
        self._clock, self._cpu_clock = clock, cpu_clock
        self._before = read_spent(file)
        self._start, self._cpu_start = clock(), cpu_clock()

    def read(self) -> TimeSpent:
        """What the run has used up to now."""
        return TimeSpent(
            self._before.seconds + self._clock() - self._start,
            self._before.cpu_seconds + self._cpu_clock() - self._cpu_start,
        )

    def save(self) -> None:
        """Keep the count, whole or not at all."""
        write_whole(self._file, json.dumps(asdict(self.read())) + "\n")


def read_spent(file: Path) -> TimeSpent:
    """What earlier starts have used; nothing where there is no file."""
    return TimeSpent(**json.loads(file.read_text("utf-8"))) if file.is_file() else TimeSpent()


def over_processes(trainer: Any, value: float) -> float:
    """The sum of a number over all processes of a training; each must call this."""
    import torch

    own = torch.tensor([value], device=trainer.accelerator.device)
    return float(trainer.accelerator.gather(own).sum())


def cost(seconds: float, price_per_hour: float | None) -> float | None:
    """Seconds of the machine at its price; None where no price was stated."""
    return None if price_per_hour is None else seconds / 3600 * price_per_hour


def check_reporters(config: TrainingConfig) -> None:
    """Raise TrainingError where a package that is to be told is not installed."""
    for name in config.report_to:
        if importlib.util.find_spec(str(name)) is None:
            raise TrainingError(
                f"The loss cannot be reported to {name}: the package is not installed.",
                hint=f"pip install {name}, or leave it out of report_to.",
            )


def name_places(config: TrainingConfig) -> None:
    """Have TensorBoard's files outlive the folder of the unfinished run."""
    if Reporter.TENSORBOARD in config.report_to:
        folder = config.output_dir.with_name(config.output_dir.name + ".tensorboard")
        os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(folder.absolute()))


_LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "safetensors")


_RENDERED = 8  # prompts of which training records what they became


def rendered_prompts(rows: Sequence[Any], tokenizer: Any) -> list[dict[str, Any]]:
    """What some prompts, evenly spread over the file, became.

    Each is {"line", "text_sha256", "ids_sha256"}: digests, not texts, since the record travels with
    the adapter. Empty for documents, which have no prompt.
    """
    asked = [row for row in rows if hasattr(row, "prompt")]
    chosen = asked[:: max(1, len(asked) // _RENDERED)][:_RENDERED]
    return [_rendered(row, tokenizer) for row in chosen]


def _rendered(row: Any, tokenizer: Any) -> dict[str, Any]:
    ids = token_ids(tokenizer, row.prompt, line=row.number, add_generation_prompt=True)
    text = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return {"line": row.number, "text_sha256": text_sha256(text), "ids_sha256": ids_sha256(ids)}


@dataclass(frozen=True, slots=True)
class TrainingOutcome:
    """A model that was trained, and what the trainer counted.

    Attributes:
        model: the PEFT model; with `weights: full` the model itself.
        state: the trainer's state at the end.
        kept_step: the step whose weights the model has.
        train: what the tokeniser made of the training file.
        validation: the same of the validation file.
        row_losses: of the validation rows, at the kept step.
        seconds: wall-clock time spent training, over all starts of the run.
        forgetting: loss on untouched text before and after, by `training.results.forgetting`.
        canaries: what it gives away of canaries, by `training.results.exposure`; None without any.
        rendered: what some prompts became (`rendered_prompts`).
        spent: time of clock and processors, lost work of killed starts included.
        processes: how many trained together.
    """

    model: Any
    state: Any
    kept_step: int
    train: DataReport
    validation: DataReport | None
    seconds: float
    row_losses: Sequence[RowLoss] = ()
    forgetting: Mapping[str, Any] = field(default_factory=dict)
    canaries: Mapping[str, Any] | None = None
    rendered: list[dict[str, Any]] = field(default_factory=list)
    spent: TimeSpent = field(default_factory=TimeSpent)
    processes: int = 1


def write_result(
    config: TrainingConfig,
    outcome: TrainingOutcome,
    *,
    inputs: Mapping[str, str | None],
    recipe: str,
    started_at: str,
) -> dict[str, Any]:
    """Stage the whole result; returns what `strop.json` says.

    Raises:
        TrainingError: a weight is not finite.
    """
    partial = partial_dir(config.output_dir)
    staged = partial / "result"
    shutil.rmtree(staged, ignore_errors=True)
    if config.weights is Weights.FULL:
        _save_model(outcome.model, resolve_model(config.base_model), staged)
    else:
        _save_adapter(outcome.model, staged)
    _require_finite_weights(config, staged)
    shutil.copyfile(partial / PROGRESS_NAME, staged / PROGRESS_NAME)
    if outcome.row_losses:
        write_losses(staged / LOSSES_NAME, outcome.row_losses)
    (staged / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    result = {
        "kind": str(config.method),
        "weights": str(config.weights),
        "recipe_sha256": recipe,
        "manifest_digest": config.manifest_digest,
        "training_set_digest": config.training_set_digest,
        "base_model": config.base_model,
        **inputs,
        **_digests(config, staged),
        **_account(config, outcome),
        "rendered": outcome.rendered,
        "started_at": started_at,
        "ended_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {name: version(name) for name in _LIBRARIES}
        | {"python": platform.python_version()},
        "config": config.model_dump(mode="json"),
        "loss_curve": read_progress(staged / PROGRESS_NAME),
    }
    (staged / RESULT_NAME).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (staged / "README.md").write_text(render_card(result), encoding="utf-8")
    return result


def _save_adapter(model: Any, staged: Path) -> None:
    shape = model.peft_config["default"]
    if shape.is_prompt_learning:
        shape.prompt_tuning_init = "RANDOM"  # else PEFT draws tokens again, to read what is here
    else:  # a set: the digest would vary by start
        shape.target_modules = sorted(shape.target_modules)
    # TRL keeps where DPO and KTO began as an adapter of its own, which is not part of the result.
    model.save_pretrained(staged, save_embedding_layers=False, selected_adapters=["default"])


def _save_model(model: Any, base: Path, staged: Path) -> None:
    """A whole model as its base is kept: same precision, configuration and tokeniser."""
    import torch

    settings = json.loads((base / "config.json").read_text("utf-8"))
    name = settings.get("dtype") or settings.get("torch_dtype") or "float32"
    model.to(getattr(torch, name)).save_pretrained(staged)
    for name in (*TOKENIZER_FILES, "chat_template.jinja", "config.json", "generation_config.json"):
        if (base / name).is_file():
            shutil.copyfile(base / name, staged / name)


def _require_finite_weights(config: TrainingConfig, staged: Path) -> None:
    if config.weights is Weights.FULL:
        require_finite(model_tensors(staged), "The trained model")
    else:
        require_finite(read_tensors(staged / ADAPTER_FILES[1]), "The trained adapter")


def _digests(config: TrainingConfig, staged: Path) -> dict[str, str | None]:
    if config.weights is Weights.FULL:
        return {"adapter_sha256": None, "model_sha256": model_sha256(staged)}
    return {"adapter_sha256": adapter_sha256(staged), "model_sha256": None}


def _account(config: TrainingConfig, outcome: TrainingOutcome) -> dict[str, Any]:
    state = outcome.state
    early = config.early_stopping_patience is not None
    return {
        "train": asdict(outcome.train),
        "validation": _validation(config, outcome),
        "forgetting": dict(outcome.forgetting),
        **({} if outcome.canaries is None else {"canaries": dict(outcome.canaries)}),
        "steps": state.global_step,
        "steps_planned": state.max_steps,
        "stopped_early": early and state.global_step < state.max_steps,
        "best_step": state.best_global_step,
        "kept_step": outcome.kept_step,
        "seconds": round(outcome.seconds, 3),
        "tokens": state.num_input_tokens_seen,
        "peak_memory_bytes": _peak_memory(),
        "peak_gpu_memory_bytes": _peak_gpu_memory(),
        "ledger": _ledger(config, outcome),
    }


def _validation(config: TrainingConfig, outcome: TrainingOutcome) -> dict[str, Any] | None:
    """What was read, what was kept out for it, and what the kept weights cost on it."""
    if outcome.validation is None:
        return None
    figures = describe_losses(outcome.row_losses, seed=config.seed)
    return {
        **asdict(outcome.validation),
        "share": config.validation_share,
        "step": outcome.kept_step,
        **{name: figures[name] for name in METHODS[config.method].figures},
    }


def _ledger(config: TrainingConfig, outcome: TrainingOutcome) -> dict[str, Any]:
    """What the run took, lost work of killed starts included; memory is of the main process."""
    import torch

    run = json.loads((partial_dir(config.output_dir) / "run.json").read_text("utf-8"))
    gpus = outcome.processes if torch.cuda.is_available() else 0
    return {
        "tokens": outcome.state.num_input_tokens_seen,
        "seconds": round(outcome.spent.seconds, 3),
        "cpu_seconds": round(outcome.spent.cpu_seconds, 3),
        "gpu_seconds": round(gpus * outcome.spent.seconds, 3),
        "gpus": gpus,
        "processes": outcome.processes,
        "starts": run["starts"],
        "peak_memory_bytes": _peak_memory(),
        "peak_gpu_memory_bytes": _peak_gpu_memory(),
        "price_per_hour": config.price_per_hour,
        "cost": cost(outcome.spent.seconds, config.price_per_hour),
    }


def _peak_memory() -> int:
    """Bytes of this process alone.

    What getrusage says begins, on Linux, with the peak of the process that started this one.
    """
    if _STATUS.is_file():
        lines = _STATUS.read_text(encoding="utf-8").splitlines()
        found = next((line.split()[1] for line in lines if line.startswith("VmHWM:")), None)
        if found is not None:
            return int(found) * 1024
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage counts kilobytes on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


_STATUS = Path("/proc/self/status")


def _peak_gpu_memory() -> int | None:
    import torch

    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
