"""Work that is under way while an example is erased: what becomes of it, each in a function."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from backend.db import portions
from backend.services import queue
from backend.services.datasets.queries import values_for
from backend.services.ledger import add_to_run
from backend.services.review.desk.claim import finish_if_done
from backend.services.review.lease import note_slots
from backend.services.runs.generation import missing_units
from backend.tables.datasets import Example
from backend.tables.erasure import Erasure
from backend.tables.review import (
    Adjudication,
    GoldAnswer,
    Purpose,
    Review,
    ReviewItem,
    ReviewSlot,
    ReviewState,
    SlotState,
)
from backend.tables.runs import IMPORT, Generation, GenerationRun
from backend.tables.training import TrainingRun
from training.config import partial_dir


def cancel_trainings(
    session: Session, set_ids: Sequence[int], erasure: Erasure, now: datetime
) -> list[int]:
    """Cancel the trainings that wait or run on these sets, and drop what is half trained.

    The worker ends the trainer; what it had learned so far is nobody's model. A set of which a row
    was erased is trained on by no further run (`training.runs`).
    """
    query = select(TrainingRun).where(
        TrainingRun.training_set_id.in_(set_ids), TrainingRun.finished_at.is_(None)
    )
    cancelled = []
    for run in session.scalars(query.order_by(TrainingRun.id)):
        job = queue.find_job(session, queue.JobKind.TRAIN, run.id)
        why = f"Training {run.id} was cancelled: a row of its set was erased."
        if job is not None and queue.cancel_job(
            session, job.id, by_id=erasure.asked_by_id, error=why, now=now
        ):
            cancelled.append(run.id)
        shutil.rmtree(partial_dir(Path(run.output_dir)), ignore_errors=True)
    return cancelled


def take_back(session: Session, example_ids: Sequence[int], said: str, now: datetime) -> int:
    """Take items of these examples from the desk; returns how many reviews are asked for no more.

    A lease ends at once, and a draft with it: whoever submits under it is told why. An answer that
    is being revised stands as it was. Known answers of these items judge nobody any more.
    """
    n = 0
    for some in portions(_items(session, example_ids)):
        n += _end_slots(session, some, now)
        drafts = update(Review).where(Review.state == ReviewState.DRAFT)
        asked = update(Adjudication).where(Adjudication.decided_at.is_(None))
        known = update(GoldAnswer).where(GoldAnswer.withdrawn_at.is_(None))
        for statement in (
            drafts.where(Review.item_id.in_(some)).values(
                state=ReviewState.SKIPPED, skip_reason=said
            ),
            asked.where(Adjudication.item_id.in_(some)).values(decided_at=now),
            known.where(GoldAnswer.item_id.in_(some)).values(
                withdrawn_at=now, withdrawn_reason=said
            ),
        ):
            session.execute(statement)
    return n


def _items(session: Session, example_ids: Sequence[int]) -> list[int]:
    found: set[int] = set()
    for some in portions(example_ids):
        outputs = select(Generation.id).where(Generation.example_id.in_(some))
        of_either = or_(
            ReviewItem.generation_a_id.in_(outputs), ReviewItem.generation_b_id.in_(outputs)
        )
        found |= set(session.scalars(select(ReviewItem.id).where(of_either)))
    return sorted(found)


def _end_slots(session: Session, item_ids: Sequence[int], now: datetime) -> int:
    waiting = (SlotState.OPEN, SlotState.LEASED)
    query = select(ReviewSlot).where(
        ReviewSlot.item_id.in_(item_ids), ReviewSlot.state.in_(waiting)
    )
    out: Counter[int] = Counter()
    for slot in session.scalars(query.with_for_update()):
        revised = slot.state == SlotState.LEASED and slot.lease_until is None
        slot.state = SlotState.DONE if revised else SlotState.OUT
        slot.lease_until = None
        slot.version += 1
        if slot.purpose == Purpose.REVIEW and not revised:
            out[slot.queue_id] += 1
    session.flush()
    for queue_id, gone in out.items():
        note_slots(session.connection(), queue_id, out=gone)
        finish_if_done(session, queue_id, now)
    return out.total()


def answer_runs(session: Session, example_ids: Sequence[int], said: str) -> list[int]:
    """Write into the ledger of every run over these examples that what it lacks was erased.

    An answer that an engine gives later finds its place taken, so that it is not kept; the run
    lacks nothing, and ends. Returns the runs that lacked something.
    """
    lacking = []
    for run in _runs_over(session, example_ids):
        rows = missing_units(session, run, example_ids, said)
        if add_to_run(session, GenerationRun, run.id, rows):
            lacking.append(run.id)
    return lacking


def _runs_over(session: Session, example_ids: Sequence[int]) -> list[GenerationRun]:
    versions = set(values_for(session, select(Example.dataset_version_id), Example.id, example_ids))
    query = select(GenerationRun).where(
        GenerationRun.dataset_version_id.in_(versions), GenerationRun.engine != IMPORT
    )
    return list(session.scalars(query.order_by(GenerationRun.id)))
