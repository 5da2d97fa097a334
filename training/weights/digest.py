"""Which model is this? sha256 of base models, tokenisers, chat templates, adapters and files.

A digest covers the names and the contents of the files that decide what the model computes, so two
copies in different folders agree and a changed, missing or added file shows. Reads in blocks: no
torch, and never more than a few megabytes in memory.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from training.config import TrainingConfig, TrainingError, Weights

_BLOCK = 1 << 22
TOKENIZER_FILES = (
    "added_tokens.json", "merges.txt", "special_tokens_map.json", "tokenizer.json",
    "tokenizer.model", "tokenizer_config.json", "vocab.json", "vocab.txt",
)  # fmt: skip
_HUB_PATTERNS = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt"]
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


class NoSuchModel(TrainingError):
    """A folder does not hold the model, tokeniser or adapter that was asked for."""


def file_sha256(path: Path) -> str:
    """Digest of one file's bytes."""
    digest = hashlib.sha256()
    _update(digest, path)
    return digest.hexdigest()


def model_sha256(path: Path) -> str:
    """Digest of a base model: its top-level safetensors and config.json.

    Raises:
        NoSuchModel: either is missing.
    """
    weights = [f for f in path.glob("*.safetensors") if not f.name.startswith("adapter_")]
    if not weights:
        raise NoSuchModel(f"{path} holds no safetensors weights.", hint="Name a base model folder.")
    return _digest_files(path, [f.name for f in weights] + ["config.json"])


def tokenizer_sha256(path: Path) -> str:
    """Digest of the tokeniser files of a model folder, chat_template.jinja apart."""
    present = [name for name in TOKENIZER_FILES if (path / name).is_file()]
    if not present:
        raise NoSuchModel(f"{path} holds no tokeniser.", hint="Save it beside the weights.")
    return _digest_files(path, present)


def template_sha256(path: Path) -> str:
    """Digest of the chat template text, wherever the tokeniser keeps it."""
    return hashlib.sha256(read_template(path).encode()).hexdigest()


def adapter_sha256(path: Path) -> str:
    """Digest of a PEFT adapter: adapter_model.safetensors and adapter_config.json."""
    return _digest_files(path, ADAPTER_FILES)


def read_template(path: Path) -> str:
    """The default chat template of a model folder.

    Raises:
        NoSuchModel: the folder has none; a base without one cannot be prompted with messages.
    """
    file = path / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    config = path / "tokenizer_config.json"
    found = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
    template = found.get("chat_template")
    if isinstance(template, list):
        template = {entry["name"]: entry["template"] for entry in template}.get("default")
    if not isinstance(template, str):
        raise NoSuchModel(
            f"{path} has no chat template.", hint="Save chat_template.jinja beside the tokeniser."
        )
    return template


def resolve_model(name: str) -> Path:
    """The folder of a model: the folder itself, else the local hub cache, else a hub download.

    Raises:
        NoSuchModel: it is in none of the three.
    """
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    for local_only in (True, False):
        try:
            return Path(
                snapshot_download(name, local_files_only=local_only, allow_patterns=_HUB_PATTERNS)
            )
        except LocalEntryNotFoundError:
            continue
        except (HFValidationError, HfHubHTTPError, OSError) as error:
            reason = str(error).strip().splitlines()[0]
            raise _unknown_model(name, f" ({reason})") from error
    raise _unknown_model(name, "")


def text_sha256(text: str) -> str:
    """Digest of a text's bytes in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def ids_sha256(token_ids: Iterable[int]) -> str:
    """Digest of token ids, written as decimals with a space between them."""
    return hashlib.sha256(" ".join(str(token) for token in token_ids).encode()).hexdigest()


def inputs_sha256(config: TrainingConfig, base: Path) -> dict[str, str | None]:
    """sha256 by name of base, tokeniser, template, data files and the model to go on from.

    Raises:
        TrainingError: one of them cannot be read.
    """
    start, validation = config.start_from, config.validation_file
    try:
        return {
            "base_sha256": model_sha256(base),
            "tokenizer_sha256": tokenizer_sha256(base),
            "template_sha256": template_sha256(base),
            "train_sha256": file_sha256(config.train_file),
            "validation_sha256": None if validation is None else file_sha256(validation),
            "start_from_sha256": None if start is None else _digest_start(config, start),
        }
    except OSError as error:
        raise TrainingError(f"{error.filename} cannot be read: {error.strerror}.") from error


def _digest_start(config: TrainingConfig, start: Path) -> str:
    full = config.weights is Weights.FULL and not (start / ADAPTER_FILES[0]).is_file()
    return model_sha256(start) if full else adapter_sha256(start)


def _unknown_model(name: str, reason: str) -> NoSuchModel:
    return NoSuchModel(
        f"There is no model {name!r}: no such folder, not in the hub cache, and the hub did not "
        f"give it{reason}.",
        hint="Name a folder with config.json and safetensors, or a hub model this machine reaches.",
    )


def _digest_files(folder: Path, names: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for name in sorted(names):
        file = folder / name
        if not file.is_file():
            raise NoSuchModel(f"{folder} has no {name}.", hint="Is it the right folder?")
        digest.update(f"{name}\0{file.stat().st_size}\0".encode())
        _update(digest, file)
    return digest.hexdigest()


def _update(digest: hashlib._Hash, file: Path) -> None:
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
