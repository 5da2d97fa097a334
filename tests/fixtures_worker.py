"""Worker processes for tests: real ones, that can be killed, with a slow engine of canned answers.

    python -m tests.fixtures_worker [--delay 0.05] [--quick 40] [--dies-after 5] [--until-idle]

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
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from backend.engines.base import GenerationRequest
from backend.engines.fake import FakeEngine, echo_last_message
from backend.settings import Settings, child_environment, load_settings

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Be a worker."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay", type=float, default=0.0, help="seconds for each answer")
    parser.add_argument("--quick", type=int, default=0, help="answers before the first delay")
    parser.add_argument("--part-delay", type=float, default=0.0, help="seconds after each part")
    parser.add_argument("--dies-after", type=int, help="answers until the server is gone")
    parser.add_argument("--until-idle", action="store_true")
    parser.add_argument("--queues", default="gen,score,gpu")
    options = parser.parse_args()
    from backend.jobs.worker import KINDS, run_worker

    settings = load_settings()
    run_worker(
        settings,
        queues=options.queues.split(","),
        until_idle=options.until_idle,
        engines=lambda name, settings: FakeEngine(
            answer=partial(
                _answer_on_record,
                settings.home / f"asked-{settings.executor_id}",
                chain(repeat(0.0, options.quick), repeat(options.delay)),
            ),
            dies_after=options.dies_after,
        ),
        preflight=lambda *_, **__: None,
        kinds={kind: partial(_slowly, parts, options.part_delay) for kind, parts in KINDS.items()},
    )


def _answer_on_record(file: Path, delays: Iterator[float], request: GenerationRequest) -> str:
    """An answer after a while, with a line in the file for every time that one was asked for."""
    time.sleep(next(delays))
    with file.open("a", encoding="utf-8") as stream:
        stream.write(request.key + "\n")
    return echo_last_message(request)


def _slowly(kind: Callable[[Any, Any], Iterator[None]], delay: float, *job: Any) -> Iterator[None]:
    for _ in kind(*job):
        time.sleep(delay)
        yield


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


def end(process: subprocess.Popen[bytes], *, seconds: float = 60.0) -> int:
    """Ask it to end as `kill` does, and give its exit code."""
    process.terminate()
    return process.wait(seconds)


def wait_for(condition: Callable[[], object], *, seconds: float = 180.0) -> None:
    """Wait until the condition holds; an error after so many seconds."""
    due = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > due:
            raise TimeoutError(f"waited {seconds:.0f} s in vain")
        time.sleep(0.02)


if __name__ == "__main__":
    main()
