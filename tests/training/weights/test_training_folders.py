"""The folders of a run: one trainer at a time, whole checkpoints only, no half result."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from training.config import (
    PROGRESS_NAME,
    RESULT_NAME,
    AlreadyTraining,
    TrainingError,
    lock_file,
    partial_dir,
    progress_file,
)
from training.weights.folders import (
    begun_dtype,
    drop_broken_checkpoints,
    hold_lock,
    is_finished,
    last_checkpoint,
    open_partial,
    publish,
    trim_progress,
)

FILES = ("adapter_model.safetensors", "adapter_config.json", "optimizer.pt", "scheduler.pt")


def write_checkpoint(output: Path, step: int, *, state: str = "{}", missing: str = "") -> Path:
    folder = partial_dir(output) / "checkpoints" / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    for name in FILES:
        if name != missing:
            (folder / name).write_text("")
    (folder / "trainer_state.json").write_text(state)
    return folder


def test_that_a_second_holder_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    output = tmp_path / "v1"
    with (
        hold_lock(output),
        pytest.raises(AlreadyTraining, match=f"Process {os.getpid()} is training"),
        hold_lock(output),
    ):
        pass


def test_that_a_lock_left_behind_does_not_hold(tmp_path: Path) -> None:
    lock_file(tmp_path / "v1").write_text("123456\n")
    with hold_lock(tmp_path / "v1"):
        assert lock_file(tmp_path / "v1").read_text() == f"{os.getpid()}\n"


@pytest.mark.parametrize(
    "broken",
    [{"state": '{"global_st'}, {"missing": "optimizer.pt"}, {"missing": FILES[0]}],
    ids=["half a state", "no optimizer", "no weights"],
)
def test_that_a_half_written_checkpoint_is_passed_over(
    tmp_path: Path, broken: dict[str, str]
) -> None:
    output = tmp_path / "v1"
    whole = [write_checkpoint(output, step) for step in (9, 10)]
    half = write_checkpoint(output, 20, **broken)
    assert last_checkpoint(output) == whole[1]
    drop_broken_checkpoints(output)
    assert not half.exists()
    assert all(path.exists() for path in whole)


def test_that_the_curve_is_cut_back_to_the_checkpoint(tmp_path: Path) -> None:
    output = tmp_path / "v1"
    partial_dir(output).mkdir()
    lines = "".join(json.dumps({"step": step}) + "\n" for step in (1, 5, 6))
    progress_file(output).write_text(lines + '{"step": 7, "lo')
    assert trim_progress(output, step=5) == [{"step": 1}, {"step": 5}]
    assert progress_file(output).read_text() == '{"step": 1}\n{"step": 5}\n'


def test_that_an_unfinished_run_of_another_recipe_is_kept(tmp_path: Path) -> None:
    output = tmp_path / "v1"
    open_partial(output, recipe="a", started_at="then", dtype="float32")
    write_checkpoint(output, 5)
    with pytest.raises(TrainingError, match="other settings or data"):
        open_partial(output, recipe="b", started_at="now", dtype="float32")
    assert (
        open_partial(output, recipe="a", started_at="now", dtype="float32")["started_at"] == "then"
    )


def test_that_a_run_without_a_checkpoint_gives_way(tmp_path: Path) -> None:
    output = tmp_path / "v1"
    open_partial(output, recipe="a", started_at="then", dtype="float32")
    assert (
        open_partial(output, recipe="b", started_at="now", dtype="float32")["started_at"] == "now"
    )


@pytest.mark.parametrize(
    ("files", "finished"),
    [
        ({}, False),
        ({RESULT_NAME: '{"recipe_sha256": "a"}'}, True),
        ({RESULT_NAME: '{"recipe_sha256": "b"}'}, None),
        ({"notes.txt": ""}, None),
    ],
    ids=["empty", "ours", "another training", "something else"],
)
def test_when_an_output_folder_is_finished(
    tmp_path: Path, files: dict[str, str], finished: bool | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    if finished is None:
        with pytest.raises(TrainingError, match="Choose another output_dir"):
            is_finished(tmp_path, "a")
    else:
        assert is_finished(tmp_path, "a") is finished


def test_that_publishing_moves_the_whole_result_and_cleans_up(tmp_path: Path) -> None:
    output = tmp_path / "v1"
    staged = partial_dir(output) / "result"
    staged.mkdir(parents=True)
    (staged / PROGRESS_NAME).write_text("")
    folder = staged.stat().st_ino
    publish(output)
    assert output.stat().st_ino == folder, "moved by one rename, not copied file by file"
    assert progress_file(output) == output / PROGRESS_NAME
    assert not partial_dir(output).exists()


def test_that_a_run_goes_on_in_the_precision_that_it_was_begun_in(tmp_path: Path) -> None:
    output = tmp_path / "v1"
    open_partial(output, recipe="a", started_at="then", dtype="bfloat16")
    assert begun_dtype(output) is None  # nothing was learnt in it yet
    write_checkpoint(output, 3)
    assert begun_dtype(output) == "bfloat16"
