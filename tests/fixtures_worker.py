"""Worker processes for tests: real ones, that can be killed, with a slow engine of canned answers.

    python -m tests.fixtures_worker --delay 0.05 [--dies-after 5] [--until-idle] [--queues gen]

Settings come from the environment, as for `strop worker`. The models are not checked, since the
fake engine has none.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from backend.engines.fake import FakeEngine
from backend.settings import Settings, child_environment, load_settings

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Be a worker."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--dies-after", type=int)
    parser.add_argument("--until-idle", action="store_true")
    parser.add_argument("--queues", default="gen,score,gpu")
    options = parser.parse_args()
    from backend.jobs.worker import run_worker

    run_worker(
        load_settings(),
        queues=options.queues.split(","),
        until_idle=options.until_idle,
        engines=lambda name, settings: FakeEngine(
            delay_s=options.delay, dies_after=options.dies_after
        ),
        preflight=lambda sessions, engine, run_id: None,
    )


def start_worker(settings: Settings, *arguments: str, name: str = "w1") -> subprocess.Popen[bytes]:
    """Start a worker process of that name."""
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.fixtures_worker", *arguments],
            cwd=ROOT,
            env=child_environment(settings, STROP_EXECUTOR_ID=name),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


@contextmanager
def running_worker(
    settings: Settings, *arguments: str, name: str = "w1"
) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process that is gone when the block ends."""
    process = start_worker(settings, *arguments, name=name)
    try:
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """kill -9, if it still lives."""
    if process.poll() is None:
        os.kill(process.pid, signal.SIGKILL)
    process.wait()


def wait_for(condition: Callable[[], object], *, seconds: float = 60.0) -> None:
    """Wait until the condition holds; an error after so many seconds."""
    due = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > due:
            raise TimeoutError(f"waited {seconds:.0f} s in vain")
        time.sleep(0.02)


if __name__ == "__main__":
    main()
