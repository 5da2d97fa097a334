"""`strop demo` with a sixth of the rows: the same steps in the same order.

    python -m tests.loop.small_demo demo --no-serve --simulate-experts --home FOLDER

Only how many there are is changed; rows, jobs, trainer and engine are the demo's own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from backend.cli import main
from backend.cli.demo import steps

SHARES = (0.6, 0.1, 0.3)


@contextmanager
def small() -> Iterator[None]:
    """Let the demo of this process be small."""
    size = replace(steps.OWN_BASE, rows=150, references=60, reviews=24, shares=SHARES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "OWN_BASE", size)
        yield


if __name__ == "__main__":
    with small():
        main(sys.argv[1:])
