"""The digest of a training set: over what it holds and holds back, without database ids."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.services.curation.candidates import Candidate
from backend.services.curation.recipes import Order
from backend.services.datasets.prompts import chat_messages
from backend.tables.curation import HeldBackRow, TrainingSet, TrainingSetRow
from backend.tables.datasets import Example

READ_ROWS = 500
Parts = list[object]


def rows_digest(
    rows: Sequence[Candidate],
    held_back: Sequence[Candidate] = (),
    order: Order = Order.SHUFFLED,
) -> str:
    """SHA-256 over the rows in order: texts, labels, weights and sources, no database ids.

    What is held back, and an order that the trainer has to find, follow as lines of their own.
    """
    taught = (_parts(row, chat_messages(row.example), row.example) for row in rows)
    held = (_held_parts(row, row.example) for row in held_back)
    return _digest([taught, held, _order_parts(order)])


def stored_digest(session: Session, training_set_id: int) -> str:
    """The same digest, computed from what the database holds now."""
    rows = (
        select(TrainingSetRow, Example)
        .join(Example, Example.id == TrainingSetRow.example_id)
        .where(TrainingSetRow.training_set_id == training_set_id)
        .order_by(TrainingSetRow.position)
        .execution_options(yield_per=READ_ROWS)
    )
    held = (
        select(HeldBackRow, Example)
        .join(Example, Example.id == HeldBackRow.example_id)
        .where(HeldBackRow.training_set_id == training_set_id)
        .order_by(HeldBackRow.position)
    )
    asked = session.get_one(TrainingSet, training_set_id).recipe.get("asked", {})
    return _digest(
        [
            (_parts(row, row.prompt, example) for row, example in session.execute(rows)),
            (_held_parts(row, example) for row, example in session.execute(held)),
            _order_parts(Order(asked.get("order", Order.SHUFFLED))),
        ]
    )


def _parts(
    row: Candidate | TrainingSetRow, prompt: list[dict[str, str]], example: Example
) -> Parts:
    parts: Parts = [
        row.kind,
        prompt,
        row.completion,
        row.rejected,
        row.label,
        row.source,
        example.external_id,
    ]
    return parts if row.weight is None else [*parts, row.weight]


def _held_parts(row: Candidate | HeldBackRow, example: Example) -> Parts:
    return ["held back", row.completion, row.source, example.external_id]


def _order_parts(order: Order) -> Iterator[Parts]:
    if order is Order.EASY_TO_HARD:
        yield ["order", str(order)]


def _digest(lines: Iterable[Iterable[Parts]]) -> str:
    digest = hashlib.sha256()
    for group in lines:
        for parts in group:
            digest.update(json.dumps(parts, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()
