"""A small HTTP/1.1 client for load: one connection, kept alive, that can be dropped at any moment.

A full client costs more processor time than the server it measures; on two cores that would be the
figure. This one writes a request, reads a head and a body by its length, and knows nothing else.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Wire:
    """One connection to a server on 127.0.0.1; `times` keeps milliseconds by name of the act."""

    port: int
    authorization: str
    times: dict[str, list[float]]
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = field(
        default=None, init=False
    )

    @property
    def own_port(self) -> int:
        """The client's port of the open connection; RuntimeError where none is open."""
        if self._streams is None:
            raise RuntimeError("no connection is open")
        return int(self._streams[1].get_extra_info("sockname")[1])

    async def ask(
        self, act: str, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> tuple[int, Any]:
        """Status and JSON of the answer; a dropped connection is made anew first."""
        started = time.perf_counter()
        try:
            status, content = await self._exchange(method, path, body)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.drop()  # a server closes what was idle for long; every act is safe to send again
            status, content = await self._exchange(method, path, body)
        self.times[act].append((time.perf_counter() - started) * 1000)
        return status, _read_json(content)

    async def _exchange(
        self, method: str, path: str, body: Mapping[str, Any] | None
    ) -> tuple[int, bytes]:
        reader, writer = await self._open()
        writer.write(self._request(method, path, body))
        return await _read(reader)

    async def send_and_die(self, method: str, path: str, body: Mapping[str, Any]) -> None:
        """Send a request whole and break the connection before the answer is read."""
        _, writer = await self._open()
        writer.write(self._request(method, path, body))
        await writer.drain()
        self.drop()

    def drop(self) -> None:
        """Break the connection, as a client does that dies."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port)
        return self._streams

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None) -> bytes:
        content = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: {self.authorization}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        return head.encode() + content


def _read_json(content: bytes) -> Any:
    """What was answered; a page of HTML, as some servers send with an error, is its first words."""
    try:
        return json.loads(content) if content else None
    except ValueError:
        return {"detail": content[:200].decode(errors="replace")}


async def _read(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    lines = head.split("\r\n")
    headers = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines[1:])
    }
    status = int(lines[0].split()[1])
    if headers.get("transfer-encoding") == "chunked":
        return status, await _read_chunks(reader)
    return status, await reader.readexactly(int(headers.get("content-length", 0)))


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    content = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        content += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return content
