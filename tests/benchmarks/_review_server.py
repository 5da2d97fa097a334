"""The API in a process of its own, as benchmarks of the review desk load it."""

from __future__ import annotations

import threading
import time
from typing import Any

from backend.api.app import standalone_app
from backend.client import StropClient
from backend.db import connect
from backend.settings import Settings


def serve(settings: Settings, port: Any, cpu: Any) -> None:
    """The API alone in this process; tells its port when it listens, and its processor time."""
    import socket

    import uvicorn

    def tell() -> None:
        while True:
            cpu.value = time.process_time()
            time.sleep(0.1)

    threading.Thread(target=tell, daemon=True).start()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()  # clients come as soon as the port is known
    port.value = listener.getsockname()[1]
    app = standalone_app(settings, connect(settings))
    config = uvicorn.Config(app, log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


def wait_until_up(url: str, token: str) -> None:
    """Wait until the server answers; SystemExit when it does not."""
    from backend.errors import ServerUnavailable

    with StropClient(url, token=token) as strop:
        for _ in range(200):
            try:
                strop.accounts.me()
                return
            except ServerUnavailable:
                time.sleep(0.1)
    raise SystemExit("the server did not come up")
