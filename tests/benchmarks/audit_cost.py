"""What the audit log costs at the desk: claims and submits with it and without, block by block.

    python -m tests.benchmarks.audit_cost [--blocks 8] [--out FILE.json]

Both sides in one process on one queue, in turns whose order is drawn, so that a busy machine shows
on both. The API is asked in memory, without a network: the share of the log is larger than it is
over one. `sealer` is a thread that seals every 2 seconds, as a worker does, in the blocks with it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from backend.api import reads
from backend.api.app import create_app
from backend.api.texts import TEXTS
from backend.services.audit.chain import check, seal
from tests.benchmarks._review_seed import Seeded, seed_queue
from tests.fixtures_postgres import find_binaries, running_postgres
from tests.fixtures_review import GOOD

ANSWER = {"ratings": GOOD, "active_seconds": 30.0}
AT_ONCE = 8
SEAL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Block:
    """Times of claims in ms; reviews a second; the processor's ms for each, clients included."""

    times: list[float]
    rate: float
    cpu_ms: float


async def work(client: httpx.AsyncClient, seeded: Seeded, token: str, n: int) -> list[float]:
    """Claim and submit n items; how long each claim took, in milliseconds."""
    headers = {"Authorization": f"Bearer {token}"}
    times = []
    for _ in range(n):
        begun = time.perf_counter()
        answer = await client.post(f"/v1/review-queues/{seeded.queue_id}/claim", headers=headers)
        times.append((time.perf_counter() - begun) * 1000)
        claim = answer.raise_for_status().json()["claim"]
        body = {"version": claim["version"], "answer": ANSWER}
        done = await client.post(
            f"/v1/review-slots/{claim['slot_id']}/submit", headers=headers, json=body
        )
        done.raise_for_status()
    return times


async def block(app: Any, seeded: Seeded, n: int) -> Block:
    """Some reviewers at once."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
        begun, before = time.perf_counter(), time.process_time()
        found = await asyncio.gather(
            *(work(client, seeded, token, n) for token in seeded.tokens[:AT_ONCE])
        )
        spent, cpu = time.perf_counter() - begun, time.process_time() - before
    times = [each for one in found for each in one]
    return Block(times, len(times) / spent, cpu * 1000 / len(times))


def keep_sealing(seeded: Seeded, ending: threading.Event) -> None:
    """As a worker does."""
    while not ending.wait(SEAL_SECONDS):
        seal(seeded.sessions)


def measure(seeded: Seeded, *, blocks: int, n: int) -> dict[str, Any]:
    """Blocks with and without the log."""
    app = create_app(seeded.settings, seeded.sessions)
    dice = random.Random(3)
    sides: dict[str, list[Block]] = {"with": [], "without": []}
    runner = asyncio.Runner()  # one loop: the server's gates belong to it
    runner.run(block(app, seeded, 5))  # warm
    for _ in range(blocks):
        for side in dice.sample([*sides], 2):
            reads.TEXTS = TEXTS if side == "with" else {}
            ending = threading.Event()
            sealer = threading.Thread(target=keep_sealing, args=(seeded, ending))
            sealer.start()
            sides[side].append(runner.run(block(app, seeded, n)))
            ending.set()
            sealer.join()
    runner.close()
    reads.TEXTS = TEXTS
    seal(seeded.sessions)
    with seeded.sessions() as session:
        found = check(session)
    told = {side: summary(made) for side, made in sides.items()}
    pairs = list(zip(sides["with"], sides["without"], strict=True))
    return {
        **told,
        "rate_ratio": interval([a.rate / b.rate for a, b in pairs]),
        "more_cpu_ms_per_review": interval([a.cpu_ms - b.cpu_ms for a, b in pairs]),
        "entries": found.head.seq,
        "holds": found.holds,
    }


def summary(blocks: list[Block]) -> dict[str, Any]:
    """Claims of all blocks together."""
    times = sorted(each for one in blocks for each in one.times)
    cuts = statistics.quantiles(times, n=20)
    return {
        "n": len(times),
        "p50_ms": round(cuts[9], 2),
        "p95_ms": round(cuts[18], 2),
        "reviews_per_second": round(statistics.median(one.rate for one in blocks), 1),
        "cpu_ms_per_review": round(statistics.fmean(one.cpu_ms for one in blocks), 2),
    }


def interval(pairs: list[float]) -> dict[str, Any]:
    """The mean over pairs of blocks, with and without the log; 95% by bootstrap."""
    dice = random.Random(1)
    means = sorted(statistics.fmean(dice.choices(pairs, k=len(pairs))) for _ in range(2000))
    return {
        "value": round(statistics.fmean(pairs), 3),
        "low": round(means[49], 3),
        "high": round(means[1949], 3),
        "n": len(pairs),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--claims", type=int, default=25, help="of each reviewer in a block")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    found: dict[str, Any] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        urls: dict[str, str | None] = {"sqlite": None}
        if (binaries := find_binaries()) is not None:
            urls["postgresql"] = stack.enter_context(running_postgres(binaries))
        items = AT_ONCE * (asked.claims * 2 * asked.blocks + 50)
        for name, url in urls.items():
            seeded = seed_queue(folder / name, url, items=items, people=AT_ONCE)
            found[name] = measure(seeded, blocks=asked.blocks, n=asked.claims)
            seeded.sessions.kw["bind"].dispose()
    text = json.dumps(found, indent=2)
    sys.stdout.write(text + "\n")
    if asked.out is not None:
        asked.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
