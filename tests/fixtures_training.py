"""Trainings that take a second: their configuration, and what they record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from training import sft


def write_small_config(folder: Path, base: Path, values: dict[str, Any]) -> Path:
    """A configuration in `folder`, whose adapter comes to `folder/v1`; `values` go before.

    What is forgotten is not measured, which takes longer than such a training.
    """
    common = {
        "base_model": str(base),
        "output_dir": str(folder / "v1"),
        "manifest_digest": "5" * 64,
        "lora": {"rank": 4, "alpha": 8, "dropout": 0.0},
        "learning_rate": 0.02,
        "batch_size": 4,
        "max_length": 64,
        "threads": 1,
        "measure_forgetting": False,
    }
    file = folder / "run.yaml"
    file.write_text(yaml.safe_dump(common | values))
    return file


def train_and_read(config: Path) -> dict[str, Any]:
    """Train to the end and read what was recorded."""
    assert sft.main(["--config", str(config)]) == 0
    result: dict[str, Any] = json.loads((config.parent / "v1" / "strop.json").read_text())
    return result
