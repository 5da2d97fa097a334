"""What the dashboard's page is told about its host: that it opens no dialog over somebody's work.

When the line to the server breaks, Streamlit's page lays a dialog over everything and takes the
focus, in the middle of a word that is being typed. The desk says by itself that it is alone, and
goes on. The rest of the answer stays as Streamlit makes it.
"""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from typing import Any

PATH = "/_stcore/host-config"
QUIET = {"blockErrorDialogs": True}


class NoErrorDialogs:
    """Adds to the answer that the page asks for when it starts."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != PATH:
            await self.app(scope, receive, send)
            return
        from starlette.datastructures import MutableHeaders

        start: MutableMapping[str, Any] = {}
        body = b""

        async def send_changed(message: MutableMapping[str, Any]) -> None:
            nonlocal body
            if message["type"] == "http.response.start":
                start.update(message)
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            changed = json.dumps(json.loads(body) | QUIET).encode() if body else body
            MutableHeaders(scope=start)["Content-Length"] = str(len(changed))
            await send(start)
            await send({"type": "http.response.body", "body": changed})

        plain = [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]
        await self.app({**scope, "headers": plain}, receive, send_changed)
