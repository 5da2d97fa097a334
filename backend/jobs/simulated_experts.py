"""A scripted reviewer for demonstrations: it rates, corrects and votes by the references.

It goes the way that people go (claim, submit), under a user that is marked as simulated, and every
row that it writes says so. It is wrong on purpose at a stated rate. Its judgement is a comparison
with the reference by words, figures and names, or of a draft with its source; it stands for no
human, and no result that rests on it says anything about experts.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session, sessionmaker

from backend.db import utc_now
from backend.errors import InvalidInput
from backend.rubrics import Criterion, Rubric
from backend.schemas.review.desk import ItemView, OutputText
from backend.services import review
from backend.services.review import Answer, SideChoice
from backend.tables.accounts import User
from backend.tables.datasets import Origin
from backend.tables.review import ReviewItem

GOOD_ENOUGH = 0.5
CLOSE_CALL = 0.03
LABEL_WORDS = 3
FACT = re.compile(r"\S*\d\S*|(?<=[^.!?:]\s)[A-ZÄÖÜ]\w+")  # figures, and names inside a sentence
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[^\W\d_a-z])")
COMPLAINTS = {
    "label": ("wrong_label", "wrong_fact"),
    "invented": ("invented_fact", "wrong_fact", "unsupported", "major"),
    "words": ("missing", "incomplete", "minor"),
}


@dataclass(frozen=True, slots=True)
class SimulatedWork:
    """What the script did in one queue; `n_slips` are the answers that it got wrong on purpose."""

    n_ratings: int = 0
    n_corrections: int = 0
    n_votes: int = 0
    n_skipped: int = 0
    n_slips: int = 0
    error_rate: float = 0.0


@dataclass(frozen=True, slots=True)
class Closeness:
    """How an output stands to its reference: closeness 0 to 1, and the complaint if it is bad."""

    closeness: float
    complaint: str | None


def answer_queue(
    sessions: sessionmaker[Session],
    queue_id: int,
    user_id: int,
    *,
    seed: int = 7,
    error_rate: float = 0.05,
    limit: int | None = None,
    on_answer: Callable[[int], None] | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> SimulatedWork:
    """Answer what the queue has for this user, one short transaction an item.

    Args:
        error_rate: chance with which an answer is turned to its opposite.
        limit: at most so many items.
        on_answer: told the number of items done, for a progress bar.

    Raises:
        InvalidInput: the user is a person, or the rate is not a chance.
    """
    if not 0 <= error_rate <= 1:
        raise InvalidInput(f"An error rate of {error_rate} is not between 0 and 1.")
    counts: Counter[str] = Counter()
    done = 0
    while limit is None or done < limit:
        with sessions.begin() as session:
            did = _answer_next(
                session, queue_id, user_id, seed=seed, error_rate=error_rate, now=clock()
            )
        if did is None:
            break
        counts.update(did)
        done += 1
        if on_answer is not None:
            on_answer(done)
    return SimulatedWork(error_rate=error_rate, **counts)


def _answer_next(
    session: Session, queue_id: int, user_id: int, *, seed: int, error_rate: float, now: datetime
) -> list[str] | None:
    """One item; returns which counts grow, None when there is no item left."""
    if not session.get_one(User, user_id).simulated:
        raise InvalidInput(
            "A script may not answer in a person's name.", hint="Name a simulated user."
        )
    claim = review.claim_review_item(session, queue_id, user_id, now=now)
    if claim is None:
        return None
    held = {"slot_id": claim.slot_id, "version": claim.version, "user_id": user_id}
    item = session.get_one(ReviewItem, claim.item_id)
    references = item.generation_a.example.references
    is_draft = item.generation_a.example.origin == Origin.SYNTHETIC
    if not references and not is_draft:
        reason = "simulated reviewer: no reference to compare with"
        review.skip_review(session, **held, reason=reason, now=now)
        return ["n_skipped"]
    shown = review.item_view(session, claim.slot_id, user_id)
    slip = random.Random(f"{seed}:{user_id}:{item.position}").random() < error_rate
    rubric = review.rubric_of(review.get_queue(session, queue_id))
    answer = (
        answer_draft(shown, rubric, slip=slip)
        if is_draft
        else answer_item(shown, str(references[0]), rubric, slip=slip)
    )
    review.submit_review(
        session, **held, answer=answer, now=now, simulated=True, annotator_kind="code"
    )
    did = ["n_votes"] if answer.winner else ["n_ratings"]
    if answer.correction is not None and answer.correction != (shown.output or _EMPTY).text:
        did.append("n_corrections")
    return [*did, "n_slips"] if slip else did


_EMPTY = OutputText(text="")


def answer_item(shown: ItemView, reference: str, rubric: Rubric, *, slip: bool) -> Answer:
    """The answer to one item; with `slip` its opposite."""
    comment = "simulated reviewer"
    source = f"{shown.input}\n{shown.context or ''}"
    if shown.left is not None and shown.right is not None:
        sides = (judge(side.text, reference, source) for side in (shown.left, shown.right))
        choice = _vote(*sides, slip=slip)
        good = Closeness(1.0, None)  # of what a rubric of pairs asks besides the vote
        texts = {c.name: _rate(c, good) for c in rubric.criteria if c.required}
        return Answer(texts, winner=choice, comment=comment)
    output = (shown.output or _EMPTY).text
    judged = judge(output, reference, source)
    if slip:
        flipped = "words" if judged.complaint is None else None
        judged = Closeness(1 - judged.closeness, flipped)
    return Answer(
        {c.name: _rate(c, judged) for c in rubric.criteria},
        correction=reference if judged.complaint else None,
        comment=comment,
    )


def answer_draft(shown: ItemView, rubric: Rubric, *, slip: bool) -> Answer:
    """The answer to a draft, which has no reference: its figures and names, held to its source.

    A draft is corrected by leaving out the sentences of which the source says nothing, and refused
    where none is left; with `slip` the opposite.
    """
    output = (shown.output or _EMPTY).text.strip()
    source = f"{shown.input}\n{shown.context or ''}"
    known = {_bare(word) for word in source.split()}
    sentences = _SENTENCE_END.split(output)
    kept = [s for s in sentences if all(_bare(fact) in known for fact in FACT.findall(s))]
    left = " ".join(kept).strip()
    says_yes = bool(left) != slip
    judged = Closeness(1.0, None) if says_yes else Closeness(0.0, "invented")
    mended = left if says_yes and left and len(kept) < len(sentences) else None
    return Answer(
        {c.name: _rate(c, judged) for c in rubric.criteria},
        correction=mended,
        comment="simulated reviewer",
    )


def judge(output: str, reference: str, source: str) -> Closeness:
    """Compare an output with its reference; figures and names may also stand in the source.

    A reference of at most LABEL_WORDS words is a label and has to be met exactly.
    """
    from evaluators.metrics.squad import token_f1

    said, meant = output.casefold().split(), reference.casefold().split()
    if said == meant:
        return Closeness(1.0, None)
    if len(meant) <= LABEL_WORDS:
        return Closeness(0.0, "label")
    closeness = token_f1(" ".join(said), " ".join(meant))
    known = {_bare(word) for word in f"{reference}\n{source}".split()}
    if any(_bare(fact) not in known for fact in FACT.findall(output)):
        return Closeness(closeness / 2, "invented")
    return Closeness(closeness, None if closeness >= GOOD_ENOUGH else "words")


def _bare(word: str) -> str:
    return word.casefold().strip(".,;:!?()[]\"'")


def _vote(left: Closeness, right: Closeness, *, slip: bool) -> SideChoice:
    if abs(left.closeness - right.closeness) < CLOSE_CALL:
        both_bad = bool(left.complaint and right.complaint)
        tie = SideChoice.BOTH_BAD if both_bad else SideChoice.TIE
        return SideChoice.CANNOT_JUDGE if slip else tie
    return SideChoice.LEFT if (left.closeness > right.closeness) != slip else SideChoice.RIGHT


def _rate(criterion: Criterion, judged: Closeness) -> object:
    wrong = COMPLAINTS[judged.complaint] if judged.complaint else ()
    return criterion.simulated(judged.closeness, wrong)
