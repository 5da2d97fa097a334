"""What a training has used: counted over starts, kept whole, priced."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from training.results.result import Meter, TimeSpent, cost, read_spent


def test_a_second_start_counts_on_top_of_the_first(tmp_path: Path) -> None:
    file = tmp_path / "spent.json"
    for _ in range(2):
        times = {"wall": iter([100.0, 103.0]), "cpu": iter([7.0, 12.0])}
        meter = Meter(file, clock=times["wall"].__next__, cpu_clock=times["cpu"].__next__)
        meter.save()
    assert read_spent(file) == TimeSpent(6.0, 10.0)


def test_nothing_is_spent_before_a_start(tmp_path: Path) -> None:
    assert read_spent(tmp_path / "spent.json") == TimeSpent(0.0, 0.0)


@pytest.mark.parametrize(("seconds", "price", "found"), [(1800, 3.0, 1.5), (60, None, None)])
def test_a_price_is_for_an_hour(seconds: float, price: float | None, found: float | None) -> None:
    assert cost(seconds, price) == found


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_the_peak_memory_is_not_that_of_the_process_that_started_it() -> None:
    told = "from training.results.result import _peak_memory; print(_peak_memory())"
    room = bytearray(900_000_000)
    ended = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert int(ended.stdout) < len(room)
