"""Reviewers under load: what each does with an item, and the log by which nothing can be lost.

A reviewer claims and submits. Some let their lease lapse and answer late, some die while they hold
an item, some die after they sent an answer and send it again, some skip. Every answer that a server
acknowledged is logged, and the logs are held against the database afterwards.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks._review_http import Wire
from tests.fixtures_review import GOOD

ANSWER = {"ratings": GOOD, "active_seconds": 30.0}
SHARES = {"late": 0.02, "dies_holding": 0.03, "dies_sending": 0.04, "skips": 0.01}


@dataclass
class Log:
    """What the clients saw.

    Attributes:
        acknowledged: (slot, version, user) -> id of the review that the server named.
        at: moments of the acknowledgements of new answers.
        refused: answers with another status than 200, by status and title.
    """

    acknowledged: dict[tuple[int, int, int], int] = field(default_factory=dict)
    at: list[float] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    contradictions: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys([*SHARES, "extra"], 0))

    def note(self, token: tuple[int, int, int], status: int, receipt: Any) -> None:
        """Log a receipt; two receipts for one token have to name one review."""
        if status != 200:
            self.refused.append((status, str(receipt.get("detail"))[:80]))
            return
        known = self.acknowledged.setdefault(token, receipt["review_id"])
        self.contradictions += known != receipt["review_id"]
        self.counts["extra"] += bool(receipt["extra"] and not receipt["repeated"])
        self.at.append(time.perf_counter())


@dataclass(frozen=True)
class Load:
    """One run of many reviewers: where, how they behave, how fast they are."""

    port: int
    queue_id: int
    lease_seconds: float
    troubled: bool
    pause_seconds: float = 0.0
    most_seconds: float = 900.0


async def review_all(load: Load, people: Sequence[tuple[int, str]]) -> tuple[Log, dict[str, Any]]:
    """All reviewers at once until the queue is finished; their log, and milliseconds by act."""
    log = Log()
    times: dict[str, list[float]] = {"claim": [], "submit": [], "skip": []}
    await asyncio.gather(
        *(
            _review(load, user_id, Wire(load.port, f"Bearer {token}", times), log)
            for user_id, token in people
        )
    )
    return log, times


async def _review(load: Load, user_id: int, wire: Wire, log: Log) -> None:
    rng = random.Random(user_id)
    began = time.perf_counter()
    await asyncio.sleep(rng.random() * (load.pause_seconds or 0.2))
    while time.perf_counter() - began < load.most_seconds:
        path = f"/api/v1/review-queues/{load.queue_id}/claim"
        status, found = await wire.ask("claim", "POST", path)
        if status != 200:
            log.refused.append((status, str(found)[:80]))
        elif found["claim"] is None:
            if found["reason"] == "finished":
                break
            await asyncio.sleep(0.5)
        else:
            await _answer(load, user_id, wire, log, found["claim"], rng)
        if load.pause_seconds:
            await asyncio.sleep(rng.expovariate(1 / load.pause_seconds))
    wire.drop()


async def _answer(
    load: Load, user_id: int, wire: Wire, log: Log, claim: dict[str, Any], rng: random.Random
) -> None:
    token = (claim["slot_id"], claim["version"], user_id)
    path = f"/api/v1/review-slots/{claim['slot_id']}"
    body = {"version": claim["version"], "answer": ANSWER}
    trouble = _trouble(rng) if load.troubled else None
    if trouble is not None:
        log.counts[trouble] += 1
    if trouble == "dies_holding":
        wire.drop()
        return
    if trouble == "skips":
        await wire.ask("skip", "POST", f"{path}/skip", {"version": token[1], "reason": "unsure"})
        return
    if trouble == "late":
        await asyncio.sleep(load.lease_seconds * (1 + rng.random()))
    if trouble == "dies_sending":
        await wire.send_and_die("POST", f"{path}/submit", body)
    log.note(token, *await wire.ask("submit", "POST", f"{path}/submit", body))


def _trouble(rng: random.Random) -> str | None:
    drawn = rng.random()
    for name, share in SHARES.items():
        if drawn < share:
            return name
        drawn -= share
    return None
