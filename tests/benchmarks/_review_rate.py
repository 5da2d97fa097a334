"""Reviews that begin at fixed moments, whether or not those before are done, and what they cost.

An open load: where the server falls behind, waiting shows. What counts is from the moment a review
was to begin until its answer is acknowledged, so that the lag of this process, which is told apart,
is in it. The server is started as people start it, with one API process or several; one of several
can be killed in the middle, and what was sent to it is sent again.
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.settings import child_environment
from tests.benchmarks._review_clients import ANSWER, Log
from tests.benchmarks._review_http import Wire
from tests.benchmarks._review_seed import Seeded
from tests.benchmarks._review_server import wait_until_up
from tests.fixtures_ports import lasting_port

TICKS = os.sysconf("SC_CLK_TCK")
SERVER = "spawn_main"  # in the command line of a process that a supervisor started


@dataclass
class Paced:
    """What a paced run saw: milliseconds from when a review was due, by part, and refusals."""

    times: dict[str, list[float]] = field(
        default_factory=lambda: {"claim": [], "submit": [], "review": [], "lag": []}
    )
    log: Log = field(default_factory=Log)
    most_waiting: int = 0


@contextmanager
def served_by(seeded: Seeded, processes: int) -> Iterator[tuple[int, int]]:
    """`strop up --api-only` in a process of its own; its port and its process id."""
    port = lasting_port()
    command = [sys.executable, "-m", "backend.cli", "up", "--api-only", "--no-worker"]
    command += ["--port", str(port), "--api-processes", str(processes)]
    server = subprocess.Popen(
        command, env=child_environment(seeded.settings), stdout=subprocess.DEVNULL
    )
    try:
        wait_until_up(f"http://127.0.0.1:{port}", seeded.tokens[0])
        until = time.monotonic() + 120
        while processes > 1 and len(servers_of(server.pid)) < processes:
            if time.monotonic() > until:
                raise SystemExit("not all processes came up")
            time.sleep(0.2)
        yield port, server.pid
    finally:
        server.terminate()
        server.wait(60)


def servers_of(supervisor: int) -> list[int]:
    """The API processes that a supervisor has now; itself where it has none."""
    found = [pid for pid in children_of(supervisor) if SERVER in _command(pid)]
    return found or [supervisor]


def children_of(parent: int) -> list[int]:
    """The ids of the processes that a process has started and that live."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            after_name = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(after_name[1]) == parent:
                found.append(int(folder.name))
    return sorted(found)


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\x00", " ")
    return ""


def processor_seconds(pids: Sequence[int]) -> float:
    """Processor time that these have used; one that is gone has none."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / TICKS


async def pace(
    seeded: Seeded, port: int, *, rate: float, seconds: float, kill: int | None
) -> Paced:
    """Begin `rate` reviews a second; `kill`: a process to be killed in the middle."""
    seen = Paced()
    wires = {
        user: Wire(port, f"Bearer {token}", seen.times)
        for user, token in zip(seeded.user_ids, seeded.tokens, strict=True)
    }
    free, tasks = deque(wires), set()
    begun, n = time.perf_counter(), round(rate * seconds)
    for k in range(n):
        due = begun + k / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        if kill is not None and k == n // 2:
            os.kill(kill, signal.SIGKILL)
        while not free:  # everybody has a review in hand: what is due waits, and that counts
            await asyncio.sleep(0.001)
        seen.times["lag"].append((time.perf_counter() - due) * 1000)
        user = free.popleft()
        task = asyncio.create_task(review_once(seeded, wires[user], user, due, seen))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(lambda _, user=user: free.append(user))
        seen.most_waiting = max(seen.most_waiting, len(tasks))
    while tasks:
        await asyncio.sleep(0.01)
    for wire in wires.values():
        wire.drop()
    return seen


async def review_once(seeded: Seeded, wire: Wire, user: int, due: float, seen: Paced) -> None:
    """Claim and submit; `due` is when it was to begin, in seconds of the performance counter."""
    status, found = await wire.ask(
        "claim", "POST", f"/api/v1/review-queues/{seeded.queue_id}/claim"
    )
    if status != 200 or found["claim"] is None:
        seen.log.refused.append((status, str(found)[:80]))
        return
    claim = found["claim"]
    body = {"version": claim["version"], "answer": ANSWER}
    answer = await wire.ask(
        "submit", "POST", f"/api/v1/review-slots/{claim['slot_id']}/submit", body
    )
    seen.log.note((claim["slot_id"], claim["version"], user), *answer)
    seen.times["review"].append((time.perf_counter() - due) * 1000)


def measure_rate(
    seeded: Seeded, *, processes: int, rate: float, seconds: float, killing: bool = False
) -> dict[str, Any]:
    """Reviews at a fixed rate; what they waited, cost and whether all were kept."""
    from tests.benchmarks.review_load import check

    before_load = os.getloadavg()[0]
    with served_by(seeded, processes) as (port, supervisor):
        asyncio.run(pace(seeded, port, rate=10, seconds=3, kill=None))  # warm
        servers = servers_of(supervisor)
        used, own = processor_seconds(servers), time.process_time()
        begun = time.perf_counter()
        kill = servers[0] if killing else None
        seen = asyncio.run(pace(seeded, port, rate=rate, seconds=seconds, kill=kill))
        wall = time.perf_counter() - begun
        spent, own = processor_seconds(servers) - used, time.process_time() - own
        restarted = killing and _again(supervisor, processes, kill)
    n = len(seen.log.at)
    found = check(seeded, seen.log)
    return {
        "processes": processes,
        "wanted_per_second": rate,
        "reviews": n,
        "reviews_per_second": round(n / wall, 1),
        **{part: cuts(values) for part, values in seen.times.items() if len(values) > 20},
        "api_ms_of_processor_per_review": None if killing else round(spent / n * 1000, 2),
        "generator_ms_of_processor_per_review": round(own / n * 1000, 2),
        "most_at_once": seen.most_waiting,
        **{name: found[name] for name in ("doubled", "items_with_too_many", "lost", "refused")},
        **({"killed_and_started_again": restarted} if killing else {}),
        "load_average": [round(before_load, 1), round(os.getloadavg()[0], 1)],
    }


def _again(supervisor: int, processes: int, killed: int | None) -> bool:
    """Whether the supervisor has as many processes again, without the one that was killed."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        now = servers_of(supervisor)
        if len(now) == processes and killed not in now:
            return True
        time.sleep(0.2)
    return False


def cuts(values: list[float]) -> dict[str, float]:
    """Median, 95th and 99th percentile, and the largest, in milliseconds."""
    found = statistics.quantiles(values, n=100)
    return {
        "n": len(values),
        "p50_ms": round(found[49], 1),
        "p95_ms": round(found[94], 1),
        "p99_ms": round(found[98], 1),
        "max_ms": round(max(values), 1),
    }
