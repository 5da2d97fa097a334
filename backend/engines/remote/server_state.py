"""How each of several servers has done lately, and whether it gets work.

A server is in, out, or on trial: out when it does not answer, answers with errors or is far slower
than its peers; on trial with one request at a time once it was let back. The rules are here and
know neither requests nor HTTP; `stream` follows them.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from backend.errors import EngineError

Server = TypeVar("Server")

_REMEMBERED = 32  # answers of a server from which its typical time is made


@dataclass(frozen=True, slots=True)
class Patience:
    """From when on a server is slow, and how soon one that was taken out is looked at again.

    Attributes:
        slow: a server whose typical time is more than so many times its peers' is taken out.
        least_s: an answer within this time is never late, whatever the peers take.
        answers: so many times must be known of a server before it is compared.
        errors: internal errors in a row, on requests that a peer then is asked.
        probes: looks at every server, once all are out, before the work ends.
        first_s, longest_s: pause before a look; it doubles from look to look.
        asks_twice: what a slow server holds is asked of another as well. Where each answer is paid
            for it is waited for instead, and the slow server gets nothing new.
    """

    slow: float = 5.0
    least_s: float = 2.0
    answers: int = 4
    errors: int = 3
    probes: int = 4
    first_s: float = 0.5
    longest_s: float = 30.0
    asks_twice: bool = True

    def pause(self, looks: int) -> float:
        """Seconds before the next look, after so many."""
        return float(min(self.first_s * 2.0 ** min(looks, 30), self.longest_s))


class Service(StrEnum):
    """Whether a server gets work."""

    IN = "in"
    TRIAL = "on trial"
    OUT = "out"


@dataclass(slots=True, eq=False)
class ServerPlace(Generic[Server]):
    """A server and its standing.

    Attributes:
        outstanding: requests that are with it.
        seconds: what its last answers took, and the age of those that were late.
        typical_s: their median; None before the first.
        error: why it is out; None where it is only slow.
        looks: how often it was taken out or looked at in vain since it last did well.
        stumbles: internal errors in a row.
        fell: how often it lost a model that had been loaded, without an answer in between.
    """

    server: Server
    service: Service = Service.IN
    outstanding: int = 0
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    typical_s: float | None = None
    error: EngineError | None = None
    looks: int = 0
    stumbles: int = 0
    fell: int = 0

    @property
    def serves(self) -> bool:
        """Whether it gets work, if only one request."""
        return self.service is not Service.OUT

    def room(self, in_flight: int, *, spare: int = 0) -> int:
        """Requests that it may get beside those that it has; in service at least `spare`."""
        if self.service is Service.IN:
            return max(in_flight - self.outstanding, spare)
        return (self.service is Service.TRIAL) - self.outstanding

    def answered(self, seconds: float) -> None:
        """It gave an answer; a whole memory of them makes up for what it did before."""
        self.took(seconds)
        self.stumbles = self.fell = 0
        if len(self.seconds) == _REMEMBERED:
            self.looks = 0

    def took(self, seconds: float) -> None:
        """An answer took so long, or has not come for so long."""
        self.seconds.append(seconds)
        self.typical_s = statistics.median(self.seconds)

    def let_back(self) -> None:
        """It is tried again, and measured afresh."""
        self.service, self.error, self.stumbles = Service.TRIAL, None, 0
        self.seconds.clear()
        self.typical_s = None


def late_after(
    place: ServerPlace[Server], places: Sequence[ServerPlace[Server]], rule: Patience
) -> float:
    """Age in seconds from which an answer of a server is late; infinite where no peer says."""
    peers = [
        typical
        for other in places
        if other is not place and other.serves
        if (typical := other.typical_s) is not None
    ]
    return max(rule.least_s, rule.slow * statistics.median(peers)) if peers else float("inf")


def is_slow(
    place: ServerPlace[Server], places: Sequence[ServerPlace[Server]], rule: Patience
) -> bool:
    """Whether a server takes so much longer than its peers that it is better left out."""
    typical = place.typical_s
    enough = 1 if place.service is Service.TRIAL else rule.answers
    if typical is None or len(place.seconds) < enough:
        return False
    return typical > late_after(place, places, rule)


def by_load(
    places: Sequence[ServerPlace[Server]], rooms: Sequence[int]
) -> list[ServerPlace[Server]]:
    """The servers with room, first the one that should be done soonest with one request more."""
    free = [place for place, room in zip(places, rooms, strict=True) if room > 0]
    if len(free) < 2:
        return free
    known = [typical for place in places if (typical := place.typical_s) is not None]
    unknown = min(known, default=1.0)

    def cost(place: ServerPlace[Server]) -> tuple[float, int]:
        typical = place.typical_s
        each = unknown if typical is None else typical
        return (place.outstanding + 1) * each, place.outstanding

    return sorted(free, key=cost)


def is_worth_asking(
    place: ServerPlace[Server], places: Sequence[ServerPlace[Server]], waiting: int, in_flight: int
) -> bool:
    """Whether a server will have answered before its peers could have, with all that waits.

    Else the last answers of a run would all be waited for from its slowest server.
    """
    own = place.typical_s
    peers = [
        typical
        for other in places
        if other is not place and other.service is Service.IN
        if (typical := other.typical_s)
    ]
    if own is None or not peers:
        return True
    rate = sum(in_flight / typical for typical in peers)
    return own <= waiting / rate + min(peers)
