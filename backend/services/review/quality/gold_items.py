"""Known answers in a queue: added from outputs or from adjudications, and listed.

A gold item is an item of its own, at a negative position, so that it takes no place in the order
of what is to be reviewed. An output that is still to be reviewed in the same queue cannot become
one: whoever was told the answer could no longer review it.

Known answers as a person gives them: by the ids of outputs, or by example and models.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Integer, case, func, select
from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput, NotFound
from backend.services.models.versions import find_model
from backend.services.pages import PageAsk, RowPage, page_of
from backend.services.review.answer import refuse_unstorable_text
from backend.services.review.quality.adjudication import WINNER, answers_of
from backend.services.review.quality.gold import check_known
from backend.services.review.queues import get_queue, rubric_of
from backend.tables.datasets import Example
from backend.tables.review import (
    Adjudication,
    GoldAnswer,
    GoldResult,
    Purpose,
    QueueKind,
    Review,
    ReviewItem,
    ReviewQueue,
    ReviewSlot,
    SlotState,
)
from backend.tables.runs import Generation, GenerationRun
from evaluators.files.readers import FileTable, is_missing


@dataclass(frozen=True, slots=True)
class GoldRow:
    """A known answer as it is given: by the ids of outputs, or by example and models.

    Attributes:
        generation, generation_b: ids of outputs; the second for pairs alone.
        example, model, model_b: the example's id in the dataset and how people write the models.
        answer: see `gold`; a and b are the outputs in the order given here.
    """

    answer: Mapping[str, Any]
    explanation: str
    generation: int | None = None
    generation_b: int | None = None
    example: str | None = None
    model: str | None = None
    model_b: str | None = None


def read_gold_rows(table: FileTable) -> list[GoldRow]:
    """Known answers of a file of rows, one each.

    Raises:
        InvalidInput: a row that is none, with its number.
    """
    rows = []
    for record in table.records:
        present = {key: value for key, value in record.values.items() if not is_missing(value)}
        try:
            rows.append(_row(present))
        except (TypeError, InvalidInput) as error:
            raise InvalidInput(
                f"{table.name}: row {record.row} is no known answer: {error}",
                hint='For example {"example": "t-1", "model": "base", "answer": '
                '{"ratings": {"faithful": "no"}}, "explanation": "The price is invented."}',
            ) from error
    return rows


def _row(content: Mapping[str, Any]) -> GoldRow:
    if unknown := sorted(content.keys() - {field.name for field in fields(GoldRow)}):
        raise InvalidInput(f"{unknown[0]!r} is no part of one.")
    if missing := sorted({"answer", "explanation"} - set(content)):
        raise InvalidInput(f"{missing[0]!r} is missing.")
    for name in ("example", "model", "model_b", "explanation"):
        if not isinstance(content.get(name), str | None):
            raise InvalidInput(f"{name!r} is no text.")
    for name in ("generation", "generation_b"):
        if not isinstance(content.get(name), int | None) or isinstance(content.get(name), bool):
            raise InvalidInput(f"{name!r} is no id of an output.")
    return GoldRow(**content)


MAX_EXPLANATION = 4_000


@dataclass(frozen=True, slots=True)
class GoldCounts:
    """How people did on one known answer; `contested` are results that nobody has looked at."""

    n: int = 0
    met: int = 0
    contested: int = 0


def add_gold(
    session: Session, queue_id: int, rows: Sequence[GoldRow], *, by: int | None
) -> list[GoldAnswer]:
    """Add known answers to a queue: all of them, or none when one is wrong.

    Raises:
        InvalidInput: an answer does not fit the rubric, or an explanation is missing.
        NotFound: an output that the queue's project does not have.
        Conflict: the output is gold in this queue already, or is still to be reviewed there.
    """
    queue = _locked(session, queue_id)
    added = []
    for number, row in enumerate(rows, start=1):
        try:
            added.append(_add(session, queue, row, by=by))
        except (InvalidInput, NotFound, Conflict) as error:
            if len(rows) > 1:
                error.message = f"Known answer {number}: {error.message}"
            raise
    return added


def add_adjudicated(
    session: Session, queue_id: int, *, by: int | None, adjudication_ids: Sequence[int] = ()
) -> list[GoldAnswer]:
    """Make gold of what was decided in the queue: each verdict, explained by its comment.

    Args:
        adjudication_ids: these alone; by default all that were decided and are not gold yet.

    Raises:
        NotFound: one of them is not decided, or not of the queue.
    """
    queue = _locked(session, queue_id)
    query = select(Adjudication).where(
        Adjudication.queue_id == queue_id, Adjudication.review_id.is_not(None)
    )
    decided = {one.id: one for one in session.scalars(query.order_by(Adjudication.id))}
    if missing := sorted(set(adjudication_ids) - set(decided)):
        raise NotFound(f"There is no decided adjudication {missing[0]} in this queue.")
    wanted = [decided[id_] for id_ in adjudication_ids] or list(decided.values())
    rows = [
        row
        for one in wanted
        if (row := _verdict_row(session, queue, one)) is not None
        and (adjudication_ids or not _gold_of(session, queue_id, row))
    ]
    return [_add(session, queue, row, by=by) for row in rows]


def _verdict_row(session: Session, queue: ReviewQueue, decided: Adjudication) -> GoldRow | None:
    """The verdict as a known answer; None when it says nothing that can be judged."""
    review = session.get_one(Review, decided.review_id)
    if review.withdrawn_at is not None:
        return None
    said = answers_of(session, [review.id])[review.id]
    judged = {c.name for c in rubric_of(queue).criteria if c.level is not None}
    answer: dict[str, Any] = {
        "ratings": {name: given.value for name, given in said.items() if name in judged}
    }
    if WINNER in said and said[WINNER].value != "cannot_judge":
        answer["winner"] = said[WINNER].value
    if not answer["ratings"] and "winner" not in answer:
        return None
    return GoldRow(
        answer=answer,
        explanation=review.comment or f"Decided by adjudication. {decided.reason}",
        generation=decided.item.generation_a_id,
        generation_b=decided.item.generation_b_id,
    )


def _add(session: Session, queue: ReviewQueue, row: GoldRow, *, by: int | None) -> GoldAnswer:
    explanation = row.explanation.strip()
    if not explanation or len(explanation) > MAX_EXPLANATION:
        raise InvalidInput(
            f"A known answer needs an explanation of at most {MAX_EXPLANATION} characters.",
            hint="People read it right after they answered.",
        )
    refuse_unstorable_text(explanation)
    a, b = _outputs(session, queue, row)
    answer = check_known(rubric_of(queue), queue.kind, row.answer)
    _refuse_taken(session, queue.id, a, b)
    lowest = session.scalar(
        select(func.min(ReviewItem.position)).where(ReviewItem.queue_id == queue.id)
    )
    position = min(lowest or 0, 0) - 1
    side = random.Random(f"gold:{queue.seed}:{position}").random() < 0.5
    item = ReviewItem(
        queue_id=queue.id,
        position=position,
        generation_a_id=a,
        generation_b_id=b,
        a_is_left=b is None or side,
        required_reviews=0,
        purpose=Purpose.GOLD,
    )
    session.add(item)
    session.flush()
    gold = GoldAnswer(item_id=item.id, answer=answer, explanation=explanation, created_by_id=by)
    session.add(gold)
    session.flush()
    return gold


def _outputs(session: Session, queue: ReviewQueue, row: GoldRow) -> tuple[int, int | None]:
    """Ids of the outputs that the row names, of the project and, for a pair, of one example."""
    pair = queue.kind == QueueKind.PAIR
    named = [(row.generation, row.model), (row.generation_b, row.model_b)][: 2 if pair else 1]
    if not pair and (row.generation_b is not None or row.model_b is not None):
        raise InvalidInput("A queue of single outputs takes one output for a known answer.")
    found = [_output(session, queue, row.example, *one) for one in named]
    if any(output.text is None for output in found):
        raise InvalidInput("The model wrote nothing there.")
    if pair and (found[0].example_id != found[1].example_id or found[0].id == found[1].id):
        raise InvalidInput("A pair needs two outputs of one example.")
    return found[0].id, found[1].id if pair else None


def _output(
    session: Session,
    queue: ReviewQueue,
    example: str | None,
    generation_id: int | None,
    model: str | None,
) -> Generation:
    query = select(Generation)
    if generation_id is not None:
        query = query.where(Generation.id == generation_id)
    elif example is not None and model is not None:
        query = (
            query.join(Example, Example.id == Generation.example_id)
            .where(
                Generation.run_id == queue.generation_run_id,
                Generation.model_version_id == find_model(session, queue.project_id, model).id,
                Example.external_id == example,
            )
            .order_by(Generation.sample)
            .limit(1)
        )
    else:
        raise InvalidInput("Which output?", hint="Name its id, or example and model.")
    query = query.join(GenerationRun, GenerationRun.id == Generation.run_id)
    found = session.scalar(query.where(GenerationRun.project_id == queue.project_id))
    if found is None:
        what = f"of {example} by {model}" if generation_id is None else str(generation_id)
        raise NotFound(f"There is no output {what} for this queue.")
    return found


def _refuse_taken(session: Session, queue_id: int, a: int, b: int | None) -> None:
    for item in _items_with(session, queue_id, a, b):
        if item.purpose == Purpose.GOLD:
            raise Conflict("There is a known answer to this output in the queue already.")
        waiting = select(ReviewSlot.id).where(
            ReviewSlot.item_id == item.id, ReviewSlot.state.in_([SlotState.OPEN, SlotState.LEASED])
        )
        if session.scalar(waiting.limit(1)) is not None:
            raise Conflict(
                "This output is still to be reviewed in the queue itself.",
                hint="Take one that is reviewed already, or one that the queue does not hold.",
            )


def _gold_of(session: Session, queue_id: int, row: GoldRow) -> bool:
    outputs = (int(row.generation or 0), row.generation_b)
    found = _items_with(session, queue_id, *outputs)
    return any(item.purpose == Purpose.GOLD for item in found)


def _items_with(session: Session, queue_id: int, a: int, b: int | None) -> list[ReviewItem]:
    """The items of the queue that show these outputs, whichever of them is a."""
    either = [id_ for id_ in (a, b) if id_ is not None]
    query = select(ReviewItem).where(
        ReviewItem.queue_id == queue_id, ReviewItem.generation_a_id.in_(either)
    )
    found = session.scalars(query)
    return [i for i in found if {i.generation_a_id, i.generation_b_id} == {a, b}]


def _locked(session: Session, queue_id: int) -> ReviewQueue:
    """The queue, locked: positions of gold items are given out one after the other."""
    get_queue(session, queue_id)
    query = select(ReviewQueue).where(ReviewQueue.id == queue_id)
    return session.scalars(query.with_for_update(key_share=True)).one()


def list_gold(session: Session, queue_id: int, ask: PageAsk) -> RowPage[GoldAnswer]:
    """The known answers of a queue, the newest first, withdrawn ones too."""
    items = select(ReviewItem.id).where(ReviewItem.queue_id == queue_id)
    return page_of(session, GoldAnswer, ask, where=[GoldAnswer.item_id.in_(items)])


def count_results(session: Session, gold_ids: Sequence[int]) -> dict[int, GoldCounts]:
    """How people did on known answers, by the id of the answer."""
    waiting = GoldResult.contested_at.is_not(None) & GoldResult.resolved_at.is_(None)
    rows = session.execute(
        select(
            GoldResult.gold_id,
            func.count(),
            func.sum(GoldResult.passed.cast(Integer)),
            func.sum(case((waiting, 1), else_=0)),
        )
        .where(GoldResult.gold_id.in_(gold_ids))
        .group_by(GoldResult.gold_id)
    )
    found = {id_: GoldCounts(int(n), int(met), int(waits)) for id_, n, met, waits in rows}
    return {id_: found.get(id_, GoldCounts()) for id_ in gold_ids}
