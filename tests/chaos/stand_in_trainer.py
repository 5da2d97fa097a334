"""A trainer without a network: `python -m tests.chaos.stand_in_trainer --config run.yaml`.

It keeps the whole contract of the real one towards the worker: the lock, the unfinished run with
its count of starts, checkpoints from which a killed run goes on, progress, the result that appears
by one rename, the exit codes. Only the updates are no gradient: each hashes what it had with the
rows it sees, so that the weights at the end tell of every update that was lost or made twice.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from training.config import (
    EXIT_DONE,
    PROGRESS_NAME,
    RESULT_NAME,
    TrainingConfig,
    TrainingError,
    load_config,
    partial_dir,
    recipe_sha256,
)
from training.rows.data import DataReport
from training.weights import digest, folders

TEMPLATE_VARIABLE = "STROP_CHAOS_ADAPTER"
STEPS = 40
STEP_SECONDS = 0.04
WEIGHTS = "adapter_model.safetensors"
STATE = "state.json"


def main() -> int:
    """Train as the configuration says; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    try:
        train(load_config(parser.parse_args().config))
    except TrainingError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return EXIT_DONE


def train(config: TrainingConfig) -> None:
    """Hash to the end, or take up where a killed run stopped."""
    with folders.hold_lock(config.output_dir):
        inputs = digest.inputs_sha256(config, digest.resolve_model(config.base_model))
        recipe = recipe_sha256(config, inputs)
        if folders.is_finished(config.output_dir, recipe):
            folders.remove_partial(config.output_dir)
            return
        folders.open_partial(
            config.output_dir, recipe=recipe, started_at="2026-05-04T09:00:00", dtype="float32"
        )
        stage(config, run_steps(config), {"recipe_sha256": recipe, **inputs})
        folders.publish(config.output_dir)


def run_steps(config: TrainingConfig) -> str:
    """All updates, each kept before the next; returns what the last one made."""
    folder = partial_dir(config.output_dir)
    rows = config.train_file.read_bytes()
    kept = {"step": 0, "state": hashlib.sha256(rows).hexdigest()}
    if (folder / STATE).is_file():
        kept = json.loads((folder / STATE).read_text("utf-8"))
    folders.trim_progress(config.output_dir, step=int(kept["step"]))
    state = str(kept["state"])
    for step in range(int(kept["step"]) + 1, STEPS + 1):
        time.sleep(STEP_SECONDS)
        state = hashlib.sha256(f"{state}/{step}".encode() + rows).hexdigest()
        with (folder / PROGRESS_NAME).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"step": step, "loss": 1 / step}) + "\n")
        folders.write_whole(folder / STATE, json.dumps({"step": step, "state": state}))
    return state


def stage(config: TrainingConfig, state: str, result: dict[str, object]) -> None:
    """Write the whole result beside its place: weights drawn from the last state."""
    template = Path(os.environ[TEMPLATE_VARIABLE])
    staged = partial_dir(config.output_dir) / "result"
    shutil.rmtree(staged, ignore_errors=True)
    shutil.copytree(template, staged)
    shutil.copyfile(partial_dir(config.output_dir) / PROGRESS_NAME, staged / PROGRESS_NAME)
    rng = np.random.default_rng(int(state[:16], 16))
    drawn = {
        name: rng.normal(size=values.shape).astype(values.dtype)
        for name, values in sorted(load_file(template / WEIGHTS).items())
    }
    save_file(drawn, staged / WEIGHTS, metadata={"format": "pt"})
    n_rows = len(config.train_file.read_text("utf-8").splitlines())
    result |= {
        "kind": str(config.method),
        "weights": str(config.weights),
        "manifest_digest": config.manifest_digest,
        "training_set_digest": config.training_set_digest,
        "base_model": config.base_model,
        "train": asdict(DataReport(n_rows, 0, 0, 0, 0, 0)),
        "config": config.model_dump(mode="json"),
        "loss_curve": folders.read_progress(staged / PROGRESS_NAME),
        "adapter_sha256": digest.adapter_sha256(staged),
    }
    (staged / RESULT_NAME).write_text(json.dumps(result) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
