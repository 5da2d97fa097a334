"""What the audit log costs at the desk: claims and submits with it and without, block by block.

    python -m tests.benchmarks.audit_cost [--pairs 24] [--out FILE.json]

Both sides in one process on one queue, in many short blocks, two by two in an order that is drawn.
What is compared is processor time, of all threads: what else the machine does is not in it, as it
would be in reviews a second, which told nothing twice the same. The API is asked in memory, without
a network: the share of the log is larger than it is over one. Each block ends with the sealing of
what it added, as a worker does it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from backend.api import reads
from backend.api.app import create_app
from backend.api.rules import TEXTS
from backend.services.audit.chain import check, seal
from tests.benchmarks._ratios import Ratio, keep
from tests.benchmarks._review_seed import Seeded, seed_queue
from tests.fixtures_postgres import find_binaries, running_postgres
from tests.fixtures_review import GOOD

ANSWER = {"ratings": GOOD, "active_seconds": 30.0}
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Block:
    """Reviews, and milliseconds of processor time for each, clients included."""

    n: int
    cpu_ms: float


async def work(client: httpx.AsyncClient, seeded: Seeded, token: str, n: int) -> None:
    """Claim and submit n items."""
    headers = {"Authorization": f"Bearer {token}"}
    for _ in range(n):
        answer = await client.post(f"/v1/review-queues/{seeded.queue_id}/claim", headers=headers)
        claim = answer.raise_for_status().json()["claim"]
        body = {"version": claim["version"], "answer": ANSWER}
        done = await client.post(
            f"/v1/review-slots/{claim['slot_id']}/submit", headers=headers, json=body
        )
        done.raise_for_status()


async def block(app: Any, seeded: Seeded, n: int) -> Block:
    """Some reviewers at once."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
        before = time.process_time()
        await asyncio.gather(*(work(client, seeded, token, n) for token in seeded.tokens[:AT_ONCE]))
        seal(seeded.sessions)
        spent = time.process_time() - before
    return Block(n * AT_ONCE, spent * 1000 / (n * AT_ONCE))


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
            sides[side].append(runner.run(block(app, seeded, n)))
    runner.close()
    reads.TEXTS = TEXTS
    seal(seeded.sessions)
    with seeded.sessions() as session:
        found = check(session)
    pairs = list(zip(sides["with"], sides["without"], strict=True))
    return {
        "reviews_of_each_side": sum(one.n for one in sides["with"]),
        **{f"cpu_ms_{side}": middle(one.cpu_ms for one in made) for side, made in sides.items()},
        "ratios": [a.cpu_ms / b.cpu_ms for a, b in pairs],
        "cpu_ratio": interval([a.cpu_ms / b.cpu_ms for a, b in pairs]),
        "more_cpu_ms_per_review": interval([a.cpu_ms - b.cpu_ms for a, b in pairs]),
        "entries": found.head.seq,
        "holds": found.holds,
        "load_average": os.getloadavg()[0],
    }


def middle(values: Iterable[float]) -> float:
    """The median, to hundredths."""
    return round(statistics.median(values), 2)


def interval(pairs: list[float]) -> dict[str, Any]:
    """The median over pairs of blocks with and without the log, 95% by bootstrap; the range."""
    dice = random.Random(1)
    medians = sorted(statistics.median(dice.choices(pairs, k=len(pairs))) for _ in range(2000))
    return {
        "value": round(statistics.median(pairs), 3),
        "low": round(medians[49], 3),
        "high": round(medians[1949], 3),
        "least": round(min(pairs), 3),
        "largest": round(max(pairs), 3),
        "n": len(pairs),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=24, help="of blocks")
    parser.add_argument("--claims", type=int, default=5, help="of each reviewer in a block")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    found: dict[str, Any] = {}
    before = os.getloadavg()[0]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        urls: dict[str, str | None] = {"sqlite": None}
        if (binaries := find_binaries()) is not None:
            urls["postgresql"] = stack.enter_context(running_postgres(binaries))
        items = AT_ONCE * (asked.claims * 2 * asked.pairs + 50)
        for name, url in urls.items():
            seeded = seed_queue(folder / name, url, items=items, people=AT_ONCE)
            found[name] = measure(seeded, blocks=asked.pairs, n=asked.claims)
            seeded.sessions.kw["bind"].dispose()
    if asked.out is not None:
        asked.out.write_text(json.dumps(found, indent=2), encoding="utf-8")
    load = (before, os.getloadavg()[0])
    keep(asked.out, [
        Ratio(f"processor of a review with the log to without, {name}", one["ratios"], load=load,
              sides={f"{side}, ms": one[f"cpu_ms_{side}"] for side in ("with", "without")})
        for name, one in found.items()
    ])  # fmt: skip


if __name__ == "__main__":
    main()
