"""The worker beside a server: started, started again when it dies, ended when the server ends.

A worker that gives no sign of life on its pulse, a pipe, is killed and started again: one that is
caught in a call that never returns would hold its jobs for ever. The pulse knows nothing of the
database, so that a locked one ends no worker.
"""

from __future__ import annotations

import contextlib
import os
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
SILENCE_S = 120.0  # without a sign of life; a start on a busy machine takes half a minute
Start = Callable[[Settings, int], "subprocess.Popen[bytes]"]
PR_SET_PDEATHSIG = 1  # linux/prctl.h


@contextlib.contextmanager
def worker_process(
    settings: Settings, *, start: Start | None = None, silence: float = SILENCE_S
) -> Iterator[None]:
    """A worker process for as long as the context is open; started again when it dies.

    Args:
        start: starts a worker that writes to the file descriptor it is given while it lives.
        silence: seconds without a sign of life after which a worker is killed.
    """
    ending = threading.Event()
    keeper = threading.Thread(
        target=keep_worker,
        args=(settings, ending, start or start_worker, silence),
        name="worker-keeper",
    )
    keeper.start()
    try:
        yield
    finally:
        ending.set()
        keeper.join()


def keep_worker(settings: Settings, ending: threading.Event, start: Start, silence: float) -> None:
    """Start a worker, wait, start it again when it ended or fell silent; pauses grow to 30 s."""
    pause = 1.0
    while not ending.is_set():
        started = time.monotonic()
        pulse, theirs = os.pipe()
        process = start(settings, theirs)
        os.close(theirs)
        try:
            fell_silent = await_end(process, pulse, ending, silence)
        finally:
            os.close(pulse)
        if ending.is_set():
            break
        lived = time.monotonic() - started
        pause = 1.0 if lived > LONGEST_PAUSE_S else min(pause * 2, LONGEST_PAUSE_S)
        how = f"gave no sign of life for {silence:.0f} s and was killed"
        said = how if fell_silent else f"ended with code {process.returncode}"
        typer.echo(f"The worker {said}; next start in {pause:.0f} s.", err=True)
        ending.wait(pause)
    end_process(process)


def await_end(
    process: subprocess.Popen[bytes], pulse: int, ending: threading.Event, silence: float
) -> bool:
    """Until the process ends, or `ending`; True if it fell silent, and was killed for it."""
    os.set_blocking(pulse, False)
    heard = time.monotonic()
    while process.poll() is None and not ending.wait(0.2):
        with contextlib.suppress(BlockingIOError):
            if os.read(pulse, 4096):
                heard = time.monotonic()
        if time.monotonic() - heard > silence:
            process.kill()  # SIGTERM would wait for a call that does not return
            process.wait()
            return True
    return False


def start_worker(settings: Settings, pulse: int) -> subprocess.Popen[bytes]:
    """`strop worker` with these settings, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "backend.cli", "worker", "--pulse", str(pulse)],
        env=child_environment(settings),
        start_new_session=True,
        preexec_fn=end_with_parent(),
        pass_fds=(pulse,),
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
