"""The digests of all that a training reads: they decide, with the settings, what comes out."""

from __future__ import annotations

from pathlib import Path

from training.config import TrainingConfig, TrainingError, Weights
from training.weights import digest


def digest_inputs(config: TrainingConfig, base: Path) -> dict[str, str | None]:
    """sha256 by name of base, tokeniser, template, data files and the model to go on from.

    Raises:
        TrainingError: one of them cannot be read.
    """
    start, validation = config.start_from, config.validation_file
    try:
        return {
            "base_sha256": digest.model_sha256(base),
            "tokenizer_sha256": digest.tokenizer_sha256(base),
            "template_sha256": digest.template_sha256(base),
            "train_sha256": digest.file_sha256(config.train_file),
            "validation_sha256": None if validation is None else digest.file_sha256(validation),
            "start_from_sha256": None if start is None else _digest_start(config, start),
        }
    except OSError as error:
        raise TrainingError(f"{error.filename} cannot be read: {error.strerror}.") from error


def _digest_start(config: TrainingConfig, start: Path) -> str:
    full = config.weights is Weights.FULL and not (start / digest.ADAPTER_FILES[0]).is_file()
    return digest.model_sha256(start) if full else digest.adapter_sha256(start)
