"""A limit to failed sign-ins, in the memory of one API process.

Several API processes each count for themselves, and a restart forgets: that multiplies the limits
by the number of processes, which is still far too few tries to guess a password.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

from backend.errors import TooManyAttempts

WINDOW = timedelta(minutes=5)
MOST_KEYS = 10_000
LIMITS = {"name and address": 5, "address": 30, "name": 100}


@dataclass(slots=True)
class FailedLogins:
    """Failures of the last five minutes by name, by address, and by both."""

    _times: dict[tuple[str, str], deque[datetime]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def check(self, name: str, address: str, *, now: datetime) -> None:
        """Raise TooManyAttempts when one of the limits is reached."""
        with self._lock:
            for kind, key in _keys(name, address):
                times = self._recent(kind, key, now)
                if len(times) >= LIMITS[kind]:
                    minutes = max(1, round((times[0] + WINDOW - now).total_seconds() / 60))
                    raise TooManyAttempts(
                        "Too many failed sign-ins.",
                        hint=f"Wait {minutes} minute{'s' * (minutes > 1)}, then try again.",
                    )

    def record(self, name: str, address: str, *, now: datetime) -> None:
        """Remember a failure."""
        with self._lock:
            if len(self._times) > MOST_KEYS:
                self._forget_old(now)
            for kind, key in _keys(name, address):
                self._recent(kind, key, now).append(now)

    def forgive(self, name: str, address: str) -> None:
        """Forget the failures of this name from this address, after it has signed in."""
        with self._lock:
            self._times.pop(_keys(name, address)[0], None)

    def _recent(self, kind: str, key: str, now: datetime) -> deque[datetime]:
        times = self._times.setdefault((kind, key), deque())
        while times and times[0] <= now - WINDOW:
            times.popleft()
        return times

    def _forget_old(self, now: datetime) -> None:
        for key in [
            k for k, times in self._times.items() if not times or times[-1] <= now - WINDOW
        ]:
            del self._times[key]


def _keys(name: str, address: str) -> tuple[tuple[str, str], ...]:
    folded = name.casefold()
    return (
        ("name and address", f"{folded}\n{address}"),
        ("address", address),
        ("name", folded),
    )
