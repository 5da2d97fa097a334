"""A GGUF file as a folder of safetensors that is trained, served and read like any base model.

    python -m training.weights.from_gguf --file model.gguf --out FOLDER

Weights are unpacked to bfloat16; what quantising had lost stays lost. Tokeniser and chat template
come from the file. The folder appears whole or not at all. Needs the package `gguf`; imports torch
and transformers inside its functions.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.errors import TrainingError


def convert(file: Path, out: Path) -> None:
    """Write the folder in one rename.

    Raises:
        TrainingError: `gguf` is not installed, the folder is there, or the file cannot be read or
            holds no chat template.
    """
    require_gguf()
    if out.exists():
        raise TrainingError(f"{out} is there already.", hint="Name another folder.")
    part = out.with_name(f"{out.name}.{os.getpid()}.part")
    try:
        _write(file, part)
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def require_gguf() -> None:
    """Raise TrainingError where the package that reads such files is not installed."""
    if importlib.util.find_spec("gguf") is None:
        raise TrainingError(
            "Reading a GGUF file needs the package gguf, which is not installed.",
            hint='pip install "gguf>=0.10"',
        )


def _write(file: Path, part: Path) -> None:
    model, tokenizer = _read(file)
    if tokenizer.chat_template is None:
        raise TrainingError(f"{file} holds no chat template, so nobody could talk to the model.")
    model.hf_quantizer = None  # else it would be saved as what it no longer is
    vars(model.config).pop("quantization_config", None)
    model.config.name_or_path = ""
    model.save_pretrained(part)
    tokenizer.save_pretrained(part)


def _read(file: Path) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    try:
        model = AutoModelForCausalLM.from_pretrained(
            file.parent,
            gguf_file=file.name,
            quantization_config=GgufConfig(gguf_file=file.name, dequantize=True),
            dtype=torch.bfloat16,
            local_files_only=True,
        )
        tokenizer = AutoTokenizer.from_pretrained(
            file.parent, gguf_file=file.name, local_files_only=True
        )
    except (OSError, ValueError, KeyError, IndexError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise TrainingError(f"{file} cannot be read as GGUF: {reason}") from error
    return model, tokenizer


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert as the options say; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--file", type=Path, required=True, help="the GGUF file")
    parser.add_argument("--out", type=Path, required=True, help="folder to write; not there yet")
    options = parser.parse_args(arguments)
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        convert(options.file, options.out)
    except TrainingError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
