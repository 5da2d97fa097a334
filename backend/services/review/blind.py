"""What the people of a queue may be shown: nothing that gives away which model wrote what.

One place for everything that a reviewer or an adjudicator of a queue meets: outputs, answers (one's
own in the history, at a revision, those between which a verdict is asked for), reasons of checks,
known answers, the queue's name. What is stored stays as it was said; leads see it so.

A masked stretch keeps its length, one block for each code point, so that marks and links made on
the shown text fit the text as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, cast

from sqlalchemy import Connection, String, Table, bindparam, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session, object_session, selectinload
from sqlalchemy.sql.functions import FunctionElement

from backend.errors import InvalidInput
from backend.services.review.answer import Answer, SpanMark, to_choice
from backend.services.review.rules import QueueRules, rules_from
from backend.tables.models import ModelVersion
from backend.tables.review import QueueKind, Review, ReviewItem, ReviewQueue

MODELS = cast(Table, ModelVersion.__table__)


class Joined(FunctionElement[str]):
    """Texts of several rows as one, with a text between them."""

    type = String()
    inherit_cache = True


@compiles(Joined)
def _as_string_agg(element: Any, compiler: Any, **options: Any) -> str:
    return f"string_agg({compiler.process(element.clauses, **options)})"


@compiles(Joined, "sqlite")
def _as_group_concat(element: Any, compiler: Any, **options: Any) -> str:
    return f"group_concat({compiler.process(element.clauses, **options)})"


_SHOWN = MODELS.alias("shown")
# Known answers of a queue may be of other models of the project than those that it is about.
_NAMES = (
    select(MODELS.c.name, MODELS.c.base_model)
    .where(
        MODELS.c.project_id.in_(
            select(_SHOWN.c.project_id).where(_SHOWN.c.id.in_(bindparam("models", expanding=True)))
        )
    )
    .distinct()
)
# The same as one value, in a statement about a queue; `names_of` reads it. No name holds a line end
# as it is told apart here: a name that does is parted, and its parts are masked.
JOINED_NAMES = (
    select(Joined(MODELS.c.name + "\n" + MODELS.c.base_model, "\n"))
    .where(MODELS.c.project_id == ReviewQueue.project_id)
    .correlate(ReviewQueue)
    .scalar_subquery()
)
_PROJECT_NAMES = select(MODELS.c.name, MODELS.c.base_model).where(
    MODELS.c.project_id == bindparam("project")
)


def masked_terms(connection: Connection, rules: QueueRules, design: Mapping[str, Any]) -> list[str]:
    """The texts that this queue masks: its own list, and names of its project's models."""
    ids = design.get("model_ids")
    asks = ids and rules.mask_models
    rows = connection.execute(_NAMES, {"models": ids}) if asks else ()
    return terms_among(rules, design, (name for row in rows for name in row))


def terms_among(rules: QueueRules, design: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """As `masked_terms`, where the names of the project's models are known."""
    asks = rules.mask_models and design.get("model_ids")
    return [*rules.mask, *(names_that_tell(names) if asks else ())]


def names_of(joined: str | None) -> Collection[str]:
    """The names of JOINED_NAMES, each once."""
    return set((joined or "").split("\n"))


def masked_terms_of(queue: ReviewQueue) -> list[str]:
    """The texts that a stored queue masks."""
    session = object_session(queue)
    assert session is not None
    return masked_terms(session.connection(), rules_from(queue.rules), queue.design)


def mask_answer(answer: Answer, terms: Sequence[str]) -> Answer:
    """Somebody else's answer with every text masked."""
    if not terms:
        return answer

    def hide(value: Any) -> Any:
        return mask_text(value, terms) if isinstance(value, str) else value

    return replace(
        answer,
        ratings={name: hide(value) for name, value in answer.ratings.items()},
        correction=hide(answer.correction),
        correction_reason=hide(answer.correction_reason),
        spans=tuple(replace(mark, note=hide(mark.note)) for mark in answer.spans),
        comment=hide(answer.comment),
    )


WITH_PARTS = (
    selectinload(Review.ratings),
    selectinload(Review.corrections),
    selectinload(Review.spans),
    selectinload(Review.preferences),
)
"""Have what `said_by` reads of reviews loaded with them."""


def said_by(review: Review, item: ReviewItem) -> Answer:
    """What a finished review said, as it is stored; a vote in terms of the sides as shown."""
    winner = None
    if item.queue.kind == QueueKind.PAIR and review.preferences:
        winner = to_choice(review.preferences[0].winner, a_is_left=item.a_is_left)
    correction = review.corrections[0] if review.corrections else None
    return Answer(
        ratings={rating.criterion: rating.value for rating in review.ratings},
        correction=correction.text if correction else None,
        correction_reason=correction.reason if correction else None,
        spans=tuple(SpanMark(s.start, s.end, s.kind, s.severity, s.note) for s in review.spans),
        winner=winner,
        comment=review.comment,
        active_seconds=review.active_seconds,
        seconds_by_criterion=dict(review.seconds_by_criterion),
    )


def own_answer(review: Review, item: ReviewItem) -> Answer:
    """A person's own finished answer: a correction is masked again, the rest is their own words."""
    said = said_by(review, item)
    if said.correction is None:
        return said
    terms = masked_terms_of(item.queue)
    return replace(said, correction=mask_text(said.correction, terms))


def name_for_reviewers(session: Session, queue: ReviewQueue) -> str:
    """What reviewers call the queue: its name, unless that may name models.

    The name of a queue of blind pairs is never shown, since nothing else about it would be worth
    naming; that of other queues is not where a model of the project is named in it.
    """
    if queue.kind == QueueKind.PAIR:
        return f"Blind pairs {queue.id}"
    rows = session.connection().execute(_PROJECT_NAMES, {"project": queue.project_id})
    parts = {part for row in rows for name in row for part in (name, name.rpartition("/")[2])}
    named = mask_text(queue.name, [*parts, *rules_from(queue.rules).mask]) != queue.name
    return f"Reviews {queue.id}" if named else queue.name


BLOCK = "▇"
SHORTEST_NAME = 4
_NO_WORD = re.compile(r"[\d./_@:-]")


def names_that_tell(names: Iterable[str]) -> list[str]:
    """Names of models, and the last parts of paths, that can be no ordinary word.

    `base` or `legal` in an output is most likely no model, and to mask it would spoil the text;
    a name with a digit or a dash is one. A lead masks others by the queue's own list.
    """
    parts = chain.from_iterable((name, name.rpartition("/")[2]) for name in names)
    return sorted({part for part in parts if len(part) >= SHORTEST_NAME and _NO_WORD.search(part)})


def mask_text(text: str, terms: Collection[str]) -> str:
    """The text with every whole occurrence of a term, in any case, made of blocks."""
    if not terms:
        return text
    return _pattern(terms).sub(lambda found: BLOCK * len(found[0]), text)


def unmask_text(written: str, sources: Sequence[str], terms: Collection[str]) -> str:
    """What a person made of masked texts, with the masked stretches as they were.

    Masked stretches that were kept are found again by their length, in order.

    Args:
        sources: the texts that the person was shown masked, in which a stretch is looked for; the
            likeliest first.

    Raises:
        InvalidInput: a stretch of blocks is in none of them.
    """
    hidden = [list(_stretches(source, terms)) for source in sources]

    def back(found: re.Match[str]) -> str:
        for stretches in hidden:
            for n, stretch in enumerate(stretches):
                if len(stretch) == len(found[0]):
                    del stretches[: n + 1]
                    return stretch
        raise InvalidInput(
            "The correction has a masked stretch that the output has not there.",
            hint=f"Leave {BLOCK} as it is, or replace it by what should stand there.",
        )

    return re.sub(f"{BLOCK}+", back, written)


def _stretches(output: str, terms: Collection[str]) -> Sequence[str]:
    """What each run of blocks in the masked output hides; touching names make one run."""
    masked = mask_text(output, terms)
    return [output[run.start() : run.end()] for run in re.finditer(f"{BLOCK}+", masked)]


def _pattern(terms: Collection[str]) -> re.Pattern[str]:
    longest_first = sorted({term.strip() for term in terms if term.strip()}, key=len, reverse=True)
    return re.compile("|".join(_whole(term) for term in longest_first), re.IGNORECASE)


def _whole(term: str) -> str:
    before = r"(?<!\w)" if re.match(r"\w", term) else ""
    after = r"(?!\w)" if re.search(r"\w$", term) else ""
    return f"{before}{re.escape(term)}{after}"
