"""Adapter folders as engines see them: two files, safetensors only, a rank and a fingerprint.

Whether the folder lies under the artifact root and belongs to this base is for the service that
registers adapters; an engine refuses what it must not open or cannot fit.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.engines.base import ServedModel
from backend.errors import InvalidInput

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
PICKLE_SUFFIXES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib"})


@dataclass(frozen=True, slots=True)
class AdapterFolder:
    """What an adapter's folder says of itself.

    Attributes:
        rank: the largest LoRA rank in it, patterns included.
    """

    path: Path
    rank: int
    config: dict[str, Any]


def read_adapter(path: Path) -> AdapterFolder:
    """Check an adapter's folder and read its configuration; opens no weights.

    Raises:
        InvalidInput: a file is missing or not JSON, or the folder holds a pickle.
    """
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (path / name).is_file():
            raise InvalidInput(
                f"{path} is not an adapter: it has no {name}.",
                hint="Name the folder that PEFT's save_pretrained wrote, with safetensors.",
            )
    refuse_pickles(path)
    try:
        config = json.loads((path / CONFIG_FILE).read_text(encoding="utf-8"))
        ranks = [config["r"], *(config.get("rank_pattern") or {}).values()]
        return AdapterFolder(path=path, rank=max(int(rank) for rank in ranks), config=config)
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"{path / CONFIG_FILE} is not the configuration of a LoRA adapter.",
            hint="Save the adapter again with PEFT.",
        ) from error


def refuse_pickles(path: Path) -> None:
    """Raise InvalidInput when a folder holds a file that is loaded by running code."""
    pickles = sorted(file.name for file in path.iterdir() if file.suffix in PICKLE_SUFFIXES)
    if pickles:
        raise InvalidInput(
            f"{path} holds {', '.join(pickles)}, which could run code when it is opened.",
            hint="Save the adapter as safetensors and delete that file.",
        )


def content_digest(model: ServedModel) -> str:
    """The adapter's known digest, else one of its two files, so that a changed folder shows.

    Raises:
        InvalidInput: the folder is not an adapter.
    """
    if model.adapter_path is None:
        raise ValueError(f"{model.name} is a base model, not an adapter")
    if model.adapter_sha256:
        return model.adapter_sha256
    read_adapter(model.adapter_path)
    digest = hashlib.sha256()
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        with (model.adapter_path / name).open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def shared_base(models: list[ServedModel]) -> str:
    """The one base model of all; raises InvalidInput when there are none or several."""
    bases = sorted({model.base_model for model in models})
    if len(bases) != 1:
        raise InvalidInput(
            f"One engine serves one base model, but {len(bases)} were named"
            + (f": {', '.join(bases)}." if bases else "."),
            hint="Run the models of each base by themselves.",
        )
    return bases[0]
