"""Opening queues: which items, in which order, on which side, and for whom."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Any, NamedTuple, cast

from sqlalchemy import Table, insert, select
from sqlalchemy.orm import Session

from backend.errors import InvalidInput, NotFound
from backend.rubrics import Rubric, rubric_from_content
from backend.services.review.leases import MEMBERS, SLOTS
from backend.services.review.opening_rules import (
    check_kind,
    check_name,
    check_overlap,
    check_reviewers,
    check_rubric,
    check_run,
    check_score_run,
)
from backend.tables.generation import Generation
from backend.tables.review import QueueKind, ReviewItem, ReviewQueue, RubricVersion, SlotState

ITEMS = cast(Table, ReviewItem.__table__)
CHUNK = 500


class _Candidate(NamedTuple):
    a_id: int
    b_id: int | None


@dataclass(frozen=True, slots=True)
class Design:
    """How the items of a queue were chosen; stored with the queue.

    Attributes:
        n_candidates: items that could have been taken; each was taken with equal probability.
        n_overlap: items that `overlap` distinct people are to review; they come first.
        n_without_output: generations left out because the model failed there.
        n_identical: pairs left out because both models wrote the same text; they are ties.
    """

    model_ids: tuple[int, ...]
    seed: int
    n_candidates: int
    n_items: int
    n_slots: int
    overlap: int
    n_overlap: int
    n_without_output: int
    n_identical: int

    def as_dict(self) -> dict[str, Any]:
        """All fields, JSON-serialisable."""
        return {name: _plain(getattr(self, name)) for name in self.__slots__}


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def save_rubric(session: Session, project_id: int, rubric: Rubric) -> RubricVersion:
    """Store a rubric as the next version of its name; the same content is the version it has."""
    query = (
        select(RubricVersion)
        .where(RubricVersion.project_id == project_id, RubricVersion.name == rubric.name)
        .order_by(RubricVersion.version.desc())
    )
    versions = session.scalars(query).all()
    for version in versions:
        if version.digest == rubric.digest:
            return version
    stored = RubricVersion(
        project_id=project_id,
        name=rubric.name,
        version=versions[0].version + 1 if versions else 1,
        digest=rubric.digest,
        content=rubric.model_dump(mode="json"),
    )
    session.add(stored)
    session.flush()
    return stored


def open_queue(
    session: Session,
    *,
    project_id: int,
    name: str,
    kind: str,
    generation_run_id: int,
    rubric_version_id: int,
    model_ids: Sequence[int],
    reviewer_ids: Sequence[int],
    seed: int,
    n_items: int | None = None,
    overlap_share: float = 0.0,
    overlap: int = 1,
    score_run_id: int | None = None,
    lease_seconds: int = 600,
) -> ReviewQueue:
    """Open a queue over what the models of a run wrote.

    Kind `single`: one item for each generation of the models. Kind `pair`: one for each example
    and each two of the models, the earlier one being a. Items are a simple random sample in random
    order; for half of the pairs, drawn at random, a is shown on the left.

    Args:
        n_items: how many items; all of them when None or when there are fewer.
        overlap_share: share of the items that `overlap` distinct people review; they come first.
        score_run_id: where the flagged spans come from that single outputs are shown with.

    Raises:
        NotFound: run, rubric or score run is not of this project.
        InvalidInput: models, reviewers or overlap do not fit; or there is nothing to review.
        Conflict: the project has a queue of this name, or the run is not finished.
    """
    chosen_kind = check_kind(kind, model_ids)
    check_name(session, project_id, name)
    run = check_run(session, project_id, generation_run_id, model_ids)
    rubric = check_rubric(session, project_id, rubric_version_id, chosen_kind)
    check_score_run(session, score_run_id, run)
    check_reviewers(session, project_id, reviewer_ids)
    check_overlap(overlap_share, overlap, len(set(reviewer_ids)), lease_seconds)
    candidates, n_without, n_identical = _candidates(session, run.id, chosen_kind, model_ids)
    if not candidates:
        raise InvalidInput(
            f"There is nothing to review in run {run.id}: no output of these models"
            + (f" ({n_identical} identical pairs)." if n_identical else "."),
            hint="Let the run finish first, or name other models.",
        )
    rng = random.Random(seed)
    taken = rng.sample(candidates, min(n_items or len(candidates), len(candidates)))
    n_overlap = round(overlap_share * len(taken))
    queue = ReviewQueue(
        project_id=project_id,
        name=name,
        kind=chosen_kind,
        generation_run_id=run.id,
        score_run_id=score_run_id,
        rubric_version_id=rubric.id,
        seed=seed,
        lease_seconds=lease_seconds,
        design=Design(
            model_ids=tuple(model_ids),
            seed=seed,
            n_candidates=len(candidates),
            n_items=len(taken),
            n_slots=len(taken) + n_overlap * (overlap - 1),
            overlap=overlap,
            n_overlap=n_overlap,
            n_without_output=n_without,
            n_identical=n_identical,
        ).as_dict(),
    )
    session.add(queue)
    session.flush()
    _add_items(session, queue, taken, rng, required=[overlap] * n_overlap)
    add_reviewers(session, queue.id, reviewer_ids)
    return queue


def add_reviewers(session: Session, queue_id: int, user_ids: Sequence[int]) -> None:
    """Let these people claim from the queue; those who may already stay as they are."""
    query = select(MEMBERS.c.user_id).where(MEMBERS.c.queue_id == queue_id)
    there = set(session.scalars(query))
    for user_id in dict.fromkeys(user_ids):
        if user_id not in there:
            session.execute(insert(MEMBERS).values(queue_id=queue_id, user_id=user_id, cursor=-1))


def close_queue(session: Session, queue_id: int, *, now: datetime) -> ReviewQueue:
    """Give out no more items; what people hold they may still submit."""
    queue = get_queue(session, queue_id)
    queue.closed_at = queue.closed_at or now
    session.flush()
    return queue


def get_queue(session: Session, queue_id: int) -> ReviewQueue:
    """The queue, or NotFound."""
    queue = session.get(ReviewQueue, queue_id)
    if queue is None:
        raise NotFound("There is no such review queue.")
    return queue


def find_queue(session: Session, project_id: int, name: str) -> ReviewQueue:
    """A queue of a project by name; NotFound lists those that exist."""
    query = select(ReviewQueue).where(ReviewQueue.project_id == project_id)
    queues = session.scalars(query.order_by(ReviewQueue.id)).all()
    for queue in queues:
        if queue.name == name:
            return queue
    known = ", ".join(queue.name for queue in queues)
    raise NotFound(
        f"There is no review queue {name!r}.",
        hint=f"Known: {known}." if known else "Open one: strop review open",
    )


def list_queues(session: Session, project_id: int) -> list[ReviewQueue]:
    """All queues of a project, oldest first."""
    query = select(ReviewQueue).where(ReviewQueue.project_id == project_id)
    return list(session.scalars(query.order_by(ReviewQueue.id)))


def rubric_of(queue: ReviewQueue) -> Rubric:
    """The rubric under which the queue is reviewed."""
    return rubric_from_content(queue.rubric.content)


def _candidates(
    session: Session, run_id: int, kind: QueueKind, model_ids: Sequence[int]
) -> tuple[list[_Candidate], int, int]:
    """Items that can be had, outputs that are missing, and identical pairs."""
    columns = (
        Generation.id,
        Generation.model_version_id,
        Generation.example_id,
        Generation.sample,
        Generation.text,
    )
    query = select(*columns).where(
        Generation.run_id == run_id, Generation.model_version_id.in_(model_ids)
    )
    rows = session.execute(query.order_by(Generation.id)).all()
    written = [row for row in rows if row.text is not None]
    n_without = len(rows) - len(written)
    if kind is QueueKind.SINGLE:
        return [_Candidate(row.id, None) for row in written], n_without, 0
    by_cell: dict[tuple[int, int], dict[int, tuple[int, str]]] = {}
    for row in written:
        cell = by_cell.setdefault((row.example_id, row.sample), {})
        cell[row.model_version_id] = (row.id, row.text.strip())
    pairs = [
        (cell[a], cell[b])
        for cell in by_cell.values()
        for a, b in combinations(model_ids, 2)
        if a in cell and b in cell
    ]
    different = [_Candidate(a[0], b[0]) for a, b in pairs if a[1] != b[1]]
    return different, n_without, len(pairs) - len(different)


def _add_items(
    session: Session,
    queue: ReviewQueue,
    taken: Sequence[_Candidate],
    rng: random.Random,
    *,
    required: Sequence[int],
) -> None:
    probability = len(taken) / int(queue.design["n_candidates"])
    sides = [n % 2 == 0 for n in range(len(taken))]
    rng.shuffle(sides)
    position = 0
    for start in range(0, len(taken), CHUNK):
        numbers = range(start, min(start + CHUNK, len(taken)))
        items = [
            {
                "queue_id": queue.id,
                "position": n,
                "generation_a_id": taken[n].a_id,
                "generation_b_id": taken[n].b_id,
                "a_is_left": sides[n] or taken[n].b_id is None,
                "required_reviews": required[n] if n < len(required) else 1,
                "inclusion_probability": probability,
            }
            for n in numbers
        ]
        stored = insert(ITEMS).returning(ITEMS.c.id, sort_by_parameter_order=True)
        ids = session.scalars(stored, items).all()
        slots = []
        for item_id, item in zip(ids, items, strict=True):
            for number in range(cast(int, item["required_reviews"])):
                slots.append(
                    {
                        "queue_id": queue.id,
                        "item_id": item_id,
                        "number": number,
                        "position": position,
                        "state": SlotState.OPEN,
                        "version": 0,
                    }
                )
                position += 1
        session.execute(insert(SLOTS), slots)
