"""Several API processes behind one address, on PostgreSQL: `strop up --api-only --api-processes N`.

All accept from one listening socket, which the supervisor holds, so that a process that dies loses
no more than the requests that it was answering; uvicorn's supervisor starts another. Nothing is
kept for a person in one of them: sign-ins, leases, idempotency keys and limits are in the database.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from backend.errors import InvalidInput
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
    """Serve by n processes until SIGTERM or SIGINT; one that ends is started again."""
    from uvicorn.supervisors import Multiprocess

    from backend.cli.operations.up import server_config

    os.environ.update(child_environment(settings))  # what the processes are started with
    config = server_config(
        APPLICATION,
        settings.proxies,
        factory=True,
        workers=n,
        timeout_worker_healthcheck=HEALTH_S,
    )
    Multiprocess(config, sockets=[listener]).run()


def application() -> Any:
    """The API in one of the processes, which ends with its supervisor."""
    from backend.api.app import standalone_app
    from backend.cli.operations.worker_process import end_with_parent
    from backend.db import connect
    from backend.logs import log_without_words

    if (follow := end_with_parent()) is not None:
        follow()
    log_without_words()
    settings = load_settings()
    return standalone_app(settings, connect(settings))
