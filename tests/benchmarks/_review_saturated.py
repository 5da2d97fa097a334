"""As many reviews as API processes take: what each process did, and what each review cost it.

A closed load: some reviewers claim and submit without a pause, over connections that stay open. On
a machine with few cores these clients and PostgreSQL want as much of them as the API does, so that
two processes cannot give twice the rate there. What shows whether they would is said beside it: the
reviews that each process answered, its processor time for one, and who took the rest of the cores.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.benchmarks._review_http import Wire
from tests.benchmarks._review_rate import (
    Paced,
    processor_seconds,
    review_once,
    served_by,
    servers_of,
)
from tests.benchmarks._review_seed import Seeded

ESTABLISHED = "01"


def measure_saturated(
    seeded: Seeded, *, processes: int, clients: int = 16, seconds: float = 6.0
) -> dict[str, Any]:
    """Reviews a second flat out; by process: reviews, processor milliseconds of each, shares."""
    from tests.benchmarks.review_load import check

    with served_by(seeded, processes) as (port, supervisor):
        servers, database = servers_of(supervisor), backends_of(seeded)
        asyncio.run(_flat_out(seeded, port, clients, 2.0, servers))  # warm
        before = {pid: processor_seconds([pid]) for pid in servers}
        database = sorted({*database, *backends_of(seeded)})
        stored, own = processor_seconds(database), time.process_time()
        began = time.perf_counter()
        seen, done = asyncio.run(_flat_out(seeded, port, clients, seconds, servers))
        wall = time.perf_counter() - began
        spent = {pid: processor_seconds([pid]) - before[pid] for pid in servers}
        stored, own = processor_seconds(database) - stored, time.process_time() - own
    n = len(seen.log.at)
    by_process = [done[pid] for pid in servers]
    found = check(seeded, seen.log)
    return {
        "processes": processes,
        "clients": clients,
        "reviews": n,
        "reviews_per_second": round(n / wall, 1),
        "reviews_by_process": by_process,
        "busiest_to_even": round(max(by_process) / (n / processes), 2),
        "api_ms_of_processor_by_process": [
            round(spent[pid] / max(done[pid], 1) * 1000, 2) for pid in servers
        ],
        "api_ms_of_processor_per_review": round(sum(spent.values()) / n * 1000, 2),
        "cores_of_api": round(sum(spent.values()) / wall, 2),
        "cores_of_postgresql": round(stored / wall, 2),
        "cores_of_clients": round(own / wall, 2),
        **{name: found[name] for name in ("doubled", "items_with_too_many", "lost", "refused")},
    }


async def _flat_out(
    seeded: Seeded, port: int, clients: int, seconds: float, servers: Sequence[int]
) -> tuple[Paced, Counter[int]]:
    """What the clients saw, and the reviews that each server process answered."""
    seen = Paced()
    people = list(zip(seeded.user_ids, seeded.tokens, strict=True))[:clients]
    wires = {user: Wire(port, f"Bearer {token}", seen.times) for user, token in people}
    until = time.perf_counter() + seconds
    done: Counter[int] = Counter()

    async def work(user: int, wire: Wire) -> None:
        while time.perf_counter() < until:
            await review_once(seeded, wire, user, time.perf_counter(), seen)
            done[user] += 1

    await asyncio.gather(*(work(user, wire) for user, wire in wires.items()))
    answered_by = server_of_port(port, servers)
    by_process: Counter[int] = Counter()
    for user, wire in wires.items():
        by_process[answered_by[wire.own_port]] += done[user]
        wire.drop()
    return seen, by_process


def server_of_port(port: int, servers: Sequence[int]) -> dict[int, int]:
    """By the client's port of each open connection to `port`, the process that holds it."""
    holder = {}
    for pid in servers:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if found := re.fullmatch(r"socket:\[(\d+)\]", str(entry.readlink())):
                    holder[found[1]] = pid
    found_by: dict[int, int] = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, *rest = line.split()
        here = int(local.rpartition(":")[2], 16) == port and state == ESTABLISHED
        if here and (pid := holder.get(rest[5])) is not None:
            found_by[int(remote.rpartition(":")[2], 16)] = pid
    return found_by


def backends_of(seeded: Seeded) -> list[int]:
    """The processes of PostgreSQL that serve this database now."""
    name = seeded.settings.url.rpartition("/")[2].partition("?")[0]
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (folder / "cmdline").read_text()
            if command.startswith("postgres:") and name in command:
                found.append(int(folder.name))
    return found
