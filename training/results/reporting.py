"""Who else is told the loss of a training: MLflow, Weights & Biases, TensorBoard, if named.

Nothing is sent anywhere by default. The packages are told where to by their own environment
variables (MLFLOW_TRACKING_URI, WANDB_MODE, ...); TensorBoard writes beside the output folder.
"""

from __future__ import annotations

import importlib.util
import os

from training.config import Reporter, TrainingConfig, TrainingError


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
