"""Claims and submits without HTTP: by the services, and the same rows by plain SQL.

Plain SQL is the limit: a driver, prepared strings, no checks. Both do one transaction for a claim
and one for a submit, in one process, on the same database, in turns.
"""

from __future__ import annotations

import cProfile
import io
import pstats
import sqlite3
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from backend.db import utc_now
from backend.services import review
from tests.benchmarks._review_seed import Seeded
from tests.fixtures_review import GOOD

Turn = Callable[[int], tuple[float, float]]
"""Claims and submits one item for a person; seconds of each."""
ANSWER = review.Answer(GOOD, active_seconds=30.0)
RATINGS = [("faithful", "yes", 1.0), ("quality", "5", 5.0), ("problem", "none", None)]

SEAT = "SELECT cursor, n_submitted FROM queue_members WHERE queue_id = ? AND user_id = ?"
TAKE = """
    UPDATE review_slots SET state = 'leased', owner_id = ?, lease_until = ?, version = version + 1
    WHERE id = (
        SELECT free.id FROM review_slots AS free
        WHERE free.queue_id = ? AND free.state = 'open' AND free.purpose = 'review'
        AND free.position > ?
        AND NOT EXISTS (SELECT 1 FROM review_slots AS other
            WHERE other.item_id = free.item_id AND other.owner_id = ? AND other.id != free.id)
        AND NOT EXISTS (SELECT 1 FROM reviews WHERE reviews.item_id = free.item_id
            AND reviews.reviewer_id = ? AND reviews.state IN ('submitted', 'skipped'))
        ORDER BY free.position LIMIT 1{lock}
    ) RETURNING id, version, item_id
"""
BEGIN = """
    INSERT INTO reviews (item_id, slot_id, slot_version, reviewer_id, state, draft,
        annotator_kind, simulated, active_seconds, started_at)
    VALUES (?, ?, ?, ?, 'draft', '{}', 'human', ?, 0, ?)
"""
RELEASE = """
    UPDATE review_slots SET state = 'done', lease_until = NULL
    WHERE id = ? AND owner_id = ? AND version = ? AND state = 'leased' RETURNING id
"""
SUBMIT = """
    UPDATE reviews SET state = 'submitted', draft = '{}', answer_digest = ?, active_seconds = ?,
        submitted_at = ?, seconds_by_criterion = '{}'
    WHERE slot_id = ? AND slot_version = ? RETURNING id
"""
RATE = "INSERT INTO ratings (review_id, criterion, value, number) VALUES (?, ?, ?, ?)"
COUNT = """
    UPDATE queue_members SET n_submitted = n_submitted + 1, since_gold = since_gold + 1,
        n_timed = n_timed + 1, timed_seconds = timed_seconds + ?, cursor = ?
    WHERE queue_id = ? AND user_id = ?
"""


def services_turn(seeded: Seeded) -> Turn:
    """By the services, as a route calls them."""

    def turn(user_id: int) -> tuple[float, float]:
        started = time.perf_counter()
        with seeded.sessions.begin() as session:
            held = review.claim_next(session, seeded.queue_id, user_id, now=utc_now())
        claimed = time.perf_counter()
        assert isinstance(held, review.Claim), held
        with seeded.sessions.begin() as session:
            review.submit_review(
                session,
                slot_id=held.slot_id,
                version=held.version,
                user_id=user_id,
                answer=ANSWER,
                now=utc_now(),
            )
        return claimed - started, time.perf_counter() - claimed

    return turn


def plain_turn(seeded: Seeded) -> Turn:
    """By plain SQL through the driver."""
    if seeded.settings.url.startswith("sqlite"):
        path = seeded.settings.url.removeprefix("sqlite:///")
        connection: Any = sqlite3.connect(path, isolation_level=None)
        for pragma in ("synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=30000"):
            connection.execute(f"PRAGMA {pragma}")
        return _plain(connection, seeded.queue_id, begin="BEGIN IMMEDIATE", mark="?", lock="")
    import psycopg

    url = seeded.settings.url.replace("+psycopg", "")
    connection = psycopg.connect(url, autocommit=True)
    return _plain(
        connection, seeded.queue_id, begin="BEGIN", mark="%s", lock=" FOR UPDATE SKIP LOCKED"
    )


def _plain(connection: Any, queue_id: int, *, begin: str, mark: str, lock: str) -> Turn:
    sql = {
        name: text.replace("{lock}", lock).replace("?", mark)
        for name, text in {
            "seat": SEAT + (" FOR UPDATE" if lock else ""),
            "take": TAKE,
            "begin": BEGIN,
            "release": RELEASE,
            "submit": SUBMIT,
            "rate": RATE,
            "count": COUNT,
        }.items()
    }
    run = connection.cursor().execute

    def moment(at: datetime) -> Any:
        return at if lock else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")

    def turn(user_id: int) -> tuple[float, float]:
        started = time.perf_counter()
        now = utc_now()
        run(begin)
        cursor, _ = run(sql["seat"], (queue_id, user_id)).fetchone()
        until = moment(now + timedelta(seconds=600))
        who = (user_id, until, queue_id, cursor, user_id, user_id)
        slot_id, version, item_id = run(sql["take"], who).fetchone()
        run(sql["begin"], (item_id, slot_id, version, user_id, False, moment(now)))
        run("COMMIT")
        claimed = time.perf_counter()
        run(begin)
        run(sql["release"], (slot_id, user_id, version)).fetchone()
        said = ("0" * 64, 30.0, moment(utc_now()), slot_id, version)
        review_id = run(sql["submit"], said).fetchone()[0]
        for rating in RATINGS:
            run(sql["rate"], (review_id, *rating))
        run(sql["count"], (30.0, cursor, queue_id, user_id))
        run("COMMIT")
        return claimed - started, time.perf_counter() - claimed

    return turn


def profile_services(seeded: Seeded, out: Path, *, reviews: int = 2_000, most: int = 10) -> None:
    """The functions in which claims and submits spend their time, to the file and the screen.

    By cProfile, which makes calls of Python dearer than they are: good for an order, no ratio.
    """
    turn, profiler, text = services_turn(seeded), cProfile.Profile(), io.StringIO()
    profiler.enable()
    for n in range(reviews):
        turn(seeded.user_ids[n % len(seeded.user_ids)])
    profiler.disable()
    pstats.Stats(profiler, stream=text).sort_stats("tottime").print_stats(most)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text.getvalue())
    print(text.getvalue())


def compare_with_plain_sql(seeded: Seeded, *, blocks: int = 12, turns: int = 60) -> dict[str, Any]:
    """Microseconds of a claim, of a submit and of both, medians over interleaved blocks.

    `cpu_us` is this process's own processor time for both: on a busy machine the clock also shows
    what others do. On PostgreSQL the server's work is not in it.
    """
    cpu: dict[str, list[float]] = {"services": [], "plain_sql": []}
    sides = {"services": services_turn(seeded), "plain_sql": plain_turn(seeded)}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for block in range(blocks):
        for name, turn in sides.items():
            before = time.process_time()
            for n in range(turns):
                times = turn(seeded.user_ids[n % len(seeded.user_ids)])
                if block > 0:  # the first warms up
                    taken[name].append(times)
            if block > 0:
                cpu[name].append((time.process_time() - before) / turns * 1e6)
    found = {
        name: {**_medians(times), "cpu_us": round(statistics.median(cpu[name]))}
        for name, times in taken.items()
    }
    found["ratio"] = {
        act: round(found["services"][act] / found["plain_sql"][act], 2) for act in found["services"]
    }
    pairs = zip(cpu["services"], cpu["plain_sql"], strict=True)
    return {**found, "ratios": [ours / plain for ours, plain in pairs]}


def _medians(times: list[tuple[float, float]]) -> dict[str, float]:
    claims, submits = ([pair[n] * 1e6 for pair in times] for n in (0, 1))
    both = [claim + submit for claim, submit in zip(claims, submits, strict=True)]
    return {
        "claim_us": round(statistics.median(claims)),
        "submit_us": round(statistics.median(submits)),
        "review_us": round(statistics.median(both)),
    }
