"""Queues of any size for the benchmarks of the review desk, made in bulk.

A small project is built as the tests build it; then items and slots are added by one statement
each. Items share the outputs of the small project: what is measured is the desk, not the texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, insert, select, text, update
from sqlalchemy.orm import Session, sessionmaker

from backend.db import connect, migrate, utc_now
from backend.services.accounts.credentials import create_token
from backend.services.review.statements import ITEMS, QUEUES, SLOTS
from backend.settings import Settings
from backend.tables.runs import Generation
from tests.fixtures_review import build_desk

OUTPUTS = 100
CHUNK = 5_000


@dataclass(frozen=True, slots=True)
class Seeded:
    """A queue with its reviewers, and how to reach it."""

    settings: Settings
    sessions: sessionmaker[Session]
    queue_id: int
    user_ids: list[int]
    tokens: list[str]


def seed_queue(
    folder: Path,
    url: str | None,
    *,
    items: int,
    people: int,
    overlap_share: float = 0.0,
    lease_seconds: int = 600,
    tokens: bool = True,
) -> Seeded:
    """A migrated database with one queue of `items` items; the first ones are asked of two."""
    settings = Settings(home=folder, database_url=url)
    migrate(settings.url)
    sessions = connect(settings)
    with sessions.begin() as session:
        desk = build_desk(session, splits={"train": OUTPUTS}, n_experts=people)
        queue = desk.open(session, n_items=1, lease_seconds=lease_seconds)
        queue.rules = {"adaptive_leases": False}
        session.flush()
        outputs = list(session.scalars(select(Generation.id).order_by(Generation.id)))
        made = [
            create_token(session, expert, "load", now=utc_now()).value if tokens else ""
            for expert in desk.experts
        ]
        grow_queue(session.connection(), queue.id, outputs, items, round(items * overlap_share))
        if sessions.kw["bind"].dialect.name == "postgresql":
            session.execute(text("ANALYZE"))
        return Seeded(settings, sessions, queue.id, [user.id for user in desk.experts], made)


def grow_queue(
    connection: Connection, queue_id: int, outputs: list[int], items: int, overlapping: int
) -> None:
    """Replace the queue's items by this many; the first `overlapping` have two slots."""
    connection.execute(SLOTS.delete().where(SLOTS.c.queue_id == queue_id))
    connection.execute(ITEMS.delete().where(ITEMS.c.queue_id == queue_id))
    first = (
        connection.execute(text("SELECT coalesce(max(id), 0) FROM review_items")).scalar()
    ) or 0
    position = 0
    for start in range(0, items, CHUNK):
        numbers = range(start, min(start + CHUNK, items))
        connection.execute(
            insert(ITEMS),
            [
                {
                    "id": first + 1 + n,
                    "queue_id": queue_id,
                    "position": n,
                    "generation_a_id": outputs[n % len(outputs)],
                    "required_reviews": 2 if n < overlapping else 1,
                }
                for n in numbers
            ],
        )
        slots = []
        for n in numbers:
            for number in range(2 if n < overlapping else 1):
                slot = {"queue_id": queue_id, "item_id": first + 1 + n, "number": number}
                slots.append({**slot, "position": position, "state": "open", "version": 0})
                position += 1
        connection.execute(insert(SLOTS), slots)
    design = connection.execute(select(QUEUES.c.design).where(QUEUES.c.id == queue_id)).scalar_one()
    grown = {**design, "n_slots": position, "n_items": items}
    connection.execute(update(QUEUES).where(QUEUES.c.id == queue_id).values(design=grown))
