"""How deliveries travel: signed, with a deadline, never through a redirect, never inwards.

The worker runs `keep_delivering` in a thread of its own, so that a slow receiver holds up no job.
No transaction is open while a receiver is asked. Where a delivery may go is decided at the moment
of sending, by the address to which its name resolves then: a name that an engineer of the project
set, and no loopback, private or link-local address unless STROP_WEBHOOK_PRIVATE says so.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from backend.db import reading, utc_now
from backend.services.webhook_deliveries import (
    Message,
    any_due,
    claim_due,
    claim_one,
    record_outcome,
)

TIMEOUT_S = 10.0
PAUSE_S = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a receiver answered, or why there was no answer."""

    status: int | None
    error: str | None


class PrivateAddress(OSError):
    """The address is one of our own network."""


class _OutwardsOnly(AbstractResolver):
    """Resolves names, and refuses those that lead inwards."""

    def __init__(self) -> None:
        self._names = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._names.resolve(host, port, family)
        for address in found:
            refuse_inwards(address["host"])
        return found

    async def close(self) -> None:
        await self._names.close()


def refuse_inwards(address: str) -> None:
    """OSError for an IP address that is not on the public internet."""
    given = ipaddress.ip_address(address.partition("%")[0])
    mapped = given.ipv4_mapped if isinstance(given, ipaddress.IPv6Address) else None
    if not (mapped or given).is_global or (mapped or given).is_multicast:
        raise PrivateAddress(
            errno.EACCES,
            f"{address} is a private address; STROP_WEBHOOK_PRIVATE=true allows such receivers",
        )


def deliver_due(
    sessions: sessionmaker[Session],
    *,
    private: bool,
    clock: Callable[[], datetime] = utc_now,
    timeout_s: float = TIMEOUT_S,
) -> int:
    """Send what is due, once each; returns how many were tried."""
    with reading(sessions) as session:
        if not any_due(session, now=clock()):
            return 0
    with sessions.begin() as session:
        messages = claim_due(session, now=clock())
    _send_and_note(sessions, messages, private=private, clock=clock, timeout_s=timeout_s)
    return len(messages)


def deliver_now(
    sessions: sessionmaker[Session],
    delivery_id: int,
    *,
    private: bool,
    clock: Callable[[], datetime] = utc_now,
    timeout_s: float = TIMEOUT_S,
) -> Outcome:
    """Send one delivery at once and say what became of it. Raises NotFound."""
    with sessions.begin() as session:
        message = claim_one(session, delivery_id, now=clock())
    (outcome,) = _send_and_note(
        sessions, [message], private=private, clock=clock, timeout_s=timeout_s
    )
    return outcome


def keep_delivering(
    sessions: sessionmaker[Session], stopping: threading.Event, *, private: bool
) -> None:
    """Send what is due until told to stop; what fails with the database waits for its return."""
    while not stopping.is_set():
        try:
            tried = deliver_due(sessions, private=private)
        except OperationalError as error:
            log.warning("deliveries could not be read, will try again: %s", error)
            tried = 0
        stopping.wait(0.0 if tried else PAUSE_S)


def _send_and_note(
    sessions: sessionmaker[Session],
    messages: Sequence[Message],
    *,
    private: bool,
    clock: Callable[[], datetime],
    timeout_s: float,
) -> list[Outcome]:
    outcomes = asyncio.run(_send_all(messages, private=private, clock=clock, timeout_s=timeout_s))
    with sessions.begin() as session:
        for message, outcome in zip(messages, outcomes, strict=True):
            record_outcome(
                session, message, status=outcome.status, error=outcome.error, now=clock()
            )
    return outcomes


async def _send_all(
    messages: Sequence[Message],
    *,
    private: bool,
    clock: Callable[[], datetime],
    timeout_s: float,
) -> list[Outcome]:
    connector = aiohttp.TCPConnector(resolver=None if private else _OutwardsOnly())
    deadline = aiohttp.ClientTimeout(total=timeout_s)
    async with aiohttp.ClientSession(connector=connector, timeout=deadline) as http:
        sending = (_send(http, message, private=private, now=clock()) for message in messages)
        return list(await asyncio.gather(*sending))


async def _send(
    http: aiohttp.ClientSession, message: Message, *, private: bool, now: datetime
) -> Outcome:
    try:
        if not private:
            _refuse_literal(message.url)
        async with http.post(
            message.url,
            data=message.body,
            headers=message.headers(now=now),
            allow_redirects=False,
        ) as answer:
            told = answer.status
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        return Outcome(None, f"{type(error).__name__}: {error}".rstrip(": "))
    if 300 <= told < 400:
        return Outcome(told, f"answered {told}; redirects are not followed")
    return Outcome(told, None)


def _refuse_literal(url: str) -> None:
    host = urlsplit(url).hostname or ""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return  # a name, which is looked at when it is resolved
    refuse_inwards(host)
