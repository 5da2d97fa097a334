"""The review desk under load: 200 reviewers over HTTP, claims in long queues, and what SQL allows.

    python -m tests.benchmarks.review_load [--out FILE.json]      all but Label Studio
    python -m tests.benchmarks.review_load --only load cost       some of it
    python -m tests.benchmarks.review_load --label-studio         and Label Studio, from PyPI

load   200 concurrent reviewers on one queue, SQLite and PostgreSQL, through a real uvicorn process.
       Flat out, with trouble: leases lapse, clients die while holding and after sending, and send
       again. Then the database is held against the clients' logs. And paced, as people are.
cost   a claim and a submit in queues of 1,000, 100,000 and 1,000,000 items, in turns.
rate   50 reviews a second begin at fixed moments, PostgreSQL: one API process, two, and two of
       which one is killed in the middle. Then as many as they take, by one and by two in turns:
       what each process answered and took, and who had the rest of the cores.
raw    the same rows claimed and written by plain SQL in one process against the services;
       --profile FILE tells of it which functions took most of the processor.

The clients are coroutines of this process, the server is one of its own: on two cores they have
about one each, and a busy machine shows in every figure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import func, select

from backend.services import review
from backend.tables.review import Review, ReviewItem, ReviewQueue
from tests.benchmarks._ratios import Ratio, keep
from tests.benchmarks._review_clients import Load, Log, review_all
from tests.benchmarks._review_rate import measure_rate
from tests.benchmarks._review_raw import compare_with_plain_sql, profile_services, services_turn
from tests.benchmarks._review_saturated import measure_saturated
from tests.benchmarks._review_seed import Seeded, seed_queue
from tests.benchmarks._review_server import serve, wait_until_up
from tests.fixtures_postgres import find_binaries, running_postgres

SIZES = (1_000, 100_000, 1_000_000)
LEASE_SECONDS = 5
PACE_SECONDS = 4.0
RATES: dict[str, dict[str, Any]] = {
    "one_process": {"processes": 1},
    "two_processes": {"processes": 2},
    "one_of_two_killed": {"processes": 2, "killing": True},
}
FLAT_OUT_CLIENTS, FLAT_OUT_SECONDS, FLAT_OUT_MOST = 16, 6.0, 400  # the last: reviews a second


@contextmanager
def served(seeded: Seeded) -> Iterator[tuple[int, Any]]:
    """The API in a process of its own; its port and its processor time."""
    spawn = get_context("spawn")
    port, cpu = spawn.Value("i", 0), spawn.Value("d", 0.0)
    server = spawn.Process(target=serve, args=(seeded.settings, port, cpu))
    server.start()
    try:
        while port.value == 0:
            time.sleep(0.05)
        wait_until_up(f"http://127.0.0.1:{port.value}", seeded.tokens[0])
        yield port.value, cpu
    finally:
        server.terminate()
        server.join()


def measure_load(
    folder: Path, url: str | None, *, clients: int, items: int, troubled: bool
) -> dict[str, Any]:
    """Work through a queue and hold the database against what the clients were told."""
    seeded = seed_queue(
        folder,
        url,
        items=items,
        people=clients,
        overlap_share=0.05 if troubled else 0.0,
        lease_seconds=LEASE_SECONDS if troubled else 600,
    )
    people = list(zip(seeded.user_ids, seeded.tokens, strict=True))
    with served(seeded) as (port, cpu):
        pause = 0.0 if troubled else PACE_SECONDS
        load = Load(port, seeded.queue_id, LEASE_SECONDS, troubled, pause)
        before, started = cpu.value, time.perf_counter()
        log, times = asyncio.run(review_all(load, people))
        spent = cpu.value - before
    found = check(seeded, log)
    seeded.sessions.kw["bind"].dispose()
    requests = sum(map(len, times.values()))
    most = sorted(log.at)[round(0.95 * len(log.at)) - 1] - started
    return {
        "clients": clients,
        "items": items,
        **found,
        **log.counts,
        "reviews_per_second": round(0.95 * len(log.at) / most, 1),
        "server_cpu_ms_per_request": round(spent / requests * 1000, 2),
        **{act: milliseconds(values) for act, values in times.items() if len(values) > 20},
    }


def check(seeded: Seeded, log: Log) -> dict[str, int]:
    """What was lost, doubled, or given too often: all have to be 0."""
    with seeded.sessions() as session:
        stored = session.execute(
            select(
                Review.id,
                Review.slot_id,
                Review.slot_version,
                Review.reviewer_id,
                Review.item_id,
                Review.extra,
            ).where(Review.state == "submitted")
        ).all()
        required = dict(session.execute(select(ReviewItem.id, ReviewItem.required_reviews)).all())
        progress = review.queue_progress(session, seeded.queue_id)
        finished = session.scalar(select(func.count()).where(ReviewQueue.finished_at.is_not(None)))
    by_token = {(row.slot_id, row.slot_version, row.reviewer_id): row.id for row in stored}
    ids = set(by_token.values())
    people = [(row.item_id, row.reviewer_id) for row in stored]
    counted: dict[int, int] = dict.fromkeys(required, 0)
    for row in stored:
        counted[row.item_id] += not row.extra
    return {
        "acknowledged": len(log.acknowledged),
        "stored": len(stored),
        "lost": sum(review_id not in ids for review_id in log.acknowledged.values()),
        "never_acknowledged": len(ids - set(log.acknowledged.values())),
        "doubled": len(people) - len(set(people)) + log.contradictions,
        "items_with_too_many": sum(counted[item] > required[item] for item in required),
        "items_with_too_few": sum(counted[item] < required[item] for item in required),
        "progress_wrong": int(progress.done != sum(counted.values())),
        "finished": int(finished or 0),
        "refused": len(log.refused),
    }


def milliseconds(values: list[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    cuts = statistics.quantiles(values, n=20)
    return {"n": len(values), "p50_ms": round(cuts[9], 1), "p95_ms": round(cuts[18], 1)}


def measure_cost(
    folder: Path, urls: dict[int, str | None], *, blocks: int, turns: int
) -> dict[str, Any]:
    """A claim and a submit by the services in queues of several sizes, in turns."""
    queues = {
        size: seed_queue(folder / str(size), url, items=size, people=50, tokens=False)
        for size, url in urls.items()
    }
    taken: dict[int, list[tuple[float, float]]] = {size: [] for size in queues}
    for block in range(blocks + 1):
        for size, seeded in queues.items():
            turn = services_turn(seeded)
            for n in range(turns):
                times = turn(seeded.user_ids[n % 50])
                taken[size] += [times] if block else []
    found: dict[str, Any] = {}
    least = min(taken)
    for size, times in taken.items():
        claim = statistics.median(t[0] for t in times)
        base = statistics.median(t[0] for t in taken[least])
        submit = statistics.median(t[1] for t in times)
        figures = {"claim_us": round(claim * 1e6), "submit_us": round(submit * 1e6)}
        found[f"{size:,}"] = {**figures, "n": len(times), "claim_to_least": round(claim / base, 2)}
        queues[size].sessions.kw["bind"].dispose()
    return found


@contextmanager
def databases(names: list[str]) -> Iterator[dict[str, Any]]:
    """For each kind of database a function that gives the URL of a fresh one."""
    with ExitStack() as stack:
        found: dict[str, Any] = {}
        if "sqlite" in names:
            found["sqlite"] = lambda: None
        if "postgresql" in names and (binaries := find_binaries()) is not None:
            server = stack.enter_context(running_postgres(binaries))
            found["postgresql"] = lambda: _fresh(server)
        yield found


def _fresh(server: str) -> str:
    import psycopg

    name = f"load_{uuid4().hex[:8]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{server.rpartition('/')[0]}/{name}"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", nargs="*", default=["load", "cost", "raw", "rate"])
    parser.add_argument("--databases", nargs="*", default=["sqlite", "postgresql"])
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=50.0, help="reviews a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each paced run")
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--profile", type=Path, help="functions of `raw` by processor time")
    parser.add_argument("--label-studio", action="store_true", help="install and load it too")
    parser.add_argument("--label-studio-venv", type=Path, help="where it is installed already")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended then too
    result: dict[str, Any] = {"cores": os.cpu_count(), "load_average_before": os.getloadavg()}
    with databases(chosen.databases) as made:
        for name, fresh in made.items():
            result[name] = measure_database(chosen, fresh)
            print(json.dumps({name: result[name]}, indent=1), flush=True)
    if chosen.label_studio:
        write(result, chosen.out)
        from tests.benchmarks._review_label_studio import measure_label_studio

        result["label_studio"] = measure_label_studio(
            clients=chosen.clients, venv=chosen.label_studio_venv
        )
    result["load_average_after"] = os.getloadavg()
    report(result, chosen.out)


def measure_database(chosen: argparse.Namespace, fresh: Any) -> dict[str, Any]:
    """The chosen parts on one database."""
    found: dict[str, Any] = {}
    size = {"clients": chosen.clients, "items": chosen.items}
    paced = {"clients": chosen.clients, "items": max(chosen.clients * 10, 100)}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        if "load" in chosen.only:
            found["flat_out"] = measure_load(folder / "a", fresh(), **size, troubled=True)
            found["paced"] = measure_load(folder / "b", fresh(), **paced, troubled=False)
        if "raw" in chosen.only:
            seeded = seed_queue(folder / "c", fresh(), items=5_000, people=20, tokens=False)
            found["raw"] = compare_with_plain_sql(seeded)
            if chosen.profile is not None:
                profile_services(seeded, chosen.profile)
            seeded.sessions.kw["bind"].dispose()
        if "rate" in chosen.only and (url := fresh()) is not None:
            items = round(chosen.rate * chosen.seconds * 4 + 500)
            seeded = seed_queue(folder / "e", url, items=items, people=chosen.clients)
            asked = {"rate": chosen.rate, "seconds": chosen.seconds}
            for name, options in RATES.items():
                found[name] = measure_rate(seeded, **options, **asked)
            seeded.sessions.kw["bind"].dispose()
            found["saturated"] = _saturate(folder / "f", fresh(), chosen)
        if "cost" in chosen.only:
            urls = {items: fresh() for items in chosen.sizes}
            found["cost"] = measure_cost(folder / "d", urls, blocks=8, turns=50)
    return found


def _saturate(folder: Path, url: str, chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """Flat out by one API process and by two, in turns."""
    seconds = min(FLAT_OUT_SECONDS, chosen.seconds / 2)
    clients, turns = min(FLAT_OUT_CLIENTS, chosen.clients), (1, 2, 1, 2)
    items = round(FLAT_OUT_MOST * (seconds + 2) * len(turns))
    seeded = seed_queue(folder, url, items=items, people=clients)
    found = [
        measure_saturated(seeded, processes=n, clients=clients, seconds=seconds) for n in turns
    ]
    seeded.sessions.kw["bind"].dispose()
    return found


def report(result: dict[str, Any], out: Path | None) -> None:
    """JSON to the file, the same as tables in Markdown beside it, and to the screen."""
    from tests.benchmarks._review_report import tables

    print(text := tables(result))
    write(result, out)
    if out is not None:
        out.with_suffix(".md").write_text(text)
    keep(out, list(ratios_of(result)))


def ratios_of(result: dict[str, Any]) -> Iterator[Ratio]:
    """What of it has a goal: the cost beside plain SQL and by length, waiting, and nothing lost."""
    load = (result["load_average_before"][0], result["load_average_after"][0])
    for kind in (name for name in ("sqlite", "postgresql") if name in result):
        part = result[kind]
        if "raw" in part:
            yield Ratio(f"processor of a claim and a submit to plain SQL, {kind}",
                        part["raw"]["ratios"], at_most=3, load=load)  # fmt: skip
        if "cost" in part and len(part["cost"]) > 1:
            longest = list(part["cost"])[-1]
            ratio = part["cost"][longest]["claim_to_least"]
            yield Ratio(f"a claim in a queue of {longest} to the shortest, {kind}", [ratio],
                        load=load)  # fmt: skip
        for name in ("flat_out", "paced", *RATES):
            if name in part:
                lost = part[name]["lost"] + part[name]["doubled"]
                yield Ratio(f"lost or doubled, {name}, {kind}", [lost], at_most=0, unit="reviews",
                            load=load)  # fmt: skip
        yield from _saturated_ratios(part.get("saturated", []), load)
        for name in (name for name in RATES if name in part):
            yield Ratio(f"p95 of a review at {part[name]['wanted_per_second']:g} a second, {name}",
                        [part[name]["review"]["p95_ms"]], unit="ms", load=load)  # fmt: skip


def _saturated_ratios(rows: list[dict[str, Any]], load: tuple[float, float]) -> Iterator[Ratio]:
    """Whether two processes share the work, and what it costs them, beside one alone."""
    one, two = ([row for row in rows if row["processes"] == n] for n in (1, 2))
    if two:
        spread = [row["busiest_to_even"] for row in two]
        yield Ratio(
            "reviews of the busier of two API processes to an even share", spread, load=load
        )
        for name, key in (
            ("processor of the API for a review", "api_ms_of_processor_per_review"),
            ("reviews a second flat out", "reviews_per_second"),
        ):
            turns = [b[key] / a[key] for a, b in zip(one, two, strict=True)]
            yield Ratio(f"{name}, two API processes to one", turns, load=load)


def write(result: dict[str, Any], out: Path | None) -> None:
    """The figures so far, so that a part that fails takes nothing with it."""
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
