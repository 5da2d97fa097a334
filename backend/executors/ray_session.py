"""The connection to Ray, of which a process has one at most, and the Ray that is started for it.

A Ray of our own is started by a process of its own (`python -m backend.executors.ray_here`), whose
environment is empty but for what programs need: nodes inherit it, and no secret may be in it. It
ends when the pipe to this process closes, however this process ends. Whoever would speak to it
needs a token that lies in HOME/ray.token: Ray's own place for it is readable by everybody.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from backend.errors import Conflict, ExecutorUnavailable
from backend.private_files import make_file, make_folder

PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV",
             "LD_LIBRARY_PATH", "HF_HOME", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE",
             "CUDA_VISIBLE_DEVICES", "RAY_USAGE_STATS_ENABLED", "RAY_AUTH_MODE",
             "RAY_AUTH_TOKEN_PATH", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO")  # fmt: skip
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
TOKEN_FILE = "ray.token"
OOM_RETRIES = 3  # Ray repeats for ever what memory was too small for
START_SECONDS = 120
REACH_SECONDS = 5.0
HEAD_PORT = 6379


@dataclass(slots=True)
class Session:
    """A cluster that this process has joined.

    Attributes:
        users: executors that use it; with the last one it is left.
        child: the process that holds a Ray of our own.
        joined: False where the process had joined before us.
    """

    address: str | None
    users: int
    child: subprocess.Popen[str] | None
    joined: bool


_lock = threading.Lock()
_sessions: list[Session] = []  # one at most: Ray has one connection for each process


def join(address: str | None, processes: int | None, home: Path) -> Session:
    """Join the cluster, or use it along where this process has joined it.

    Args:
        address: None for a Ray that is started here, with so many `processes`.
        home: where its token lies.

    Raises:
        Conflict: this process works with another cluster.
        ExecutorUnavailable: it cannot be joined.
    """
    with _lock:
        for session in _sessions:
            if session.address != address:
                raise Conflict("This process works with another Ray cluster already.")
            session.users += 1
            return session
        session = _begin(address, processes, home)
        _sessions.append(session)
        return session


def leave(session: Session) -> None:
    """One user less; the last one ends the connection and the Ray of our own."""
    with _lock:
        session.users -= 1
        if session.users:
            return
        _sessions.remove(session)
        if session.joined:
            import ray

            ray.shutdown()
        _end(session.child)


def _begin(address: str | None, processes: int | None, home: Path) -> Session:
    os.environ.update(QUIET)
    if address is None:  # Ray reads it when it is imported
        os.environ.update(_token(home))
    else:
        _require_reachable(address)
    import ray

    if ray.is_initialized():
        return Session(address, 1, None, joined=False)
    child, where = (None, address) if address is not None else _start(processes)
    try:
        _connect(where)
    except BaseException:
        _end(child)
        raise
    return Session(address, 1, child, joined=True)


def _token(home: Path) -> dict[str, str]:
    """What lets this process and its Ray speak to one another, and nobody else."""
    make_folder(home)
    file = (home / TOKEN_FILE).absolute()
    make_file(file)
    if not file.read_text().strip():
        file.write_text(secrets.token_hex(32))
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(file)}


def _connect(where: str) -> None:
    import ray

    try:
        with _own_signals():
            ray.init(
                address=where,
                log_to_driver=False,
                configure_logging=False,
                logging_level=logging.ERROR,
            )
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ExecutorUnavailable(
            f"The Ray cluster at {where} cannot be joined: {first}",
            hint="STROP_RAY_ADDRESS names it; this machine has to be a node of it, or take "
            "ray://HOST:10001.",
        ) from error


def _require_reachable(address: str) -> None:
    """Ray tries for a minute, and then ends the whole process."""
    if address == "auto":
        return
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        known = parts.hostname, parts.port or HEAD_PORT
        socket.create_connection(known, timeout=REACH_SECONDS).close()
    except (OSError, ValueError) as error:
        raise ExecutorUnavailable(
            f"Nobody answers at {address}, where STROP_RAY_ADDRESS has the Ray cluster ({error}).",
            hint="ray start --head prints its address.",
        ) from None


def environment_of_ray(ours: Mapping[str, str]) -> dict[str, str]:
    """What the nodes of a Ray of our own are started with: no setting, no secret."""
    passed = {name: ours[name] for name in PASSED_ON if name in ours}
    return {
        **passed,
        "RAY_task_oom_retries": str(OOM_RETRIES),
        "RAY_RAYLET_START_WAIT_TIME_S": str(START_SECONDS),
    }


def _start(processes: int | None) -> tuple[subprocess.Popen[str], str]:
    """A Ray on this machine, and where its head is."""
    count = processes or len(os.sched_getaffinity(0))
    child = subprocess.Popen(
        [sys.executable, "-m", "backend.executors.ray_here", str(count)],
        env=environment_of_ray(os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert child.stdout is not None
    late = threading.Timer(START_SECONDS, child.kill)
    late.start()
    address = child.stdout.readline().strip()
    late.cancel()
    if not address:
        _end(child)
        raise ExecutorUnavailable(
            "Ray could not be started on this machine.",
            hint="See whether `ray start --head` can; or take STROP_EXECUTOR=local.",
        )
    return child, address


def _end(child: subprocess.Popen[str] | None) -> None:
    if child is None:
        return
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.close()
    try:
        child.wait(timeout=20)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    child.stdout.close()


@contextmanager
def _own_signals() -> Iterator[None]:
    """A worker ends by its own handler of SIGTERM, which Ray would replace."""
    main = threading.current_thread() is threading.main_thread()
    kept = signal.getsignal(signal.SIGTERM) if main else None
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGTERM, kept)
