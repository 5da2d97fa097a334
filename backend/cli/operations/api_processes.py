"""Several API processes behind one address, on PostgreSQL: `strop up --api-only --api-processes N`.

All accept from one listening socket, which the supervisor holds, so that a process that dies loses
no more than the requests that it was answering; uvicorn's supervisor starts another. Nothing is
kept for a person in one of them: sign-ins, leases, idempotency keys and limits are in the database.
"""

from __future__ import annotations

import os
import socket
from multiprocessing import parent_process
from typing import Any

import typer

from backend.errors import Conflict, InvalidInput, StropError
from backend.settings import Settings, child_environment, load_settings

APPLICATION = "backend.cli.operations.api_processes:application"
HEALTH_S = 60  # a process that is busy for long is not dead; one that hangs is killed after this


def check_processes(settings: Settings, n: int, *, dashboard: bool) -> None:
    """InvalidInput where n API processes cannot serve."""
    if n < 1:
        raise InvalidInput("There has to be an API process.", hint="--api-processes 1 or more.")
    if n == 1:
        return
    if settings.url.startswith("sqlite"):
        raise InvalidInput(
            "On SQLite the API is one process: a file has one writer at a time, and only within a "
            "process do writers wait in turn.",
            hint="Set STROP_DATABASE_URL to a PostgreSQL database for several.",
        )
    if dashboard:
        raise InvalidInput(
            "The dashboard holds its sessions in its own process, so several serve the API alone.",
            hint="Add --api-only, and run the dashboard beside it: the guide Operations says how.",
        )


def run_processes(settings: Settings, listener: socket.socket, n: int) -> None:
    """Serve by n processes until SIGTERM or SIGINT; one that ends is started again.

    Raises:
        Conflict: a process could not begin to serve.
    """
    from uvicorn.config import STARTUP_FAILURE
    from uvicorn.supervisors import Multiprocess

    from backend.cli.operations.up import server_config

    class Supervisor(Multiprocess):
        """Learns of the end of a process that it waits to hear from, since nobody else holds the
        other end of the pipe; uvicorn's own would wait for the whole of HEALTH_S, deaf to signals.
        """

        def keep_subprocess_alive(self) -> None:
            for process in self.processes:
                process.child_conn.close()
            super().keep_subprocess_alive()

    os.environ.update(child_environment(settings))  # what the processes are started with
    config = server_config(
        APPLICATION,
        settings.proxies,
        factory=True,
        workers=n,
        timeout_worker_healthcheck=HEALTH_S,
    )
    supervisor = Supervisor(config, sockets=[listener])
    supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        raise Conflict("The server did not start.", hint="The lines above say why.")


def application() -> Any:
    """The API in one of the processes, which ends with its supervisor.

    Raises:
        SystemExit: the supervisor is gone already, or what would fail again at every start.
    """
    from uvicorn.config import STARTUP_FAILURE

    from backend.api.app import standalone_app
    from backend.cli.operations.worker_process import end_with_parent
    from backend.db import connect
    from backend.logs import log_without_words

    if (follow := end_with_parent()) is not None:
        follow()
    if (parent := parent_process()) is not None and not parent.is_alive():
        raise SystemExit(1)  # it was killed before this process could follow it
    log_without_words()
    try:
        settings = load_settings()
        return standalone_app(settings, connect(settings))
    except StropError as error:
        typer.echo(f"Error: {error}", err=True)
        raise SystemExit(STARTUP_FAILURE) from None
