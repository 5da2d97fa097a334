"""An adapter written into its base: a whole model for servers that load no adapters.

The folder appears whole or not at all, and nothing is overwritten. Its strop.json names the weights
that it was made of, so that what the adapter learned from stays known.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy.orm import Session, sessionmaker

from backend.db import reading
from backend.engines.adapters.fit import is_head_or_embedding, is_tied
from backend.engines.adapters.folders import FACTS_FILE, AdapterFolder, read_json_object
from backend.errors import Conflict, InvalidInput
from backend.services.models.merging import find_adapter
from backend.services.models.placing import remove_folder
from backend.services.models.seen import see_adapter
from backend.tables.models import ModelVersion
from training.config import TrainingError
from training.weights.digest import model_sha256, resolve_model
from training.weights.merging import merge_into_base

CONVERTER = "convert_hf_to_gguf.py"


@dataclass(frozen=True, slots=True)
class Exported:
    """A written model; `gguf` is the file beside its weights, where one was asked for."""

    folder: Path
    label: str
    sha256: str
    dtype: str
    gguf: Path | None = None


@dataclass(frozen=True, slots=True)
class _Source:
    label: str
    adapter: Path
    base_model: str
    facts: dict[str, Any]


def export_merged(
    sessions: sessionmaker[Session],
    project_id: int,
    label: str,
    out: Path,
    *,
    converter: Path | None = None,
) -> Exported:
    """Write an adapter and its base as one model into a new folder.

    Args:
        converter: llama.cpp's script (`find_converter`), which then writes a GGUF beside it.

    Raises:
        Conflict: `out` is there already.
        InvalidInput: the model is no adapter, its files changed, or its base cannot take it in.
    """
    out = out.expanduser().absolute()
    if out.exists() or out.is_symlink():
        raise Conflict(f"{out} is there already.", hint="Name a folder that is not there yet.")
    if not out.parent.is_dir():
        raise InvalidInput(f"There is no folder {out.parent}.", hint="Make it first.")
    with reading(sessions) as session:
        source = _source(find_adapter(session, project_id, label))
    scratch = out.with_name(f".{out.name}.{uuid4().hex}.new")
    try:
        exported = _write(source, scratch, out)
        gguf = None if converter is None else _convert(converter, scratch, out)
        scratch.rename(out)
    except TrainingError as error:
        raise InvalidInput(error.message, hint=error.hint) from error
    finally:
        remove_folder(scratch)
    return Exported(out, source.label, exported["model_sha256"], exported["dtype"], gguf)


def find_converter() -> Path:
    """llama.cpp's converter of Hugging Face models.

    Raises:
        InvalidInput: it is not on the PATH.
    """
    found = shutil.which(CONVERTER)
    if found is None:
        raise InvalidInput(
            f"There is no {CONVERTER} on the PATH, which writes GGUF files.",
            hint="It comes with llama.cpp (a clone of its repository, or brew install llama.cpp) "
            "and not with the package gguf.",
        )
    return Path(found)


def _source(model: ModelVersion) -> _Source:
    facts = {
        "method": "merged into its base",
        "merged_from": [{"label": model.label, "sha256": model.adapter_sha256, "weight": 1.0}],
        "base_model": model.base_model,
        "base_sha256": model.base_sha256,
        "tokenizer_sha256": model.tokenizer_sha256,
        "template_sha256": model.template_sha256,
    }
    return _Source(model.label, Path(str(model.adapter_path)), model.base_model, facts)


def _write(source: _Source, scratch: Path, out: Path) -> dict[str, Any]:
    """Write model and record into a folder that nobody reads yet; returns the record."""
    seen = see_adapter(source.adapter, source.base_model)
    (parent,) = source.facts["merged_from"]
    if seen.digest != parent["sha256"]:
        raise InvalidInput(
            f"The files of {source.label} changed since it was registered.",
            hint="Register them: strop adapter add",
        )
    base = resolve_model(source.base_model)
    _require_mergeable(source.label, seen.folder, base)
    dtype = merge_into_base(base, source.adapter, scratch)
    facts = {**source.facts, "dtype": dtype, "model_sha256": model_sha256(scratch)}
    (scratch / FACTS_FILE).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return facts


def _require_mergeable(label: str, adapter: AdapterFolder, base: Path) -> None:
    """Refuse bases whose weights are packed, and changes of one half of a tied pair."""
    if adapter.soft_prompt is not None:
        raise InvalidInput(
            f"{label} is a soft prompt: it changes no weight of its base.",
            hint="Run it with --engine local.",
        )
    settings = read_json_object(base / "config.json")
    if settings.get("quantization_config"):
        raise InvalidInput(
            f"The base of {label} is quantised, and an adapter cannot be added to packed weights.",
            hint="Merge it into the whole base, and quantise that.",
        )
    changed = [pair.module for pair in adapter.pairs] + list(adapter.config.modules_to_save)
    halves = [module for module in changed if is_head_or_embedding(module)]
    if halves and is_tied(base):
        raise InvalidInput(
            f"{label} changes {halves[0]}, which in its base is one weight with its other half: "
            "merged, both would change.",
            hint="Serve the adapter beside its base.",
        )


def _convert(converter: Path, scratch: Path, out: Path) -> Path:
    """Have a GGUF written beside the weights; returns where it will lie.

    Raises:
        InvalidInput: the converter failed, in its own last words.
    """
    name = f"{out.name}.gguf"
    command = [str(converter), str(scratch), "--outfile", str(scratch / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not (scratch / name).is_file():
        said = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise InvalidInput(
            f"{converter.name} wrote no GGUF: {said[-1][:300] if said else 'it said nothing'}.",
            hint="Export without --gguf, and convert the folder yourself.",
        )
    return out / name
