"""The desk under load: claims and submits of concurrent reviewers over HTTP, with p50 and p95.

Run: python -m tests.benchmarks.desk_http [--clients 20] [--items 1000] [--database-url URL]

Every client claims an item, saves a draft, submits, and goes on at once, as no person would. The
database is seeded without a model. Prints milliseconds for each act, requests per second, the
server's processor time for a request (which a busy machine blurs less than the clock), and whether
anything was lost or done twice.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from backend.api.app import standalone_app
from backend.client import StropClient
from backend.db import connect, migrate, utc_now
from backend.schemas.review.desk import AnswerGiven
from backend.services.accounts.credentials import create_token
from backend.settings import Settings
from backend.tables.review import Review, ReviewState
from tests.fixtures_review import GOOD, build_desk

ANSWER = AnswerGiven(ratings=GOOD, correction="It costs EUR 10.90.", active_seconds=30.0)


def seed(sessions: sessionmaker[Session], *, clients: int, items: int) -> tuple[int, list[str]]:
    """A queue of single outputs, and a token for each client."""
    with sessions.begin() as session:
        desk = build_desk(session, splits={"train": items}, n_experts=clients)
        queue = desk.open(session)
        tokens = [
            create_token(session, expert, "load", now=utc_now()).value for expert in desk.experts
        ]
        return queue.id, tokens


def serve(settings: Settings, port: Any, cpu: Any) -> None:
    """The API alone in this process; tells its port when it listens, and its processor time."""
    import socket

    import uvicorn

    def tell() -> None:
        while True:
            cpu.value = time.process_time()
            time.sleep(0.1)

    threading.Thread(target=tell, daemon=True).start()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()  # clients come as soon as the port is known
    port.value = listener.getsockname()[1]
    app = standalone_app(settings, connect(settings))
    config = uvicorn.Config(app, log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


def work(url: str, token: str, queue_id: int, times: dict[str, list[float]]) -> None:
    """One reviewer until the queue is empty."""
    with StropClient(url, token=token) as strop:
        while True:
            answer = _timed(times["claim"], strop.desk.claim, queue_id)
            if (claim := answer.claim) is None:
                return
            held = claim.slot_id, claim.version, ANSWER
            _timed(times["draft"], strop.desk.save_draft, *held)
            _timed(times["submit"], strop.desk.submit, *held)


def _timed(into: list[float], act: Callable[..., Any], *arguments: Any) -> Any:
    started = time.perf_counter()
    result = act(*arguments)
    into.append((time.perf_counter() - started) * 1000)
    return result


def run_clients(url: str, tokens: list[str], queue_id: int) -> tuple[dict[str, list[float]], float]:
    """All reviewers at once; milliseconds of every act, and seconds in all."""
    times: dict[str, list[float]] = {"claim": [], "draft": [], "submit": []}
    threads = [
        threading.Thread(target=work, args=(url, token, queue_id, times)) for token in tokens
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times, time.perf_counter() - started


def measure(settings: Settings, *, clients: int, items: int) -> dict[str, Any]:
    """Seed, serve, load, count."""
    migrate(settings.url)
    sessions = connect(settings)
    queue_id, tokens = seed(sessions, clients=clients, items=items)
    spawn = multiprocessing.get_context("spawn")
    port, cpu = spawn.Value("i", 0), spawn.Value("d", 0.0)
    server = spawn.Process(target=serve, args=(settings, port, cpu))
    server.start()
    try:
        while port.value == 0:
            time.sleep(0.05)
        url = f"http://127.0.0.1:{port.value}"
        wait_until_up(url, tokens[0])
        cpu_before = cpu.value
        times, seconds = run_clients(url, tokens, queue_id)
        time.sleep(0.2)
        cpu_seconds = cpu.value - cpu_before
    finally:
        server.terminate()
        server.join()
    with sessions() as session:
        done = select(func.count(Review.id)).where(Review.state == ReviewState.SUBMITTED)
        reviews = session.scalar(done)
        distinct = session.scalar(select(func.count(func.distinct(Review.item_id))))
    requests = sum(map(len, times.values()))
    return {
        "clients": clients,
        "items": items,
        "reviews": reviews,
        "items_reviewed": distinct,
        "requests_per_second": round(requests / seconds),
        "server_cpu_ms_per_request": round(cpu_seconds / requests * 1000, 2),
        **{act: _milliseconds(values) for act, values in times.items()},
    }


def _milliseconds(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=20)
    return {"n": len(values), "p50_ms": round(cuts[9], 1), "p95_ms": round(cuts[18], 1)}


def wait_until_up(url: str, token: str) -> None:
    """Wait until the server answers; SystemExit when it does not."""
    from backend.errors import ServerUnavailable

    with StropClient(url, token=token) as strop:
        for _ in range(200):
            try:
                strop.accounts.me()
                return
            except ServerUnavailable:
                time.sleep(0.1)
    raise SystemExit("the server did not come up")


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--database-url")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder), database_url=chosen.database_url)
        print(json.dumps(measure(settings, clients=chosen.clients, items=chosen.items), indent=2))


if __name__ == "__main__":
    main()
