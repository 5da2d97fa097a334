"""Items with a known answer, as a person meets them: when, which one, judged, and what is told.

A person starts with `gold_onboarding` of them; after that one comes every `gold_every` items on
average, at a distance drawn by seed between half of that and one and a half times, so that nobody
can tell when. They look like any other item until they are submitted, and count in no progress,
estimate or training set. How they get into a queue is in `gold_items`, what happens when one is
contested in `gold_contests`, and when a person is paused in `pauses`.

Known answers: what one may say, and whether somebody's answer meets it. Pure.

As JSON, the way a file gives it and the database keeps it:

    {"ratings": {"faithful": "no", "quality": 2}, "tolerance": {"quality": 1}}
    {"winner": "a"}                                    a, b, tie, both_bad; for blind pairs

Only what it names is judged. An answer agrees when it is the same; within `tolerance` for stars,
verdicts and numbers. Words are not judged.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import InvalidInput, NotFound
from backend.rubrics import CheckedAnswer, Rubric, validate_answer
from backend.rubrics.scales import Level
from backend.schemas.review.desk import GoldFeedback
from backend.services.review.answer import Answer, to_choice
from backend.services.review.blind import mask_text, masked_terms_of
from backend.services.review.quality.adjudication import WINNER, answers_of, distance
from backend.services.review.quality.pauses import apply_bound, gold_results, update_member
from backend.services.review.queues import rubric_of
from backend.services.review.rules import rules_from
from backend.services.review.statements import MEMBERS
from backend.tables.review import (
    GoldAnswer,
    GoldResult,
    Purpose,
    QueueKind,
    Review,
    ReviewItem,
    Winner,
)

if TYPE_CHECKING:  # the desk asks for known answers, and not the other way
    from backend.services.review.desk.context import MemberState

PARTS = ("ratings", "tolerance", "winner")
_ORDERED = (Level.ORDINAL, Level.INTERVAL)
DECIDED = (Winner.A, Winner.B, Winner.TIE, Winner.BOTH_BAD)


def check_known(rubric: Rubric, kind: str, content: object) -> dict[str, Any]:
    """The known answer as it is stored.

    Raises:
        InvalidInput: it names nothing that can be judged, or does not fit rubric or kind.
        UnknownName: a criterion that the rubric does not have.
    """
    if not isinstance(content, Mapping) or not set(content) <= set(PARTS):
        raise InvalidInput(
            "A known answer has the parts ratings, tolerance and winner.",
            hint='For example {"ratings": {"faithful": "no"}}, or {"winner": "a"} for a pair.',
        )
    ratings = _checked_ratings(rubric, content.get("ratings") or {})
    known: dict[str, Any] = {
        "ratings": ratings,
        "tolerance": _checked_tolerance(rubric, ratings, content.get("tolerance") or {}),
    }
    winner = content.get("winner")
    if winner is not None:
        known["winner"] = _checked_winner(kind, winner)
    if not ratings and winner is None:
        raise InvalidInput(
            "The known answer says nothing that can be judged.",
            hint="Name the vote." if kind == QueueKind.PAIR else "Name at least one rating.",
        )
    return known


def _checked_ratings(rubric: Rubric, given: object) -> dict[str, str]:
    if not isinstance(given, Mapping):
        raise InvalidInput("The known ratings are answers by the name of their criterion.")
    ratings = {}
    for name, value in given.items():
        criterion = rubric.criterion(str(name))
        if criterion.level is None:
            raise InvalidInput(
                f"{name!r} is answered in words, which no known answer can judge.",
                hint="Say it in the explanation.",
            )
        checked = validate_answer(criterion, value)
        if checked is None:
            raise InvalidInput(f"The known answer to {name!r} is empty.", hint="Leave it out.")
        ratings[str(name)] = checked.value
    return ratings


def _checked_tolerance(
    rubric: Rubric, ratings: Mapping[str, str], given: object
) -> dict[str, float]:
    if not isinstance(given, Mapping):
        raise InvalidInput("The tolerance is a number by the name of a criterion.")
    for name, width in given.items():
        ordered = name in ratings and rubric.criterion(name).level in _ORDERED
        number = isinstance(width, int | float) and not isinstance(width, bool)
        if not ordered or not number or not (math.isfinite(width) and width >= 0):
            raise InvalidInput(
                f"There can be no tolerance of {str(width)[:40]!r} for {str(name)[:80]!r}.",
                hint="Give a number from 0 on, for stars, verdicts and numbers that are judged.",
            )
    return {str(name): float(width) for name, width in given.items()}


def _checked_winner(kind: str, winner: object) -> str:
    if kind != QueueKind.PAIR:
        raise InvalidInput("A single output takes no vote.", hint="Name ratings.")
    if winner not in list(DECIDED):
        raise InvalidInput(
            f"{str(winner)[:40]!r} is no known vote.", hint=f"Use {', '.join(DECIDED)}."
        )
    return str(winner)


def compare_with_known(
    rubric: Rubric, known: Mapping[str, Any], said: Mapping[str, CheckedAnswer]
) -> dict[str, bool]:
    """Which parts of a known answer somebody's answers meet; a vote is under `winner`."""
    tolerance: Mapping[str, float] = known.get("tolerance", {})
    met = {
        name: _meets(rubric, name, value, said.get(name), tolerance.get(name, 0.0))
        for name, value in known.get("ratings", {}).items()
    }
    if (winner := known.get("winner")) is not None:
        met[WINNER] = WINNER in said and said[WINNER].value == winner
    return met


def _meets(
    rubric: Rubric, name: str, value: str, said: CheckedAnswer | None, tolerance: float
) -> bool:
    criterion = rubric.criterion(name)
    expected = validate_answer(criterion, value)
    if said is None or expected is None:
        return False
    if expected.number is not None and said.number is not None:
        return abs(said.number - expected.number) <= tolerance + 1e-9
    return distance(criterion, expected, said) == 0.0


def due(member: MemberState) -> bool:
    """Whether the next item of this person is one with a known answer.

    With the queue's seed the distances can be computed again. `n_gold` are those met since the
    start or since a pause was lifted; `since_gold` the required reviews submitted since the last
    one (a submit adds one, `judge` sets it to zero).
    """
    rules = member.rules
    if member.n_gold < rules.gold_onboarding:
        return True
    if rules.gold_every == 0:
        return False
    half = rules.gold_every // 2
    rng = random.Random(f"gold:{member.seed}:{member.queue_id}:{member.user_id}:{member.n_gold}")
    least, most = max(1, rules.gold_every - half), rules.gold_every + half
    return member.since_gold >= rng.randint(least, most)


def next_item(session: Session, queue_id: int, user_id: int, seed: int) -> int | None:
    """A gold item of the queue that this person has not seen; None when there is none left.

    What they reviewed as an ordinary item is no test of them either. The order is each person's
    own, drawn by seed.
    """
    query = (
        select(ReviewItem.id, ReviewItem.generation_a_id, ReviewItem.generation_b_id)
        .join(GoldAnswer, GoldAnswer.item_id == ReviewItem.id)
        .where(
            ReviewItem.queue_id == queue_id,
            ReviewItem.purpose == Purpose.GOLD,
            GoldAnswer.withdrawn_at.is_(None),
        )
        .order_by(ReviewItem.id)
    )
    gold = {id_: frozenset((a, b)) for id_, a, b in session.execute(query)}
    if not gold:
        return None
    seen = _outputs_seen(session, queue_id, user_id, set().union(*gold.values()) - {None})
    left = [id_ for id_, outputs in gold.items() if outputs not in seen]
    return random.Random(f"gold:{seed}:{user_id}:{len(left)}").choice(left) if left else None


def _outputs_seen(
    session: Session, queue_id: int, user_id: int, among: set[int | None]
) -> set[frozenset[int | None]]:
    """The outputs of the person's items, drafts included, whichever of them is a."""
    query = (
        select(ReviewItem.generation_a_id, ReviewItem.generation_b_id)
        .join(Review, Review.item_id == ReviewItem.id)
        .where(ReviewItem.queue_id == queue_id, Review.reviewer_id == user_id)
        .where(ReviewItem.generation_a_id.in_(among))
    )
    return {frozenset((a, b)) for a, b in session.execute(query)}


def judge(session: Session, review_id: int, now: datetime) -> GoldResult | None:
    """Compare a submitted review of a gold item with the known answer, and act on it.

    The result is stored once, the person's counters move on, and the rule of the pause is applied.
    None, with nothing counted, when the known answer was withdrawn in the meantime.
    """
    review = session.get_one(Review, review_id, populate_existing=True)
    gold = session.scalar(
        select(GoldAnswer)
        .where(GoldAnswer.item_id == review.item_id)
        .with_for_update(read=True)  # a withdrawal waits, or has been seen
        .execution_options(populate_existing=True)
    )
    if gold is None:
        raise NotFound("There is no known answer to this item.")
    stored = session.scalar(select(GoldResult).where(GoldResult.review_id == review_id))
    if stored is not None or gold.withdrawn_at is not None:
        return stored
    queue = review.item.queue
    said = answers_of(session, [review_id])[review_id]
    met = compare_with_known(rubric_of(queue), gold.answer, said)
    result = GoldResult(
        gold_id=gold.id,
        review_id=review_id,
        user_id=review.reviewer_id,
        score=sum(met.values()) / len(met),
        passed=all(met.values()),
        created_at=now,
    )
    session.add(result)
    session.flush()
    counted = {"n_gold": MEMBERS.c.n_gold + 1, "since_gold": 0}
    update_member(session, queue.id, review.reviewer_id, **counted)
    apply_bound(session, queue.id, review.reviewer_id, rules_from(queue.rules), now)
    return result


def feedback(session: Session, review_id: int) -> GoldFeedback | None:
    """What the author of a review is told about the known answer; None where nothing was judged."""
    query = select(GoldResult).where(GoldResult.review_id == review_id)
    result = session.scalar(query.execution_options(populate_existing=True))
    return None if result is None else feedback_on(result)


def feedback_on(result: GoldResult) -> GoldFeedback:
    """What a person is told about one of their results."""
    gold = result.gold
    terms = masked_terms_of(gold.item.queue)
    winner = gold.answer.get(WINNER)
    known = Answer(
        ratings=dict(gold.answer.get("ratings", {})),
        winner=None if winner is None else to_choice(winner, a_is_left=gold.item.a_is_left),
    )
    return GoldFeedback(
        result_id=result.id,
        passed=result.passed,
        score=result.score,
        explanation=mask_text(gold.explanation, terms),
        known=known.as_given(),
        may_contest=result.contested_at is None and gold.withdrawn_at is None,
        resolution=result.resolution,
        resolution_reason=mask_text(result.resolution_reason or "", terms) or None,
    )


def my_results(session: Session, queue_id: int, user_id: int) -> list[GoldFeedback]:
    """What a person was told about known answers of a queue that stand, the last one first."""
    mine = gold_results(queue_id, GoldResult).where(GoldResult.user_id == user_id)
    newest_first = session.scalars(mine.order_by(GoldResult.id.desc()))
    return [feedback_on(result) for result in newest_first]
