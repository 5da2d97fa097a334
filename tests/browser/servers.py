"""Servers for browser tests: `strop up` in a process of its own, that can be stopped and killed.

Starting the command takes five seconds of a processor, nearly all of it to load the code. So a
server is forked off a process that has loaded it once, and from there on does what the command
does. `running_command` starts the command itself.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from backend.settings import Settings, child_environment

ROOT = Path(__file__).parents[2]
LOADED = [__name__, "pytest", "backend.api.app", "backend.cli.operations.up", "dashboard.app",
          "uvicorn.lifespan.on", "uvicorn.loops.auto"]  # fmt: skip
END_SECONDS = 120
_PARENT = multiprocessing.get_context("forkserver")
_PARENT.set_forkserver_preload(LOADED)


class ServerChild(ForkServerProcess):
    """A server, with the methods of a process that was started by a command."""

    def send_signal(self, number: int) -> None:
        """Send a signal, as `kill` does."""
        assert self.pid is not None
        os.kill(self.pid, number)

    def wait(self) -> None:
        """Wait until it has ended."""
        self.join(END_SECONDS)
        assert self.exitcode is not None


def _begin(
    environment: dict[str, str], arguments: list[str], log: Path, output: Connection
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    with log.open("ab") as errors:
        os.dup2(errors.fileno(), 2)
    os.dup2(output.fileno(), 1)
    from backend.cli import main

    main(arguments)


@contextmanager
def running_server(settings: Settings, *, port: int = 0) -> Iterator[tuple[str, ServerChild]]:
    """`strop up` without a worker; yields its address and the process, and ends it."""
    log = settings.home / "server.log"
    said, output = _PARENT.Pipe(duplex=False)
    arguments = ["up", "--port", str(port), "--no-worker"]
    server = ServerChild(target=_begin, args=(child_environment(settings), arguments, log, output))
    server.start()
    output.close()
    try:
        with os.fdopen(os.dup(said.fileno())) as lines:
            yield _address(lines.readline(), log), server
    finally:
        said.close()
        if server.is_alive():
            server.terminate()
        server.wait()
        server.close()


@contextmanager
def running_command(settings: Settings) -> Iterator[tuple[str, subprocess.Popen]]:  # type: ignore[type-arg]
    """`strop up` with its worker, as one starts it; yields its address and the process."""
    log = settings.home / "server.log"
    command = [sys.executable, "-m", "backend.cli", "up", "--port", str(settings.port)]
    with log.open("ab") as errors:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=child_environment(settings),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        assert process.stdout is not None
        yield _address(process.stdout.readline(), log), process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=END_SECONDS)


def _address(line: str, log: Path) -> str:
    """The address that a server says when it listens."""
    assert line.startswith("Strop is at "), f"{line}{log.read_text()}"
    return line.split()[3]
