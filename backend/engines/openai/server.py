"""What is particular to a server of the OpenAI protocol, beside what every server over HTTP has.

Its address, how it says that something is wrong (with status 200 too), and that nothing it says of
the key is repeated. It knows no requests of ours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from backend.engines.openai.events import as_mapping, assemble, is_stream
from backend.engines.openai.parameters import refused_parameters
from backend.engines.remote.server import NoReply, RemoteServer, Retries, ServerReply
from backend.errors import EngineError

CHAT = "/chat/completions"
_CODES: Mapping[str, int] = {
    "invalid_api_key": 401,
    "authentication_error": 401,
    "model_not_found": 404,
    "rate_limit_exceeded": 429,
    "overloaded_error": 503,
    "server_error": 500,
}


class OpenaiServer(RemoteServer):
    """A server at one address.

    Attributes:
        greeting: a request that any server of the models in use answers; None asks nothing.

    Args:
        url: as `address_of` gives it.
        key: taken out of what the server says, too.
        timeout_s: seconds from sending to the last byte.
    """

    called = "server"
    key_hint = "Set STROP_OPENAI_API_KEY to a key for it; then run the same again to resume."
    tried_again = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})

    def __init__(
        self,
        url: str,
        session: aiohttp.ClientSession,
        *,
        key: str | None,
        retries: Retries,
        timeout_s: float,
    ) -> None:
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=10.0)
        super().__init__(url, session, retries=retries, timeout=timeout, key=key)
        self.standstill_s = timeout_s  # a model may think for long between two pieces of a stream
        self.greeting: Mapping[str, Any] | None = None

    async def is_healthy(self) -> bool:
        """Whether it answers a greeting now, at the first attempt."""
        if self.greeting is None:
            return False
        data = json.dumps(self.greeting).encode()
        try:
            return (await self.attempt("POST", CHAT, data, frozenset())).status == 200
        except NoReply:
            return False

    def refuses_key(self, reply: ServerReply) -> bool:
        """Some vendors answer 403 to a parameter that a model does not take."""
        return super().refuses_key(reply) and not refused_parameters(reply)

    def read(self, status: int, raw: bytes) -> ServerReply:
        """What the bytes say: JSON or a stream, an error by status or in the body."""
        if status == 200 and not raw.strip():
            raise NoReply("an empty answer")
        if status == 200 and is_stream(raw):
            body = assemble(raw)
            if body is None:
                raise NoReply("a half-written answer")
            reply = ServerReply(status, body)
        else:
            reply = super().read(status, raw)
        return self._as_error(reply) if status != 200 or _says_error(reply.body) else reply

    def _as_error(self, reply: ServerReply) -> ServerReply:
        """An error under the status that it means, without the key."""
        details = as_mapping(reply.body.get("error"))
        code = details.get("code") or details.get("type")
        meant = code if isinstance(code, int) and 400 <= code < 600 else _CODES.get(str(code))
        status = reply.status if reply.status != 200 else 400
        words = reply.error.replace(self.key, "[key]") if self.key else reply.error
        body = {"error": {**details, "message": words}}
        return ServerReply(meant if meant and status in {200, 400} else status, body)


def address_of(url: str) -> str:
    """An address, written as OPENAI_BASE_URL is, as paths are added to it; `/v1` where it has none.

    Raises:
        EngineError: it is no http address, or holds a password.
    """
    parts = urlsplit(url.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise EngineError(
            "The address of a server for the engine openai is not one of http or https.",
            hint="Write it as https://host/v1.",
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise EngineError(
            f"The address of the server at {parts.hostname} holds more than host and path.",
            hint="Write it as https://host/v1; the key belongs in STROP_OPENAI_API_KEY.",
        )
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"


def _says_error(body: Mapping[str, Any]) -> bool:
    if body.get("error") or body.get("object") == "error":
        return True
    return not {"choices", "data"} & set(body) and bool({"detail", "message"} & set(body))
