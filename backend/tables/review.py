"""The review desk: rubrics, queues, items, slots to claim, and what people said.

An item has as many slots as it requires reviews. A slot is claimed by one statement, leased for a
while, and fenced by `version`, which grows with every claim. Reviews and what hangs on them are
append-only. Gold items (known answers) and adjudications are claimed, answered and stored in the
same way; `purpose` keeps them out of what the queue measures.

What keeps reviews honest: gold items with known answers, and verdicts where reviews disagree.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from backend.db import Base, DatedTable, NumberedTable, partial_index, utc_now
from backend.tables.accounts import User
from backend.tables.runs import Generation, GenerationRun

SLOT_ID = BigInteger().with_variant(Integer, "sqlite")  # an INTEGER of SQLite has 64 bits
SLOT_IDS = 2**53  # what JavaScript counts exactly


def draw_slot_id() -> int:
    """An id that tells neither when its slot came in nor beside which."""
    return 1 + secrets.randbelow(SLOT_IDS - 1)


class QueueKind(StrEnum):
    """SINGLE: one generation is rated and corrected. PAIR: two are compared blind."""

    SINGLE = "single"
    PAIR = "pair"


class SlotState(StrEnum):
    """A lapsed lease is LEASED with `lease_until` in the past; OUT was skipped for good."""

    OPEN = "open"
    LEASED = "leased"
    DONE = "done"
    OUT = "out"


class Purpose(StrEnum):
    """Why an item, a slot or a review is there.

    REVIEW: one of the required reviews. GOLD: a known answer, which measures the person.
    ADJUDICATION: the verdict on reviews that disagree. IMPORT: answers given in another tool.
    """

    REVIEW = "review"
    GOLD = "gold"
    ADJUDICATION = "adjudication"
    IMPORT = "import"


class ReviewState(StrEnum):
    """A draft is saved as the expert works; submitted and skipped are final."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    SKIPPED = "skipped"


class Winner(StrEnum):
    """The answer to a blind pair, in terms of the item's own a and b (not of the sides shown)."""

    A = "a"
    B = "b"
    TIE = "tie"
    BOTH_BAD = "both_bad"
    CANNOT_JUDGE = "cannot_judge"


class RubricVersion(DatedTable):
    """A rubric as it was when items were attached; never updated."""

    __tablename__ = "rubric_versions"
    __table_args__ = (UniqueConstraint("project_id", "name", "version"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(String(120))
    version: Mapped[int]
    digest: Mapped[str] = mapped_column(String(64))
    content: Mapped[dict[str, Any]]


REQUIRED = f"purpose = '{Purpose.REVIEW.value}'"
OPEN = f"state = '{SlotState.OPEN.value}' AND {REQUIRED}"
LEASED = f"state = '{SlotState.LEASED.value}' AND {REQUIRED}"
ASSIGNED = "assigned_to_id IS NOT NULL"


class ReviewQueue(DatedTable):
    """Items of one run for review under one rubric.

    `design` says how items were sampled, `rules` how they are handed out (skips, gold, caps,
    adjudication, masks). `finished_at` is when the last required review came in.
    """

    __tablename__ = "review_queues"
    __table_args__ = (UniqueConstraint("project_id", "name"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), index=True)
    name: Mapped[str] = mapped_column(String(120))
    kind: Mapped[str] = mapped_column(String(16))
    generation_run_id: Mapped[int] = mapped_column(ForeignKey("generation_runs.id"))
    score_run_id: Mapped[int | None] = mapped_column(ForeignKey("score_runs.id"))
    rubric_version_id: Mapped[int] = mapped_column(ForeignKey("rubric_versions.id"))
    seed: Mapped[int]
    lease_seconds: Mapped[int]
    design: Mapped[dict[str, Any]] = mapped_column(default=dict)
    rules: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    finished_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]

    rubric: Mapped[RubricVersion] = relationship()
    generation_run: Mapped[GenerationRun] = relationship()


class QueueMember(Base):
    """An expert who may claim from a queue.

    `cursor` is the position of the last slot that this person took: what is open before it is not
    for them, so that a claim costs the same at the end of a long queue as at its start. Each submit
    keeps the counters: `timed_seconds` over `n_timed` is the mean active time, from which the life
    of the next lease comes. A paused person is given nothing until a lead lifts the pause.
    """

    __tablename__ = "queue_members"

    queue_id: Mapped[int] = mapped_column(ForeignKey("review_queues.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    cursor: Mapped[int] = mapped_column(default=-1)
    n_submitted: Mapped[int] = mapped_column(default=0, server_default="0")
    n_timed: Mapped[int] = mapped_column(default=0, server_default="0")
    timed_seconds: Mapped[float] = mapped_column(default=0.0, server_default="0")
    n_gold: Mapped[int] = mapped_column(default=0, server_default="0")
    since_gold: Mapped[int] = mapped_column(default=0, server_default="0")
    paused_at: Mapped[datetime | None]
    pause_reason: Mapped[str | None]


class ReviewItem(NumberedTable):
    """One generation (a), or a blind pair (a, b). `a_is_left` is the recorded random side.

    `inclusion_probability` is the chance with which the sampling design took this item, `stratum`
    the part of the design that asked for it and `why` that in words, shown only after submitting.
    """

    __tablename__ = "review_items"
    __table_args__ = (UniqueConstraint("queue_id", "position"),)

    queue_id: Mapped[int] = mapped_column(ForeignKey("review_queues.id"))
    position: Mapped[int]
    generation_a_id: Mapped[int] = mapped_column(ForeignKey("generations.id"), index=True)
    generation_b_id: Mapped[int | None] = mapped_column(ForeignKey("generations.id"), index=True)
    a_is_left: Mapped[bool] = mapped_column(default=True)
    required_reviews: Mapped[int] = mapped_column(default=1)
    inclusion_probability: Mapped[float] = mapped_column(default=1.0)
    purpose: Mapped[str] = mapped_column(String(12), default="review", server_default="review")
    stratum: Mapped[str | None] = mapped_column(String(80))
    why: Mapped[str | None]

    queue: Mapped[ReviewQueue] = relationship()
    generation_a: Mapped[Generation] = relationship(foreign_keys=[generation_a_id])
    generation_b: Mapped[Generation | None] = relationship(foreign_keys=[generation_b_id])


class ReviewSlot(Base):
    """One review of an item, to be claimed.

    A slot may be for one person (`assigned_to_id`) or for people with a skill (`required_skill`).
    Slots of gold items and of adjudications are never open to all: the indexes of what can be
    claimed hold required reviews alone.
    """

    __tablename__ = "review_slots"
    __table_args__ = (
        UniqueConstraint("item_id", "number"),
        partial_index("ix_review_slots_open", "queue_id", "position", where=OPEN),
        partial_index("ix_review_slots_leased", "queue_id", "lease_until", where=LEASED),
        Index("ix_review_slots_owner", "owner_id", "queue_id", "state"),
        partial_index("ix_review_slots_assigned", "assigned_to_id", "queue_id", where=ASSIGNED),
    )

    # What a reviewer sees: drawn at random, since known answers come in later than the rest.
    id: Mapped[int] = mapped_column(SLOT_ID, primary_key=True, default=draw_slot_id)
    queue_id: Mapped[int] = mapped_column(ForeignKey("review_queues.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey("review_items.id"))
    number: Mapped[int]
    position: Mapped[int]
    state: Mapped[str] = mapped_column(String(8), default=SlotState.OPEN)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    lease_until: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=0)
    purpose: Mapped[str] = mapped_column(String(12), default="review", server_default="review")
    assigned_to_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    required_skill: Mapped[str | None] = mapped_column(String(80))

    item: Mapped[ReviewItem] = relationship()


class Review(NumberedTable):
    """One reviewer's pass over one item under one lease (slot, version).

    Attributes:
        purpose: that of its slot; only REVIEW counts in what a queue measures.
        extra: it came after its lease had lapsed and the item was given to somebody else.
        superseded_at: the same person answered the item anew; the later review counts.
        seconds_by_criterion: active seconds, by the criterion that had the person's attention.
        source: where the answer was given: the desk, or the tool from which it was imported.
    """

    __tablename__ = "reviews"
    __table_args__ = (
        UniqueConstraint("slot_id", "slot_version"),
        Index("ix_reviews_item_state", "item_id", "state"),
        Index("ix_reviews_reviewer", "reviewer_id", "submitted_at"),
    )

    item_id: Mapped[int] = mapped_column(ForeignKey("review_items.id"))
    slot_id: Mapped[int] = mapped_column(SLOT_ID, ForeignKey("review_slots.id"))
    slot_version: Mapped[int]
    reviewer_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    state: Mapped[str] = mapped_column(String(16), default=ReviewState.DRAFT)
    draft: Mapped[dict[str, Any]] = mapped_column(default=dict)
    answer_digest: Mapped[str | None] = mapped_column(String(64))
    skip_reason: Mapped[str | None]
    comment: Mapped[str | None]
    annotator_kind: Mapped[str] = mapped_column(String(8), default="human")
    simulated: Mapped[bool] = mapped_column(default=False)
    active_seconds: Mapped[float] = mapped_column(default=0.0)
    started_at: Mapped[datetime] = mapped_column(default=utc_now)
    submitted_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]
    withdrawn_reason: Mapped[str | None]
    withdrawn_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    purpose: Mapped[str] = mapped_column(String(12), default="review", server_default="review")
    extra: Mapped[bool] = mapped_column(default=False, server_default="0")
    superseded_at: Mapped[datetime | None]
    seconds_by_criterion: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    source: Mapped[str] = mapped_column(String(24), default="desk", server_default="desk")

    item: Mapped[ReviewItem] = relationship()
    reviewer: Mapped[User] = relationship(foreign_keys=[reviewer_id])
    ratings: Mapped[list[Rating]] = relationship(back_populates="review")
    corrections: Mapped[list[Correction]] = relationship(back_populates="review")
    spans: Mapped[list[Span]] = relationship(back_populates="review", order_by="Span.id")
    preferences: Mapped[list[Preference]] = relationship(back_populates="review")


class Rating(NumberedTable):
    """The answer to one criterion; `number` for scales, `value` is the answer as given."""

    __tablename__ = "ratings"
    __table_args__ = (UniqueConstraint("review_id", "criterion"),)

    review_id: Mapped[int] = mapped_column(ForeignKey("reviews.id"))
    criterion: Mapped[str] = mapped_column(String(80))
    value: Mapped[str]
    number: Mapped[float | None]

    review: Mapped[Review] = relationship(back_populates="ratings")


class Correction(DatedTable):
    """The text as it should have been."""

    __tablename__ = "corrections"

    review_id: Mapped[int] = mapped_column(ForeignKey("reviews.id"), unique=True)
    generation_id: Mapped[int] = mapped_column(ForeignKey("generations.id"), index=True)
    text: Mapped[str]
    reason: Mapped[str | None]

    review: Mapped[Review] = relationship(back_populates="corrections")
    generation: Mapped[Generation] = relationship()


class Span(NumberedTable):
    """A marked error: code-point offsets in the generated text."""

    __tablename__ = "spans"

    review_id: Mapped[int] = mapped_column(ForeignKey("reviews.id"), index=True)
    start: Mapped[int]
    end: Mapped[int]
    kind: Mapped[str] = mapped_column(String(80))
    severity: Mapped[str | None] = mapped_column(String(16))
    note: Mapped[str | None]

    review: Mapped[Review] = relationship(back_populates="spans")


class Preference(NumberedTable):
    """The vote on a blind pair."""

    __tablename__ = "preferences"

    review_id: Mapped[int] = mapped_column(ForeignKey("reviews.id"), unique=True)
    winner: Mapped[str] = mapped_column(String(16))

    review: Mapped[Review] = relationship(back_populates="preferences")


class GoldAnswer(DatedTable):
    """The known answer to an item; withdrawn when it was wrong, and then it judges nobody.

    `answer` has the shape of a review's answer (ratings by criterion, or a winner in terms of the
    item's a and b); criteria that it does not name are not judged.
    """

    __tablename__ = "gold_answers"

    item_id: Mapped[int] = mapped_column(ForeignKey("review_items.id"), unique=True)
    answer: Mapped[dict[str, Any]]
    explanation: Mapped[str]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    withdrawn_at: Mapped[datetime | None]
    withdrawn_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    withdrawn_reason: Mapped[str | None]

    item: Mapped[ReviewItem] = relationship()


class GoldResult(DatedTable):
    """How one person's review of a gold item compares with the known answer.

    Attributes:
        score: share of the judged criteria that agree, 0 to 1.
        contest_reason: why the person holds the known answer to be wrong.
        resolution: what a lead made of it, upheld or withdrawn; `resolution_reason` says why.
    """

    __tablename__ = "gold_results"
    __table_args__ = (Index("ix_gold_results_user", "user_id"),)

    gold_id: Mapped[int] = mapped_column(ForeignKey("gold_answers.id"), index=True)
    review_id: Mapped[int] = mapped_column(ForeignKey("reviews.id"), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    score: Mapped[float]
    passed: Mapped[bool]
    contested_at: Mapped[datetime | None]
    contest_reason: Mapped[str | None]
    resolved_at: Mapped[datetime | None]
    resolution: Mapped[str | None] = mapped_column(String(16))
    resolution_reason: Mapped[str | None]
    resolved_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))

    gold: Mapped[GoldAnswer] = relationship()
    review: Mapped[Review] = relationship()
    user: Mapped[User] = relationship(foreign_keys=user_id)


class Adjudication(NumberedTable):
    """A disagreement that somebody is to decide; the verdict is a review beside the originals.

    Attributes:
        disagreement: one minus the agreement of the item's reviews, 0 to 1.
        reason: which answers differ, in words.
        slot_id: what the adjudicator claims; its review is the verdict.
    """

    __tablename__ = "adjudications"
    __table_args__ = (Index("ix_adjudications_open", "queue_id", "decided_at"),)

    queue_id: Mapped[int] = mapped_column(ForeignKey("review_queues.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey("review_items.id"), unique=True)
    slot_id: Mapped[int] = mapped_column(SLOT_ID, ForeignKey("review_slots.id"), unique=True)
    disagreement: Mapped[float]
    reason: Mapped[str]
    opened_at: Mapped[datetime] = mapped_column(default=utc_now)
    decided_at: Mapped[datetime | None]
    review_id: Mapped[int | None] = mapped_column(ForeignKey("reviews.id"), unique=True)

    item: Mapped[ReviewItem] = relationship()
    slot: Mapped[ReviewSlot] = relationship()
    review: Mapped[Review | None] = relationship()
