"""`strop demo` with a sixth of the rows: the same steps in the same order.

    python -m tests.loop.small_demo demo --no-serve --simulate-experts --home FOLDER

Only how many there are is changed; rows, jobs, trainer and engine are the demo's own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from backend.cli import main
from backend.cli.demo import loop, steps

EXAMPLES = 150
FRACTIONS = (0.6, 0.1, 0.3)
REFERENCES = 60
REVIEWS = 24


@contextmanager
def small() -> Iterator[None]:
    """Let the demo of this process be small."""
    made_with = ("--n", str(EXAMPLES))
    rows = partial(steps.import_examples, made_with=made_with, fractions=FRACTIONS)
    reviewed = partial(steps.untrained_examples, limit=REVIEWS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "import_examples", rows)
        patch.setattr(steps, "FIRST_REFERENCES", REFERENCES)
        patch.setattr(steps, "untrained_examples", reviewed)
        yield


if __name__ == "__main__":
    with small():
        main(sys.argv[1:])
