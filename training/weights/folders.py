"""The folders of one training run: lock, checkpoints, loss curve, and the rename that ends it.

    NAME.lock       held with flock by the living trainer; holds its process id
    NAME.partial/   run.json, config.yaml, progress.jsonl, checkpoints/, result/
    NAME/           the finished adapter; appears whole by one rename of NAME.partial/result

A process that dies at any point leaves either no NAME or a whole one. Knows nothing of torch.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from training.config import (
    PROGRESS_NAME,
    RESULT_NAME,
    AlreadyTraining,
    TrainingError,
    lock_file,
    partial_dir,
)

_CHECKPOINT_FILES = ("optimizer.pt", "scheduler.pt", "trainer_state.json")
_ADAPTER_FILES = ("adapter_model.safetensors", "adapter_config.json")
_MODEL_FILES = (
    ("model.safetensors", "config.json"),
    ("model.safetensors.index.json", "config.json"),
)


@contextmanager
def hold_lock(output_dir: Path) -> Iterator[None]:
    """Be the only trainer of this folder; the kernel lets go when the process dies.

    Raises:
        AlreadyTraining: another process is.
    """
    path = lock_file(output_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            raise AlreadyTraining(
                f"Process {stream.read().strip() or 'unknown'} is training {output_dir} already.",
                hint="Wait for it, or choose another output_dir.",
            ) from error
        stream.truncate(0)
        stream.write(f"{os.getpid()}\n")
        stream.flush()
        yield


def is_finished(output_dir: Path, recipe: str) -> bool:
    """Whether the folder holds the result of this very recipe.

    Raises:
        TrainingError: it holds something else.
    """
    if not output_dir.exists() or (output_dir.is_dir() and not any(output_dir.iterdir())):
        return False
    result = output_dir / RESULT_NAME
    if result.is_file() and json.loads(result.read_text("utf-8"))["recipe_sha256"] == recipe:
        return True
    what = "the result of another training" if result.is_file() else "something else"
    raise TrainingError(f"{output_dir} holds {what}.", hint="Choose another output_dir.")


def begun_dtype(output_dir: Path) -> str | None:
    """The precision in which an unfinished run has learnt something; None where none has."""
    file = partial_dir(output_dir) / "run.json"
    if not file.is_file() or last_checkpoint(output_dir) is None:
        return None
    found: str | None = json.loads(file.read_text("utf-8")).get("dtype")
    return found


def open_partial(output_dir: Path, *, recipe: str, started_at: str, dtype: str) -> dict[str, Any]:
    """Begin or take up the unfinished run of this recipe; returns its `run.json`.

    Args:
        dtype: the precision in which this start trains.

    Raises:
        TrainingError: the unfinished run is of another recipe.
    """
    folder = partial_dir(output_dir)
    file = folder / "run.json"
    fresh: dict[str, Any] = {"recipe_sha256": recipe, "started_at": started_at, "starts": 0}
    run = json.loads(file.read_text("utf-8")) if file.is_file() else fresh
    if run["recipe_sha256"] != recipe and last_checkpoint(output_dir) is None:
        shutil.rmtree(folder)  # nothing was learnt yet that could be lost
        run = fresh
    if run["recipe_sha256"] != recipe:
        raise TrainingError(
            f"{folder} holds an unfinished training with other settings or data.",
            hint="Delete that folder to start anew, or choose another output_dir.",
        )
    run["starts"] += 1
    run["dtype"] = dtype
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(file, json.dumps(run) + "\n")
    return run


def last_checkpoint(output_dir: Path) -> Path | None:
    """The newest checkpoint that was written to its end."""
    folder = partial_dir(output_dir) / "checkpoints"
    found = [path for path in folder.glob("checkpoint-*") if _is_whole(path)]
    return max(found, key=checkpoint_step, default=None)


def checkpoint_step(path: Path) -> int:
    """The number of updates after which a checkpoint was written."""
    return int(path.name.rpartition("-")[2])


def drop_broken_checkpoints(output_dir: Path) -> None:
    """Remove what a killed process left half written."""
    for path in (partial_dir(output_dir) / "checkpoints").glob("*checkpoint-*"):
        if not _is_whole(path):
            shutil.rmtree(path)


def drop_checkpoints(output_dir: Path) -> None:
    """Remove all checkpoints: of a training that diverged, none leads anywhere else."""
    shutil.rmtree(partial_dir(output_dir) / "checkpoints", ignore_errors=True)


def trim_progress(output_dir: Path, *, step: int) -> list[dict[str, Any]]:
    """Keep the loss curve up to a step, since what came after is trained again; returns it."""
    file = partial_dir(output_dir) / PROGRESS_NAME
    kept = [line for line in read_progress(file) if line["step"] <= step]
    write_whole(file, "".join(json.dumps(line) + "\n" for line in kept))
    return kept


def read_progress(file: Path) -> list[dict[str, Any]]:
    """The lines of a loss curve; a last line that is half written is left out."""
    if not file.is_file():
        return []
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def publish(output_dir: Path) -> None:
    """Rename the staged result to its final name, then remove the rest of the run."""
    staged = partial_dir(output_dir) / "result"
    os.rename(staged, output_dir)
    remove_partial(output_dir)


def remove_partial(output_dir: Path) -> None:
    """Remove the unfinished run's folder, if there is one."""
    shutil.rmtree(partial_dir(output_dir), ignore_errors=True)


def write_whole(file: Path, text: str) -> None:
    """Write a text file so that a reader sees the old or the new, never a half."""
    fresh = file.with_name(file.name + ".new")
    fresh.write_text(text, encoding="utf-8")
    os.replace(fresh, file)


def _is_whole(checkpoint: Path) -> bool:
    weights = (_ADAPTER_FILES, *_MODEL_FILES)
    if not any(all((checkpoint / name).is_file() for name in names) for names in weights):
        return False
    if not all((checkpoint / name).is_file() for name in _CHECKPOINT_FILES):
        return False
    try:  # the trainer writes this file last
        json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))
    except ValueError:
        return False
    return True
