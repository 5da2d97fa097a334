"""The worker beside a server: started, started again when it dies, ended when the server ends."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import typer

from backend.settings import Settings, child_environment

STOP_SECONDS = 15.0
LONGEST_PAUSE_S = 30.0
Start = Callable[[Settings], "subprocess.Popen[bytes]"]
PR_SET_PDEATHSIG = 1  # linux/prctl.h


@contextlib.contextmanager
def worker_process(settings: Settings, *, start: Start | None = None) -> Iterator[None]:
    """A worker process for as long as the context is open; started again when it dies."""
    ending = threading.Event()
    keeper = threading.Thread(
        target=keep_worker, args=(settings, ending, start or start_worker), name="worker-keeper"
    )
    keeper.start()
    try:
        yield
    finally:
        ending.set()
        keeper.join()


def keep_worker(settings: Settings, ending: threading.Event, start: Start) -> None:
    """Start a worker, wait, start it again when it ended by itself; pauses grow to 30 s."""
    pause = 1.0
    while not ending.is_set():
        started = time.monotonic()
        process = start(settings)
        while process.poll() is None and not ending.wait(0.2):
            pass
        if ending.is_set():
            break
        lived = time.monotonic() - started
        pause = 1.0 if lived > LONGEST_PAUSE_S else min(pause * 2, LONGEST_PAUSE_S)
        typer.echo(
            f"The worker ended with code {process.returncode}; next start in {pause:.0f} s.",
            err=True,
        )
        ending.wait(pause)
    end_process(process)


def start_worker(settings: Settings) -> subprocess.Popen[bytes]:
    """`strop worker` with these settings, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "backend.cli", "worker"],
        env=child_environment(settings),
        start_new_session=True,
        preexec_fn=end_with_parent(),
    )


def end_with_parent() -> Callable[[], Any] | None:
    """On Linux: what a child calls so that it gets SIGTERM when this server is killed.

    Without it a killed server leaves its worker behind, and the next one starts a second.
    """
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return partial(prctl, PR_SET_PDEATHSIG, int(signal.SIGTERM))


def end_process(process: subprocess.Popen[bytes]) -> None:
    """Ask the process to end, and end it after a while."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
