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


async def block(app: Any, seeded: Seeded, n: int) -> tuple[list[float], float]:
    """Some reviewers at once; times of claims, and reviews a second."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
        begun = time.perf_counter()
        found = await asyncio.gather(
            *(work(client, seeded, token, n) for token in seeded.tokens[:AT_ONCE])
        )
        spent = time.perf_counter() - begun
    times = [each for one in found for each in one]
    return times, len(times) / spent


def keep_sealing(seeded: Seeded, ending: threading.Event) -> None:
    """As a worker does."""
    while not ending.wait(SEAL_SECONDS):
        seal(seeded.sessions)


def measure(seeded: Seeded, *, blocks: int, n: int) -> dict[str, Any]:
    """Blocks with and without the log."""
    app = create_app(seeded.settings, seeded.sessions)
    dice = random.Random(3)
    sides: dict[str, list[tuple[list[float], float]]] = {"with": [], "without": []}
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
    ratios = [a[1] / b[1] for a, b in zip(sides["with"], sides["without"], strict=True)]
    return {**told, "ratio": ratio(ratios), "entries": found.head.seq, "holds": found.holds}


def summary(blocks: list[tuple[list[float], float]]) -> dict[str, Any]:
    """Claims of all blocks together."""
    times = sorted(each for made, _ in blocks for each in made)
    cuts = statistics.quantiles(times, n=20)
    rates = [rate for _, rate in blocks]
    return {
        "n": len(times),
        "p50_ms": round(cuts[9], 2),
        "p95_ms": round(cuts[18], 2),
        "reviews_per_second": round(statistics.median(rates), 1),
    }


def ratio(pairs: list[float]) -> dict[str, Any]:
    """Reviews a second with the log over those without, by pairs of blocks; 95% by bootstrap."""
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
