"""The local executor: order, errors, and a process that dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from backend.errors import UnknownName
from backend.executors.local import LocalExecutor
from tests.fixtures_worker import wait_for


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


def test_a_process_that_died_while_nothing_was_done_is_replaced(tmp_path: Path) -> None:
    executor = LocalExecutor(2)
    try:
        for pid in set(executor.map(stay, [0.0, 0.0])):
            with suppress(ProcessLookupError):  # the pool ends the others where it sees one die
                os.kill(pid, signal.SIGKILL)
            wait_for(lambda pid=pid: _gone(pid), seconds=30)
        assert list(executor.map(double, range(10))) == [2 * n for n in range(10)]
    finally:
        executor.close()


class Peculiar(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


def fail_in_a_peculiar_way(number: int) -> int:
    raise Peculiar("this", "that")


def name_nothing_known(number: int) -> int:
    raise UnknownName("metric", "rogue", ["rouge"])


def stay(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def test_errors_come_back_whatever_their_class_is_made_from() -> None:
    executor = LocalExecutor(2)
    try:
        with pytest.raises(RuntimeError, match="Peculiar: this and that"):
            list(executor.map(fail_in_a_peculiar_way, [1]))
        with pytest.raises(UnknownName, match="nearest first: rouge") as caught:
            list(executor.map(name_nothing_known, [1]))
        assert caught.value.hint == "Known, nearest first: rouge."
        assert list(executor.map(double, [1])) == [2], "the pool is whole"
    finally:
        executor.close()


def test_no_more_is_taken_from_the_items_than_is_under_way() -> None:
    executor, taken = LocalExecutor(2), []

    def items() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    try:
        results = executor.map(double, items())
        assert next(results) == 0
        assert len(taken) == 4
        results.close()  # type: ignore[attr-defined]
        assert len(taken) == 4
    finally:
        executor.close()


_HOLDS_A_POOL = """
import sys
from backend.executors.local import LocalExecutor
from tests.backend.executors.test_local import stay
if __name__ == "__main__":
    executor = LocalExecutor(2)
    print(*executor.map(stay, [0.1, 0.1]), flush=True)
    list(executor.map(stay, [600.0, 600.0]))
"""


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_no_process_of_a_pool_outlives_the_one_that_started_it(tmp_path: Path) -> None:
    script = tmp_path / "holds.py"
    script.write_text(_HOLDS_A_POOL)
    root = Path(__file__).parents[3]
    process = subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert process.stdout is not None
    pids = [int(pid) for pid in process.stdout.readline().split()]
    assert pids
    assert not any(map(_gone, pids))
    process.kill()
    process.wait()
    process.stdout.close()
    wait_for(lambda: all(map(_gone, pids)), seconds=30)
