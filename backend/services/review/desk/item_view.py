"""An item as its expert sees it: the source, and one output or a blind left and right.

No model name, no score but the risk (told_risk), and nobody else's answer passes through here; what
the queue's rules mask is masked (blind). What an output states and where its source says so, for an
item that a person has before them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Connection, Select, Table, bindparam, not_, select
from sqlalchemy.orm import Session

from backend.errors import NotFound
from backend.prepared import PreparedStatement
from backend.schemas.review.desk import ItemView, OutputText, QueueProgress, RiskNotice
from backend.schemas.runs import FlaggedSpan
from backend.schemas.turns import turns_of
from backend.services.review.blind import JOINED_NAMES, mask_text, names_of, terms_among
from backend.services.review.desk.risk import (
    AFTER_ALONE,
    OF_OTHERS,
    before_the_answer,
    flags_among,
    risk_of,
)
from backend.services.review.progress import STANDING, as_progress
from backend.services.review.rules import kept_design, kept_rules
from backend.services.review.statements import DESIGN, ITEMS, QUEUES, RULES, SLOTS
from backend.tables.datasets import Example
from backend.tables.review import ReviewItem
from backend.tables.runs import Generation, Score
from evaluators.checks.grounding.support import Link, find_support


def find_links(item: ItemView) -> Sequence[Link]:
    """The claims of a single output with their places in its source; nothing for a blind pair.

    Places count code points of the context, a line break and the input, as the model was given
    them.
    """
    if item.output is None:
        return ()
    return find_support(item.output.text, "\n".join(filter(None, (item.context, item.input))))


EXAMPLES = cast(Table, Example.__table__)
SCORES = cast(Table, Score.__table__)
TELLS_WHY = "tells_why"
"""Key of a queue's design: its items tell before the answer why they were chosen."""
A = cast(Table, Generation.__table__).alias("a")
B = cast(Table, Generation.__table__).alias("b")


_ITEM: Select[Any] = (
    select(
        ITEMS.c.a_is_left,
        ITEMS.c.generation_a_id,
        ITEMS.c.generation_b_id,
        ITEMS.c.why,
        QUEUES.c.score_run_id,
        RULES,
        DESIGN,
        A.c.text.label("a_text"),
        B.c.text.label("b_text"),
        EXAMPLES.c.input,
        EXAMPLES.c.messages,
        EXAMPLES.c.context,
        JOINED_NAMES.label("names"),
    )
    .select_from(ITEMS)
    .join(QUEUES, QUEUES.c.id == ITEMS.c.queue_id)
    .join(A, A.c.id == ITEMS.c.generation_a_id)
    .join(EXAMPLES, EXAMPLES.c.id == A.c.example_id)
    .outerjoin(B, B.c.id == ITEMS.c.generation_b_id)
)
_BY_ID = PreparedStatement(_ITEM.where(ITEMS.c.id == bindparam("item")))
_OF_PERSON = _ITEM.join(SLOTS, SLOTS.c.item_id == ITEMS.c.id).where(
    SLOTS.c.id == bindparam("slot"), SLOTS.c.owner_id == bindparam("person")
)
_BY_SLOT = PreparedStatement(_OF_PERSON)
_WITH_PROGRESS = PreparedStatement(
    _OF_PERSON.add_columns(*(column for column in STANDING if column is not DESIGN))
)
_ALL_SPANS = select(SCORES.c.spans).where(
    SCORES.c.score_run_id == bindparam("run"),
    SCORES.c.generation_id == bindparam("generation"),
    ~OF_OTHERS,  # no finding by itself; a risk that it raises brings its marks
)
_SPANS_BEFORE = PreparedStatement(_ALL_SPANS.where(not_(AFTER_ALONE)))
_SPANS = PreparedStatement(_ALL_SPANS)


def claimed_view(session: Session, slot_id: int, user_id: int) -> tuple[ItemView, QueueProgress]:
    """As `item_view`, with the person's progress in the queue, in one statement."""
    connection = session.connection()
    row = _WITH_PROGRESS.first(connection, {"slot": slot_id, "person": user_id})
    return _view(connection, _held(row)), as_progress(row)


def item_view(session: Session, slot_id: int, user_id: int) -> ItemView:
    """The item of a slot that this person holds or has done; NotFound for anybody else."""
    connection = session.connection()
    return _view(
        connection, _held(_BY_SLOT.first(connection, {"slot": slot_id, "person": user_id}))
    )


def _held(row: Any | None) -> Any:
    if row is None:
        raise NotFound("You do not hold this item.", hint="Ask for the next one.")
    return row


def show_item(session: Session, item: ReviewItem, *, answered: bool = False) -> ItemView:
    """An item as an expert sees it; who has answered is told its risk, too."""
    connection = session.connection()
    row = _BY_ID.first(connection, {"item": item.id})
    return _view(connection, row, answered=answered)


def risk_after_answer(session: Session, item_id: int) -> RiskNotice | None:
    """The risk of a single output, for whoever has just answered."""
    connection = session.connection()
    row: Any = _BY_ID.first(connection, {"item": item_id})
    if row.generation_b_id is not None:
        return None
    terms = terms_among(kept_rules(row.rules), kept_design(row.design), names_of(row.names))
    return risk_of(connection, row.score_run_id, row.generation_a_id, terms)


def _view(connection: Connection, row: Any, *, answered: bool = False) -> ItemView:
    pair = row.generation_b_id is not None
    rules, design = kept_rules(row.rules), kept_design(row.design)
    told = answered or before_the_answer(rules, design, pair=pair)
    terms = terms_among(rules, design, names_of(row.names))
    a = mask_text(row.a_text or "", terms)
    output = left = right = risk = None
    if not pair:
        flags = flags_of(connection, row.score_run_id, row.generation_a_id, terms, told=told)
        output = OutputText(text=a, flagged=flags)
        if told:
            risk = risk_of(connection, row.score_run_id, row.generation_a_id, terms)
    else:
        b = mask_text(row.b_text or "", terms)
        left, right = (OutputText(text=side) for side in ((a, b) if row.a_is_left else (b, a)))
    return ItemView(
        input=row.input,
        turns=turns_of(row.messages),
        context=row.context,
        output=output,
        left=left,
        right=right,
        risk=risk,
        why=row.why if TELLS_WHY in design else None,
    )


def flags_of(
    connection: Connection,
    score_run_id: int | None,
    generation_id: int,
    terms: Sequence[str],
    *,
    told: bool = False,
) -> list[FlaggedSpan]:
    """What the checks of a score run flag in an output, masked; nothing without a score run.

    Args:
        told: also what waits for the answer in some queues (`risk` beside it).
    """
    if score_run_id is None:
        return []
    asked = {"run": score_run_id, "generation": generation_id}
    rows = (_SPANS if told else _SPANS_BEFORE).each(connection, asked)
    found = flags_among((span for row in rows for span in row.spans), terms)
    return list(dict.fromkeys(found))  # several checks may say the same
