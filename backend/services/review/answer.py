"""What an answer has to be before it is stored: checked by the rubric, turned from sides to models.

Values and pure functions; nothing here reads or writes the database.

The parts of a stored review: ratings, a correction, marked errors, a vote.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple, Self, assert_never

from sqlalchemy import Connection, Table, bindparam, insert

from backend.errors import InvalidInput
from backend.prepared import PreparedStatement
from backend.rubrics import CheckedAnswer, Rubric, validate_answers
from backend.schemas.common import unstorable
from backend.schemas.review.desk import AnswerIn
from backend.tables.review import Correction, Preference, QueueKind, Rating, Span, Winner


class SideChoice(StrEnum):
    """The answer to a blind pair as the desk knows it."""

    LEFT = "left"
    RIGHT = "right"
    TIE = "tie"
    BOTH_BAD = "both_bad"
    CANNOT_JUDGE = "cannot_judge"


@dataclass(frozen=True, slots=True)
class SpanMark:
    """A marked error: `text[start:end]` of the output, in Unicode code points."""

    start: int
    end: int
    kind: str
    severity: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reviewer says of one item.

    Attributes:
        ratings: by criterion name, each on the scale of its criterion.
        correction: the output as it should have been; None where nothing is to be changed.
        winner: a `SideChoice`, for pairs only.
        active_seconds: time of attention, as the desk measured it.
        seconds_by_criterion: the same by the question that had the attention.
    """

    ratings: Mapping[str, object] = field(default_factory=dict)
    correction: str | None = None
    correction_reason: str | None = None
    spans: tuple[SpanMark, ...] = ()
    winner: str | None = None
    comment: str | None = None
    active_seconds: float = 0.0
    seconds_by_criterion: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of_given(cls, given: AnswerIn) -> Self:
        """The answer that a desk sent."""
        spans = tuple(SpanMark(**dict(span)) for span in given.spans)
        return cls(**{**dict(given), "spans": spans})

    def as_given(self) -> AnswerIn:
        """In the shape in which desks send and read it."""
        return AnswerIn.model_validate(self, from_attributes=True)


_as_json = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class CheckedReview:
    """An answer in the form in which it is stored."""

    ratings: dict[str, CheckedAnswer]
    correction: str | None
    correction_reason: str | None
    spans: tuple[SpanMark, ...]
    winner: Winner | None
    comment: str | None

    @property
    def digest(self) -> str:
        """SHA-256 of what was said; how long it took is not part of it."""
        parts = [
            sorted((name, answer.value) for name, answer in self.ratings.items()),
            self.correction,
            self.correction_reason,
            [[s.start, s.end, s.kind, s.severity, s.note] for s in self.spans],
            self.winner,
            self.comment,
        ]
        return hashlib.sha256(_as_json(parts).encode()).hexdigest()


class SlotSubject(NamedTuple):
    """What a slot asks about."""

    item_id: int
    generation_id: int
    text: str
    a_is_left: bool
    kind: str
    rubric: Rubric


def check_answer(subject: SlotSubject, answer: Answer) -> CheckedReview:
    """The answer as it is stored; InvalidInput for one that fits neither item nor rubric."""
    _refuse_unstorable(answer)
    ratings = validate_answers(subject.rubric, answer.ratings)
    comment = _or_none(answer.comment)
    match QueueKind(subject.kind):
        case QueueKind.SINGLE:
            if answer.winner is not None:
                raise InvalidInput("A single output takes no vote.", hint="Rate it.")
            correction = _checked_correction(subject.text, answer.correction)
            reason = _or_none(answer.correction_reason) if correction is not None else None
            spans = tuple(_checked_span(subject, mark) for mark in answer.spans)
            return CheckedReview(ratings, correction, reason, spans, None, comment)
        case QueueKind.PAIR:
            if answer.correction is not None or answer.spans:
                raise InvalidInput("A pair takes a vote, no correction and no marks.")
            winner = _to_winner(answer.winner, a_is_left=subject.a_is_left)
            return CheckedReview(ratings, None, None, (), winner, comment)
        case _ as never:
            assert_never(never)


def _refuse_unstorable(answer: Answer) -> None:
    """A NUL, half a surrogate pair and a time that is no number cannot be kept."""
    texts = [answer.correction, answer.correction_reason, answer.comment]
    texts += [value for value in answer.ratings.values() if isinstance(value, str)]
    texts += [text for mark in answer.spans for text in (mark.kind, mark.severity, mark.note)]
    for text in filter(None, texts):
        refuse_unstorable_text(text)
    for name in answer.seconds_by_criterion:
        refuse_unstorable_text(name)
    times = (answer.active_seconds, *answer.seconds_by_criterion.values())
    if not all(math.isfinite(seconds) for seconds in times):
        raise InvalidInput("The active time is no number.")
    if any(seconds < 0 for seconds in answer.seconds_by_criterion.values()):
        raise InvalidInput("The active time at a question is below zero.")


def refuse_unstorable_text(text: str) -> None:
    """InvalidInput for a text that no database keeps."""
    if unstorable(text):
        raise InvalidInput("There is a character in it that is no text.", hint="Type it anew.")


def _or_none(text: str | None) -> str | None:
    return (text.strip() or None) if text is not None else None


def _checked_correction(output: str, correction: str | None) -> str | None:
    """The correction with plain line ends; None when it says what the output says."""
    if correction is None:
        return None
    written = _plain(correction)
    if not written:
        raise InvalidInput(
            "The correction is empty.",
            hint="Write the text as it should have been, or leave the output as it is.",
        )
    return None if written == _plain(output) else written


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def _checked_span(subject: SlotSubject, mark: SpanMark) -> SpanMark:
    if not 0 <= mark.start < mark.end <= len(subject.text):
        raise InvalidInput(
            f"The mark {mark.start} to {mark.end} lies outside the output, "
            f"which has {len(subject.text)} characters."
        )
    kinds = subject.rubric.span_kinds
    if kinds and mark.kind not in kinds:
        raise InvalidInput(f"{mark.kind!r} is no kind of mark.", hint=f"Use: {', '.join(kinds)}.")
    severities = [severity.name for severity in subject.rubric.severities]
    if severities and mark.severity not in severities:
        raise InvalidInput(
            f"How grave is the mark {mark.kind!r}?", hint=f"Use: {', '.join(severities)}."
        )
    return mark


_WITH_A_LEFT = {
    SideChoice.LEFT: Winner.A,
    SideChoice.RIGHT: Winner.B,
    SideChoice.TIE: Winner.TIE,
    SideChoice.BOTH_BAD: Winner.BOTH_BAD,
    SideChoice.CANNOT_JUDGE: Winner.CANNOT_JUDGE,
}
_WITH_B_LEFT = {**_WITH_A_LEFT, SideChoice.LEFT: Winner.B, SideChoice.RIGHT: Winner.A}


def _to_winner(choice: str | None, *, a_is_left: bool) -> Winner:
    if choice is None or choice not in set(SideChoice):
        raise InvalidInput(
            "The pair needs a vote.", hint="Choose left, right, tie, both_bad or cannot_judge."
        )
    return (_WITH_A_LEFT if a_is_left else _WITH_B_LEFT)[SideChoice(choice)]


def to_choice(winner: str, *, a_is_left: bool) -> SideChoice:
    """The stored winner as the person saw it."""
    winners = _WITH_A_LEFT if a_is_left else _WITH_B_LEFT
    return next(side for side, known in winners.items() if known == winner)


def _core(table: Any) -> Table:
    found = table.__table__
    assert isinstance(found, Table)
    return found


RATINGS = _core(Rating)
_CORRECTION, _SPAN, _PREFERENCE = (insert(_core(t)) for t in (Correction, Span, Preference))


@cache
def _insert_ratings(n: int) -> PreparedStatement:
    """The insert of n ratings of one review at once; n is at most the questions of a rubric."""
    columns = RATINGS.c.criterion, RATINGS.c.value, RATINGS.c.number
    rows = [
        {
            "review_id": bindparam("review", type_=RATINGS.c.review_id.type),
            **{c.name: bindparam(f"{c.name}_{k}", type_=c.type) for c in columns},
        }
        for k in range(n)
    ]
    return PreparedStatement(insert(RATINGS).values(rows))


def store_parts(
    connection: Connection,
    review_id: int,
    generation_id: int,
    checked: CheckedReview,
    now: datetime,
) -> None:
    """Store the parts of a review; what was left blank makes no row."""
    mine = {"review_id": review_id}
    if checked.ratings:
        values: dict[str, Any] = {"review": review_id}
        for k, (name, given) in enumerate(checked.ratings.items()):
            values[f"criterion_{k}"] = name
            values[f"value_{k}"], values[f"number_{k}"] = given.value, given.number
        _insert_ratings(len(checked.ratings)).run(connection, values)
    if checked.correction is not None:
        correction = {
            "generation_id": generation_id,
            "text": checked.correction,
            "reason": checked.correction_reason,
            "created_at": now,
        }
        connection.execute(_CORRECTION, {**mine, **correction})
    if checked.spans:
        names = ("start", "end", "kind", "severity", "note")
        spans = [{**mine, **{n: getattr(mark, n) for n in names}} for mark in checked.spans]
        connection.execute(_SPAN, spans)
    if checked.winner is not None:
        connection.execute(_PREFERENCE, {**mine, "winner": checked.winner})
