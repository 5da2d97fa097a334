"""Worker processes for tests: real ones, that can be killed, with a slow engine of canned answers.

    with running_worker(settings, "--quick", "40", "--delay", "1.1", "--until-idle") as worker:

Settings come from the environment, as for `strop worker`. The models are not checked, since the
fake engine has none. Workers are forked off a process that has loaded what they load, which would
take each of them some seconds of a processor.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, repeat
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from backend.engines.base import GenerationRequest
from backend.engines.fake import FakeEngine, echo_last_message
from backend.settings import Settings, child_environment, load_settings

GO_ON = "go-on"  # once this file is in the home of workers, their answers have no delay


def be_worker(arguments: Sequence[str]) -> None:
    """Be a worker."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay", type=float, default=0.0, help="seconds for each answer")
    parser.add_argument("--quick", type=int, default=0, help="answers before the first delay")
    parser.add_argument("--part-delay", type=float, default=0.0, help="seconds after each part")
    parser.add_argument("--dies-after", type=int, help="answers until the server is gone")
    parser.add_argument("--until-idle", action="store_true")
    parser.add_argument("--queues", default="gen,score,gpu")
    options = parser.parse_args(arguments)
    from backend.jobs.worker import KINDS, run_worker

    settings = load_settings()
    run_worker(
        settings,
        queues=options.queues.split(","),
        until_idle=options.until_idle,
        engines=lambda name, settings: FakeEngine(
            answer=partial(
                _answer_on_record,
                settings.home,
                settings.executor_id,
                chain(repeat(0.0, options.quick), repeat(options.delay)),
            ),
            dies_after=options.dies_after,
        ),
        preflight=lambda *_, **__: None,
        kinds={kind: partial(_slowly, parts, options.part_delay) for kind, parts in KINDS.items()},
    )


def _answer_on_record(
    home: Path, name: str, delays: Iterator[float], request: GenerationRequest
) -> str:
    """An answer after a while, with a line in a file for every time that one was asked for."""
    due = time.monotonic() + next(delays)
    while time.monotonic() < due and not (home / GO_ON).exists():
        time.sleep(0.01)
    with (home / f"asked-{name}").open("a", encoding="utf-8") as stream:
        stream.write(request.key + "\n")
    return echo_last_message(request)


def _slowly(kind: Callable[[Any, Any], Iterator[None]], delay: float, *job: Any) -> Iterator[None]:
    for _ in kind(*job):
        time.sleep(delay)
        yield


_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["backend.jobs.worker", "dbos"])


class WorkerChild(ForkServerProcess):
    """A worker, with the methods of a process that was started by a command."""

    def wait(self, seconds: float | None = None) -> int | None:
        """The exit code, None where it has not ended after so many seconds."""
        self.join(seconds)
        return self.exitcode


def _begin(environment: dict[str, str], log: Path, arguments: Sequence[str]) -> None:
    os.setsid()
    with log.open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    os.environ.clear()
    os.environ.update(environment)
    be_worker(arguments)


def start_worker(settings: Settings, *arguments: str, name: str = "w1") -> WorkerChild:
    """Start a worker process of that name."""
    settings.home.mkdir(parents=True, exist_ok=True)
    environment = child_environment(settings, STROP_EXECUTOR_ID=name)
    worker = WorkerChild(
        target=_begin, args=(environment, settings.home / f"{name}.log", arguments)
    )
    worker.start()
    return worker


@contextmanager
def running_worker(settings: Settings, *arguments: str, name: str = "w1") -> Iterator[WorkerChild]:
    """A worker process that is gone when the block ends."""
    process = start_worker(settings, *arguments, name=name)
    try:
        yield process
    finally:
        kill(process)


def kill(process: WorkerChild) -> None:
    """kill -9, if it still lives."""
    process.kill()
    process.join()


def end(process: WorkerChild, *, seconds: float = 60.0) -> int | None:
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
