"""Adapter folders on disk: what is refused, and what can be known without loading a model.

Only safetensors are read, and of those only the header. A folder must lie below the artifact root,
hold no pickle, and fit the base model tensor by tensor.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.errors import Forbidden, InvalidInput

PICKLE_SUFFIXES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy"})
WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
FACTS = "strop.json"
_MAX_HEADER_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class AdapterFolder:
    """What an adapter's folder says of itself.

    Attributes:
        facts: what training recorded in strop.json; empty for adapters made elsewhere.
        shapes: tensor name -> shape.
    """

    path: Path
    rank: int
    base_model: str
    facts: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A fully trained model's folder; `facts` is what training recorded in strop.json."""

    path: Path
    facts: dict[str, Any]


def read_model(path: Path, *, artifact_root: Path) -> ModelFolder:
    """Look at the folder of a whole model without loading it.

    Raises:
        Forbidden: it lies outside the artifact root, or holds a pickle.
        InvalidInput: a file is missing, truncated or not what it should be.
    """
    folder = _confined(path, artifact_root)
    _read_json(folder / "config.json")
    for file in folder.glob("*.safetensors"):
        tensor_shapes(file)
    facts = _read_json(folder / FACTS) if (folder / FACTS).exists() else {}
    return ModelFolder(folder, facts)


def read_adapter(path: Path, *, artifact_root: Path) -> AdapterFolder:
    """Look at an adapter folder without loading it.

    Raises:
        Forbidden: it lies outside the artifact root, or holds a pickle.
        InvalidInput: a file is missing, truncated or not what it should be.
    """
    folder = _confined(path, artifact_root)
    config = _read_json(folder / CONFIG)
    if config.get("peft_type") != "LORA":
        raise InvalidInput(
            f"{path} is a {config.get('peft_type')} adapter.", hint="Strop serves LoRA adapters."
        )
    facts = _read_json(folder / FACTS) if (folder / FACTS).exists() else {}
    return AdapterFolder(
        path=folder,
        rank=int(config.get("r", 0)),
        base_model=str(config.get("base_model_name_or_path", "")),
        facts=facts,
        shapes=tensor_shapes(folder / WEIGHTS),
    )


def _confined(path: Path, artifact_root: Path) -> Path:
    folder = path.resolve()
    if not folder.is_relative_to(artifact_root.resolve()):
        raise Forbidden(
            f"The adapter {path} lies outside the artifact root {artifact_root}.",
            hint="Copy it below that folder, or set STROP_ARTIFACT_ROOT.",
        )
    if not folder.is_dir():
        raise InvalidInput(f"There is no adapter folder {path}.", hint="Name a PEFT folder.")
    _refuse_pickles(folder)
    return folder


def _refuse_pickles(folder: Path) -> None:
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() in PICKLE_SUFFIXES:
            raise Forbidden(
                f"The adapter folder holds {file.name}, which may be a pickle and could run code.",
                hint="Save the adapter as safetensors and remove that file.",
            )
        if file.is_symlink() and not file.resolve().is_relative_to(folder):
            raise Forbidden(
                f"The adapter folder holds {file.name}, a link that leads out of it.",
                hint="Copy the file itself.",
            )


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidInput(
            f"{file.parent} has no {file.name}.", hint="Is it a PEFT adapter folder?"
        ) from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InvalidInput(f"{file} is not JSON: {error}.", hint="Save the adapter anew.") from None
    if not isinstance(content, dict):
        raise InvalidInput(f"{file} does not hold an object.", hint="Save the adapter anew.")
    return content


def tensor_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of a safetensors file, from its header.

    Raises InvalidInput when the file is missing, cut short or not safetensors.
    """
    if not file.is_file():
        raise InvalidInput(f"{file.parent} has no {file.name}.", hint="Only safetensors are read.")
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or not 2 <= length <= min(size - 8, _MAX_HEADER_BYTES):
            raise _damaged(file)
        try:
            header = json.loads(stream.read(length))
        except (UnicodeDecodeError, json.JSONDecodeError):
            raise _damaged(file) from None
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    end = max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
    if not tensors or 8 + length + end != size:
        raise _damaged(file)
    return {name: tuple(entry["shape"]) for name, entry in tensors.items()}


def _damaged(file: Path) -> InvalidInput:
    return InvalidInput(
        f"{file} is cut short or is not a safetensors file.", hint="Copy or save it again."
    )


def check_fits_base(adapter: AdapterFolder, base: Path) -> None:
    """Check that every LoRA pair of the adapter fits a weight of the base.

    Raises InvalidInput that names the first tensor that does not fit.
    """
    weights: dict[str, tuple[int, ...]] = {}
    for file in base.glob("*.safetensors"):
        weights |= tensor_shapes(file)
    for name, shape in adapter.shapes.items():
        module, _, part = name.removeprefix("base_model.model.").partition(".lora_")
        if part not in {"A.weight", "B.weight"}:
            continue
        target = weights.get(f"{module}.weight")
        # A is (rank, in), B is (out, rank), the weight is (out, in).
        fits = (
            target is not None
            and len(shape) == 2
            and (shape[1] == target[1] if part == "A.weight" else shape[0] == target[0])
        )
        if not fits:
            raise InvalidInput(
                f"The adapter {adapter.path.name} was made for another base model: {name} has "
                f"shape {shape}, the base has {target}.",
                hint=f"It names {adapter.base_model or 'no base'}; register it with that base.",
            )
