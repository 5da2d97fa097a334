"""The local executor: order, errors, and a process that dies."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from backend.executors.local import LocalExecutor


def double(number: int) -> int:
    return 2 * number


def refuse(number: int) -> int:
    raise ValueError(f"not {number}")


def die_once(mark: str) -> str:
    file = Path(mark)
    if not file.exists():
        file.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return file.name


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_items(processes: int) -> None:
    executor = LocalExecutor(processes)
    try:
        assert list(executor.map(double, range(50))) == [2 * n for n in range(50)]
        assert list(executor.map(double, [])) == []
    finally:
        executor.close()


@pytest.mark.parametrize("processes", [1, 2])
def test_what_the_work_raises_is_raised(processes: int) -> None:
    executor = LocalExecutor(processes)
    try:
        with pytest.raises(ValueError, match="not 3"):
            list(executor.map(refuse, [3]))
        assert list(executor.map(double, [1])) == [2]
    finally:
        executor.close()


def test_work_is_done_again_where_a_process_died(tmp_path: Path) -> None:
    executor = LocalExecutor(2)
    marks = [str(tmp_path / f"{n}") for n in range(2)]
    try:
        assert list(executor.map(die_once, marks)) == ["0", "1"]
    finally:
        executor.close()
