"""How deliveries travel: signed, with a deadline, never through a redirect, never inwards.

The worker runs `keep_delivering` in a thread of its own, so that a slow receiver holds up no job.
No transaction is open while a receiver is asked. Where a delivery may go is decided at the moment
of connecting, by the very address that is about to be connected to, however it was written and
whatever its name resolved to before: a public one, unless STROP_WEBHOOK_PRIVATE says so.
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
from typing import Any

import aiohttp
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from backend.db import reading, utc_now
from backend.errors import reason_of
from backend.services.accounts.sealing import Seal
from backend.services.webhooks.hooks import (
    Message,
    any_due,
    check_url,
    claim_due,
    claim_one,
    record_outcome,
)

TIMEOUT_S = 10.0
PAUSE_S = 2.0
AFTER_A_DEFECT_S = 30.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Received:
    """What a receiver answered, or why there was no answer."""

    status: int | None
    error: str | None


class PrivateAddress(OSError):
    """The address is one of our own network."""


# What Python 3.11 calls global and is not: addresses that carry another one inside (NAT64, 6to4,
# IPv4-compatible), the old site-local ones, those of protocols (Oracle Cloud's metadata among
# them), and Azure's address for its own machines.
NOT_OUTSIDE = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/23", "::/96", "fec0::/10"),
        *("3fff::/20", "5f00::/16", "192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32"),
    )
)


def _outward_socket(info: Any) -> socket.socket:
    """A socket for an address that aiohttp is about to connect to. Raises PrivateAddress."""
    family, kind, protocol, _, address = info
    refuse_inwards(str(address[0]))
    return socket.socket(family, kind, protocol)


def refuse_inwards(address: str) -> None:
    """PrivateAddress for an IP address that is not on the public internet."""
    given = ipaddress.ip_address(address.partition("%")[0])
    mapped = given.ipv4_mapped if isinstance(given, ipaddress.IPv6Address) else None
    meant = mapped or given
    inside = any(meant in network for network in NOT_OUTSIDE if network.version == meant.version)
    if inside or not meant.is_global or meant.is_multicast or meant.is_reserved:
        raise PrivateAddress(
            errno.EACCES,
            f"{address} is a private address; STROP_WEBHOOK_PRIVATE=true allows such receivers",
        )


def deliver_due(
    sessions: sessionmaker[Session],
    *,
    private: bool,
    seal: Seal,
    clock: Callable[[], datetime] = utc_now,
    timeout_s: float = TIMEOUT_S,
) -> int:
    """Send what is due, once each; returns how many were tried."""
    with reading(sessions) as session:
        if not any_due(session, now=clock()):
            return 0
    with sessions.begin() as session:
        messages = claim_due(session, now=clock())
    _send_and_note(sessions, messages, private=private, seal=seal, clock=clock, timeout_s=timeout_s)
    return len(messages)


def deliver_now(
    sessions: sessionmaker[Session],
    delivery_id: int,
    *,
    private: bool,
    seal: Seal,
    clock: Callable[[], datetime] = utc_now,
    timeout_s: float = TIMEOUT_S,
) -> Received:
    """Send one delivery at once and say what became of it. Raises NotFound."""
    with sessions.begin() as session:
        message = claim_one(session, delivery_id, now=clock())
    (outcome,) = _send_and_note(
        sessions, [message], private=private, seal=seal, clock=clock, timeout_s=timeout_s
    )
    return outcome


def keep_delivering(
    sessions: sessionmaker[Session], stopping: threading.Event, *, private: bool, seal: Seal
) -> None:
    """Send what is due until told to stop; what fails with the database waits for its return."""
    while not stopping.is_set():
        try:
            tried = deliver_due(sessions, private=private, seal=seal)
        except OperationalError as error:
            log.warning("deliveries could not be read, will try again: %s", error)
            tried = 0
        except Exception:  # a defect: said, and what is told goes on after a while
            log.exception("deliveries could not be made, by a defect")
            stopping.wait(AFTER_A_DEFECT_S)
            continue
        stopping.wait(0.0 if tried else PAUSE_S)


def _send_and_note(
    sessions: sessionmaker[Session],
    messages: Sequence[Message],
    *,
    private: bool,
    seal: Seal,
    clock: Callable[[], datetime],
    timeout_s: float,
) -> list[Received]:
    async def send_all() -> list[Received]:
        connector = aiohttp.TCPConnector(socket_factory=None if private else _outward_socket)
        deadline = aiohttp.ClientTimeout(total=timeout_s)
        async with aiohttp.ClientSession(connector=connector, timeout=deadline) as http:
            sending = (_send(http, message, seal, now=clock()) for message in messages)
            return list(await asyncio.gather(*sending))

    outcomes = asyncio.run(send_all())
    with sessions.begin() as session:
        for message, outcome in zip(messages, outcomes, strict=True):
            record_outcome(
                session, message, status=outcome.status, error=outcome.error, now=clock()
            )
    return outcomes


async def _send(
    http: aiohttp.ClientSession, message: Message, seal: Seal, *, now: datetime
) -> Received:
    try:
        check_url(message.url)
        async with http.post(
            message.url,
            data=message.body,
            headers=message.headers(now=now, seal=seal),
            allow_redirects=False,
        ) as answer:
            told = answer.status
    except Exception as error:  # whatever one delivery meets is its own, and stops no other
        return Received(None, reason_of(error))
    if 300 <= told < 400:
        return Received(told, f"answered {told}; redirects are not followed")
    return Received(told, None)
