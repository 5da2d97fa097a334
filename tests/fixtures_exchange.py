"""A reviewed queue of every scale, with marks in texts that count differently in JavaScript."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session, sessionmaker

from backend.db import reading
from backend.rubrics import Rubric, rubric_from_content
from backend.services import review
from backend.services.review import Answer, SpanMark
from backend.tables.review import ReviewQueue
from backend.tables.runs import Generation
from tests.fixtures_review import NOW, Desk, build_desk, score_with_flag

OUTPUT = "🎺 Ça va? é 👩‍🚒 pays EUR 12 שלום"
RUBRIC: dict[str, Any] = {
    "name": "every_scale",
    "guidelines": "Read <b>all</b> of it & mark errors.",
    "span_kinds": ["invented", "number"],
    "criteria": [
        {"name": "faithful", "question": "Faithful?", "scale": "yes_no"},
        {"name": "quality", "question": "How good?", "scale": "stars", "n": 7},
        {
            "name": "problem",
            "question": "Which?",
            "scale": "category",
            "options": [{"name": "none", "label": "None"}, {"name": "tone", "label": "Tone & all"}],
        },
        {"name": "why", "question": "Why?", "scale": "text", "required": False},
        {"name": "verdict", "question": "Pass?", "scale": "verdict"},
        {"name": "hours", "question": "Hours?", "scale": "number", "min": 0, "max": 9, "step": 0.5},
        {
            "name": "flaws",
            "question": "Flaws?",
            "scale": "multi",
            "options": [{"name": "long", "label": "Long"}, {"name": "cold", "label": "Cold"}],
        },
    ],
}


@dataclass
class Reviewed:
    """A desk with a queue whose first items two people answered."""

    desk: Desk
    queue: ReviewQueue
    sessions: sessionmaker[Session]

    @property
    def reading(self) -> Callable[[], AbstractContextManager[Session]]:
        """Sessions that only read."""
        return lambda: reading(self.sessions)


def every_scale() -> Rubric:
    """A rubric with a criterion of each scale."""
    return rubric_from_content(RUBRIC)


def answer_number(n: int) -> Answer:
    """An answer to every criterion; even ones carry marks and a correction."""
    start = OUTPUT.index("EUR")
    spans = (
        SpanMark(start, start + 6, "number", None, "not 12"),
        SpanMark(0, 1, "invented", None, None),
    )
    return Answer(
        ratings={
            "faithful": "no" if n % 2 else "yes",
            "quality": 1 + n % 7,
            "problem": "tone" if n % 3 else "none",
            "why": "=HYPERLINK(1)" if n % 2 else None,
            "verdict": ("pass", "fail", "critical_fail")[n % 3],
            "hours": n % 9 + 0.5,
            "flaws": ["long", "cold"] if n % 2 else ["cold"],
        },
        correction=None if n % 2 else f"{OUTPUT} corrected {n}",
        correction_reason=None if n % 2 else "wrong sum",
        spans=() if n % 2 else spans,
        comment=f"comment {n}",
        active_seconds=10.0 + n,
    )


def reviewed_queue(
    sessions: sessionmaker[Session], *, n_items: int = 6, reviewers: int = 2, flags: bool = True
) -> Reviewed:
    """A queue of single outputs that every reviewer has finished."""
    with sessions.begin() as session:
        desk = build_desk(session, splits={"train": n_items}, rubric=every_scale())
        written = session.query(Generation).filter_by(run_id=desk.run.id).order_by(Generation.id)
        for generation in written:
            generation.text = OUTPUT
        session.flush()
        first = written.first()
        assert first is not None
        scored = score_with_flag(session, desk.run, first) if flags else None
        queue = desk.open(
            session,
            "q",
            overlap=reviewers,
            overlap_share=1.0,
            score_run_id=scored.id if scored else None,
        )
    answer_all(sessions, queue, desk, reviewers, answer_number)
    return Reviewed(desk, queue, sessions)


def reviewed_pairs(sessions: sessionmaker[Session], *, n_items: int = 8) -> Reviewed:
    """A queue of pairs that two reviewers have finished, with every kind of vote."""
    votes = ("left", "right", "tie", "both_bad", "left", "cannot_judge", "right")
    with sessions.begin() as session:
        desk = build_desk(session, splits={"train": n_items})
        queue = desk.open(session, "pairs", kind="pair", overlap=2, overlap_share=1.0)
    answer_all(sessions, queue, desk, 2, lambda n: Answer(winner=votes[n % 7], active_seconds=3))
    return Reviewed(desk, queue, sessions)


def answer_all(
    sessions: sessionmaker[Session],
    queue: ReviewQueue,
    desk: Desk,
    reviewers: int,
    answer: Callable[[int], Answer],
) -> None:
    """Let the first experts answer everything that they are given, in turn."""
    n = 0
    for turn in range(10_000):
        person, given = desk.experts[turn % reviewers], 0
        with sessions.begin() as session:
            now = NOW + timedelta(seconds=turn)
            claim = review.claim_review_item(session, queue.id, person.id, now=now)
            if claim is not None:
                review.submit_review(
                    session,
                    slot_id=claim.slot_id,
                    version=claim.version,
                    user_id=person.id,
                    answer=answer(n),
                    now=now,
                )
                n, given = n + 1, 1
        if not given and turn % reviewers == reviewers - 1:
            return
