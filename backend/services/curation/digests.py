"""The digest of a training set: over what it holds and holds back, without database ids."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.services.curation.candidates import CandidateRow
from backend.services.curation.recipes import Order
from backend.services.datasets.conversations import chat_messages
from backend.tables.curation import HeldBackRow, TrainingSet, TrainingSetRow
from backend.tables.datasets import Example

READ_ROWS = 500
Parts = list[object]
Rendered = Mapping[int, list[dict[str, str]]]


def rows_digest(
    rows: Sequence[CandidateRow],
    held_back: Sequence[CandidateRow] = (),
    order: Order = Order.SHUFFLED,
    *,
    rendered: Rendered | None = None,
) -> str:
    """SHA-256 over the rows in order: texts, labels, weights and sources, no database ids.

    What is held back, and an order that the trainer has to find, follow as lines of their own.

    Args:
        rendered: the messages of each example by its id; None is without a prompt.
    """
    taught = (_parts(row, messages_of(row, rendered), row.example) for row in rows)
    held = (_held_parts(row, row.example) for row in held_back)
    return _digest([taught, held, _order_parts(order)])


def stored_digest(session: Session, training_set_id: int) -> str:
    """The same digest, computed from what the database holds now."""
    return _digest([_stored_parts(session, training_set_id).values()])


def stored_lines(session: Session, training_set_id: int) -> dict[str, str]:
    """The lines of all rows of a set as they stand now: `row:0`, `held:0`, `order`."""
    parts = _stored_parts(session, training_set_id)
    return {name: json.dumps(line, ensure_ascii=False) for name, line in parts.items()}


def _stored_parts(session: Session, training_set_id: int) -> dict[str, Parts]:
    """In the order in which they are digested."""
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
    order = _order_parts(Order(asked.get("order", Order.SHUFFLED)))
    return {
        **{f"row:{r.position}": _parts(r, r.prompt, e) for r, e in session.execute(rows)},
        **{f"held:{r.position}": _held_parts(r, e) for r, e in session.execute(held)},
        **dict(zip(("order",), order, strict=False)),
    }


def _parts(
    row: CandidateRow | TrainingSetRow, prompt: list[dict[str, str]], example: Example
) -> Parts:
    parts: Parts = [row.kind, prompt, row.completion, row.rejected, row.label, row.source]
    return [*parts, example.external_id, *([] if row.weight is None else [row.weight])]


def _held_parts(row: CandidateRow | HeldBackRow, example: Example) -> Parts:
    return ["held back", row.completion, row.source, example.external_id]


def _order_parts(order: Order) -> Iterator[Parts]:
    if order is Order.EASY_TO_HARD:
        yield ["order", str(order)]


def _digest(lines: Iterable[Iterable[Parts]]) -> str:
    digest = hashlib.sha256()
    for parts in chain.from_iterable(lines):
        digest.update(json.dumps(parts, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()


def messages_of(row: CandidateRow, rendered: Rendered | None) -> list[dict[str, str]]:
    """What a row asks: rendered with the prompt of its set, else the example's own turns."""
    if row.asked is not None:
        return [dict(message) for message in row.asked]
    return chat_messages(row.example) if rendered is None else rendered[row.example.id]
