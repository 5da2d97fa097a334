"""One server as seen over HTTP: asks it, and asks again when it stumbles.

What is tried again: connections refused or cut, timeouts, half-written answers, and the statuses
that a kind of server names; with exponential back-off and jitter, a bounded number of times. Then
`EngineUnavailable`. Every other status comes back to the caller as it is. It knows no requests of
ours and no models.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from backend.engines.prompts import first_line
from backend.errors import EngineError, EngineUnavailable

_ATTEMPTS_AMONG_PEERS = 2
_STANDSTILL_S = 60.0
MOST_BYTES = 64_000_000  # of one answer, with the log-probabilities of all its tokens
TRIED_AGAIN = frozenset({429, 500, 502, 503, 504})
RESUME_HINT = "What was answered is kept; start the server and run the same again to resume."


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how soon a request is tried again.

    The n-th pause is `first_s * 2**n`, at most `longest_s`, times a random factor in [0.5, 1].
    """

    attempts: int = 6
    first_s: float = 0.25
    longest_s: float = 8.0

    def pause(self, tried: int, *, asked_for_s: float = 0.0) -> float:
        """Seconds to wait after `tried` failures; a server may ask for more, up to the longest."""
        own = min(self.first_s * 2.0 ** (tried - 1), self.longest_s) * random.uniform(0.5, 1.0)
        return max(own, min(asked_for_s * random.uniform(1.0, 1.25), self.longest_s))


@dataclass(frozen=True, slots=True)
class ServerReply:
    """A server's answer: HTTP status and decoded JSON (an empty object where there is none).

    `seconds` is from sending to the last byte, of the attempt that brought it alone.
    """

    status: int
    body: Mapping[str, Any]
    seconds: float = 0.0

    @property
    def error(self) -> str:
        """The server's own words on what is wrong."""
        found = self.body.get("error", self.body.get("detail", self.body.get("message")))
        if isinstance(found, Mapping):
            found = found.get("message")
        return str(found or f"status {self.status}")


class NoReply(Exception):
    """An attempt failed in a way that may pass."""

    def __init__(self, reason: str, *, status: int | None = None, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.status = status
        self.wait_s = wait_s


class RemoteServer:
    """A server at one address; a kind of server says what is its own.

    Attributes:
        called: what a server of this kind is called in a sentence.
        key_hint: what to do when it refuses the key.
        tried_again: statuses that may pass.
        standstill_s: seconds without a byte after which an answer that has begun is given up.

    Args:
        url: address to which paths are added.
        session: open HTTP session; the caller closes it.
        key: bearer token, sent with every request to this address and to no other.
    """

    called = "server"
    key_hint = "Set the key that the server expects."
    tried_again = TRIED_AGAIN
    standstill_s = _STANDSTILL_S

    def __init__(
        self,
        url: str,
        session: aiohttp.ClientSession,
        *,
        retries: Retries,
        timeout: aiohttp.ClientTimeout,
        key: str | None = None,
    ) -> None:
        self.url = url
        self.key = key
        self._session = session
        self._retries = retries
        self._timeout = timeout
        self.has_peers = False  # whether others could be asked instead

    async def get(self, path: str) -> ServerReply:
        """GET with retries."""
        return await self._send("GET", path, None, self.tried_again)

    async def post(
        self, path: str, payload: Mapping[str, Any], *, tried_again: frozenset[int] | None = None
    ) -> ServerReply:
        """POST JSON with retries.

        Raises:
            EngineUnavailable: no answer after all attempts.
            EngineError: the server refused the key.
        """
        data = json.dumps(payload).encode()
        return await self._send("POST", path, data, tried_again or self.tried_again)

    async def is_healthy(self) -> bool:
        """Whether the server works now, asked once, after it failed at one request alone."""
        return False

    def refuses_key(self, reply: ServerReply) -> bool:
        """Whether a reply says that the key does not open this server."""
        return reply.status in {401, 403}

    def read(self, status: int, raw: bytes) -> ServerReply:
        """What the bytes of an answer say.

        Raises:
            NoReply: they are half of an answer.
        """
        body = decode(raw)
        if body is None and status == 200 and raw.lstrip()[:1] == b"{":
            raise NoReply("a half-written answer")
        return ServerReply(status, body or {})

    async def _send(
        self, method: str, path: str, data: bytes | None, tried_again: frozenset[int]
    ) -> ServerReply:
        failures = 0
        while True:
            try:
                reply = await self.attempt(method, path, data, tried_again)
            except NoReply as failure:
                failures += 1
                if failures >= self._most_attempts(failure):
                    return await self._give_up(failure, failures)
                await asyncio.sleep(self._retries.pause(failures, asked_for_s=failure.wait_s))
                continue
            if self.refuses_key(reply):
                raise EngineError(
                    f"The {self.called} at {self.url} refused the token: {reply.error}.",
                    hint=self.key_hint,
                )
            return reply

    def _most_attempts(self, failure: NoReply) -> int:
        """A server that is busy is worth waiting for; one that fails is not, if it has peers."""
        passes = failure.status not in {None, 500}
        most = self._retries.attempts
        return most if passes or not self.has_peers else min(most, _ATTEMPTS_AMONG_PEERS)

    async def attempt(
        self, method: str, path: str, data: bytes | None, tried_again: frozenset[int]
    ) -> ServerReply:
        """Ask once.

        Raises:
            NoReply: nothing that can be used came back, which may pass.
        """
        headers = {"Content-Type": "application/json"} if data is not None else {}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        sent = time.perf_counter()
        try:
            async with self._session.request(
                method,
                self.url + path,
                data=data,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,  # texts go to no address that nobody named
            ) as response:
                raw = await self._bytes_of(response)
                seconds = time.perf_counter() - sent
                status, wait = response.status, response.headers.get("Retry-After", "")
                location = response.headers.get("Location", "")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NoReply(first_line(error)) from error
        if 300 <= status < 400:
            raise EngineError(
                f"The {self.called} at {self.url} points to another address "
                f"({_without_query(location)}).",
                hint="Name that address, if it is the one you mean.",
            )
        read = self.read(status, raw)
        reply = ServerReply(read.status, read.body, seconds)
        if reply.status in tried_again:
            raise NoReply(
                f"status {reply.status}, {reply.error}",
                status=reply.status,
                wait_s=seconds_asked_for(wait),
            )
        return reply

    async def _bytes_of(self, response: aiohttp.ClientResponse) -> bytes:
        """The whole body, unless it has no end that an answer could have."""
        raw = bytearray(await response.content.readany())  # the first may be long in coming
        while len(raw) <= MOST_BYTES:
            if response.content.at_eof():
                return bytes(raw)
            async with asyncio.timeout(self.standstill_s):
                raw += await response.content.readany()
        raise EngineError(
            f"The {self.called} at {self.url} answers with more than {MOST_BYTES:,} bytes."
        )

    async def _give_up(self, failure: NoReply, failures: int) -> ServerReply:
        """A server that lives and fails on this request alone has answered; another is gone."""
        if failure.status == 500 and await self.is_healthy():
            return ServerReply(500, {"error": f"{failure} ({failures} attempts)"})
        raise EngineUnavailable(
            f"The {self.called} at {self.url} does not answer "
            f"({failures} attempts; the last: {failure}).",
            hint=RESUME_HINT,
        )


def _without_query(location: str) -> str:
    """An address as a sentence may repeat it."""
    plain = location.partition("?")[0].rpartition("@")[2][:200]
    return plain if plain and plain.isprintable() else "which it does not name"


def seconds_asked_for(wait: str) -> float:
    """A Retry-After header, which is seconds or a date; 0 for what is neither."""
    try:
        return max(0.0, float(wait))
    except ValueError:
        pass
    try:
        due = parsedate_to_datetime(wait)
    except ValueError:
        return 0.0
    return max(0.0, (due - datetime.now(due.tzinfo and UTC)).total_seconds())


def decode(raw: bytes) -> dict[str, Any] | None:
    """The JSON object in a body; None when it is something else."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
