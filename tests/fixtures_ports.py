"""Ports for servers that come back on the same one, or that are told theirs before they listen."""

from __future__ import annotations

import random
import socket
from pathlib import Path

HOST = "127.0.0.1"
LOWEST = 10_000
HANDED_OUT = Path("/proc/sys/net/ipv4/ip_local_port_range")


def lasting_port() -> int:
    """A port on 127.0.0.1 that nobody listens on, and that the system gives to no one by itself.

    A port that was bound by asking for port 0 is not: once it is let go, any outgoing connection
    may be given it.
    """
    end = int(HANDED_OUT.read_text().split()[0]) if HANDED_OUT.exists() else 32_768
    for port in random.SystemRandom().sample(range(LOWEST, max(end, LOWEST + 1000)), 100):
        with socket.socket() as listener:
            try:
                listener.bind((HOST, port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no free port from {LOWEST} to {end}")
