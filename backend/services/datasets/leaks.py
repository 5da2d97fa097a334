"""Leaks by near-duplicates: finding them in a project, showing them, and a person's acceptance.

What is trained on is compared whole: prompts, and the answers to them (references, corrections,
winners and losers of votes). So is what is held out: prompts, their references, and the grading
notes that experts wrote on them for judges. Short answers and canned ones (of several held-out
prompts, or of five in all) are no leak by being equal.

Checked when a dataset whose rows name their split comes in, when a training set is frozen, when a
run starts on held-out examples, and, word for word, when a prompt is kept or asked with. What is
found blocks (LeakRefused), side by side, unless it is left out, or a named person accepted these
very pairs with a reason. A prompt that is the same after folding cannot be accepted: triggers keep
it from training sets in any case.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db import portions
from backend.errors import InvalidInput, LeakRefused
from backend.services.datasets.conversations import content_text, digest_text
from backend.services.datasets.near_duplicates import DuplicateKind, find_near_duplicates
from backend.services.datasets.plain_text import plain_text
from backend.tables.checks.judges import GradingNote
from backend.tables.datasets import AcceptedLeak, Dataset, DatasetVersion, Example, Split
from evaluators.spread import Spread

SHOWN_CHARACTERS = 240
SHORTEST_TOLD = 40
CANNED = 5  # prompts with the same answer, from which on it is no one's own


@dataclass(frozen=True, slots=True)
class LeakSide:
    """A prompt or an answer: its example's id, where it stands, and the text.

    Attributes:
        digest: of the example's prompt; of an answer, its own.
        owner: the digest of the example's prompt, by which its rows are left out.
    """

    example: str
    where: str
    text: str
    digest: str
    is_answer: bool = False
    owner: str = ""

    def answer(self, text: str) -> LeakSide:
        """An answer to this prompt."""
        where = f"answer in {self.where}"
        return LeakSide(self.example, where, text, digest_text(text, None), True, self.digest)


@dataclass(frozen=True, slots=True)
class Leak:
    """A text to train on beside the held-out one that it repeats."""

    train: LeakSide
    held_out: LeakSide
    kind: DuplicateKind
    similarity: float

    @property
    def may_be_accepted(self) -> bool:
        """Whether the texts differ by more than `plain_text` folds."""
        return self.train.digest != self.held_out.digest

    def as_dict(self) -> dict[str, Any]:
        """Plain values, texts cut to SHOWN_CHARACTERS."""
        return {
            "kind": str(self.kind),
            "similarity": round(self.similarity, 3),
            "train": self.train.example,
            "train_is": "answer" if self.train.is_answer else "prompt",
            "train_text": self.train.text[:SHOWN_CHARACTERS],
            "held_out": self.held_out.example,
            "held_out_text": self.held_out.text[:SHOWN_CHARACTERS],
            "where": self.held_out.where,
        }


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Who lets the leaks that are found stand, and why."""

    user_id: int
    reason: str
    now: datetime


def acceptance(reason: str | None, user_id: int, now: datetime) -> Acceptance | None:
    """The acceptance for which a reason was given; None without one."""
    return None if reason is None else Acceptance(user_id, reason, now)


def find_leaks(
    train: Sequence[LeakSide], held_out: Sequence[LeakSide], *, spread: Spread = map
) -> list[Leak]:
    """The near-duplicates among these, one for each text to train on."""
    canned, prompts_first = canned_answers(train, held_out), attrgetter("is_answer")
    ours, theirs = (
        sorted((s for s in side if not s.is_answer or s.digest not in canned), key=prompts_first)
        for side in (train, held_out)
    )
    found = find_near_duplicates(
        [side.text for side in ours],
        [side.text for side in theirs],
        train_answers=sum(side.is_answer for side in ours),
        held_out_answers=sum(side.is_answer for side in theirs),
        spread=spread,
    )
    return [
        Leak(ours[pair.train], theirs[pair.held_out], pair.kind, pair.similarity) for pair in found
    ]


def canned_answers(train: Sequence[LeakSide], held_out: Sequence[LeakSide]) -> set[str]:
    """Digests of answers that several prompts have: they tell none of them."""
    asked: dict[str, set[str]] = defaultdict(set)
    tested: dict[str, set[str]] = defaultdict(set)
    for side in (*train, *held_out):
        if side.is_answer:
            asked[side.digest].add(side.owner)
    for side in held_out:
        if side.is_answer:
            tested[side.digest].add(side.owner)
    often = {digest for digest, prompts in asked.items() if len(prompts) >= CANNED}
    return often | {digest for digest, prompts in tested.items() if len(prompts) > 1}


def held_out_sides(session: Session, project_id: int) -> list[LeakSide]:
    """Every held-out prompt of a project, each once, their references and grading notes."""
    held_out = (Dataset.project_id == project_id, Example.split != Split.TRAIN)
    return [*_sides(session, *held_out, answers=True), *_notes(session, *held_out)]


def _notes(session: Session, *conditions: Any) -> list[LeakSide]:
    """What experts wrote that a right answer contains, in every version, as answers."""
    query = (
        select(Example.external_id, Example.content_digest, Example.split, GradingNote.note)
        .join(DatasetVersion, DatasetVersion.id == Example.dataset_version_id)
        .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
        .join(GradingNote, GradingNote.dataset_id == Dataset.id)
        .where(GradingNote.external_id == Example.external_id, *conditions)
        .distinct()
        .order_by(Example.external_id, GradingNote.note)
    )
    return [
        LeakSide(name, f"grading note on {split}", note, digest_text(note, None), True, digest)
        for name, digest, split, note in session.execute(query)
    ]


def sides_of(
    session: Session, example_ids: Collection[int], *, answers: bool = False
) -> list[LeakSide]:
    """The prompts of these examples, each once; their references too if asked."""
    return [
        side
        for some in portions(sorted(example_ids))
        for side in _sides(session, Example.id.in_(some), answers=answers)
    ]


def refuse_leaking_texts(session: Session, project_id: int, texts: Mapping[str, str]) -> None:
    """Refuse texts that go before every question and hold what is held out, word for word.

    Looked for are prompts, and answers that one prompt alone has, of SHORTEST_TOLD characters or
    more, as `plain_text` shows them: labels and greetings stand in any text.

    Args:
        texts: what each is, at the beginning of a sentence -> the text.

    Raises:
        LeakRefused: it names the text and the example.
    """
    shown = {subject: plain_text(text) for subject, text in texts.items()}
    if all(len(text) < SHORTEST_TOLD for text in shown.values()):
        return
    held_out = held_out_sides(session, project_id)
    canned = canned_answers([], held_out)
    for side in held_out:
        told = "" if side.is_answer and side.digest in canned else plain_text(side.text)
        if len(told) < SHORTEST_TOLD:
            continue
        if subject := next((name for name, text in shown.items() if told in text), None):
            raise LeakRefused(
                f"{subject} holds the text of {side.example!r} ({side.where}).",
                hint="Take it out, or take an example of the train split: what is held out would "
                "be told.",
            )


def _sides(session: Session, *conditions: Any, answers: bool) -> list[LeakSide]:
    query = (
        select(Example, Dataset.name, DatasetVersion.number)
        .join(DatasetVersion, DatasetVersion.id == Example.dataset_version_id)
        .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
        .where(*conditions, Example.erasure_id.is_(None))
        .order_by(Example.id)
    )
    once: dict[tuple[str, str], LeakSide] = {}
    for example, name, number in session.execute(query):
        where, digest = f"{example.split} of {name} version {number}", example.content_digest
        side = LeakSide(example.external_id, where, content_text(example), digest, owner=digest)
        once.setdefault((digest, ""), side)
        for reference in map(str, example.references if answers else ()):
            once.setdefault((digest, reference), side.answer(reference))
    return list(once.values())


def settle_leaks(
    session: Session,
    project_id: int,
    leaks: Sequence[Leak],
    *,
    subject: str,
    remedy: str,
    accept: Acceptance | None = None,
) -> None:
    """Let accepted leaks pass, record a new acceptance, or refuse.

    Args:
        subject: what the leaks were found in, as the start of a sentence.
        remedy: how they are left out, as the start of the hint.

    Raises:
        LeakRefused: leaks that nobody accepted, or that cannot be accepted.
    """
    query = select(AcceptedLeak.train_digest, AcceptedLeak.held_out_digest)
    known = set(session.execute(query.where(AcceptedLeak.project_id == project_id)).all())
    standing = [x for x in leaks if (x.train.digest, x.held_out.digest) not in known]
    refused = standing if accept is None else [x for x in standing if not x.may_be_accepted]
    if refused:
        raise refusal(refused, subject, remedy)
    if accept is not None and standing:
        _record(session, project_id, standing, accept)


def refusal(leaks: Sequence[Leak], subject: str, remedy: str) -> LeakRefused:
    """The error that lists these leaks; arguments as `settle_leaks`."""
    first = leaks[0]
    texts = "texts" if any(leak.train.is_answer for leak in leaks) else "prompts"
    accept = " or accept them by name with a reason" if first.may_be_accepted else ""
    return LeakRefused(
        f"{subject}: {len(leaks)} training {texts} repeat a held-out one, first "
        f"{first.train.example!r} and {first.held_out.example!r} ({first.held_out.where}; "
        f"{first.kind}, similarity {first.similarity:.2f}).",
        hint=f"{remedy}{accept}.",
        findings=[leak.as_dict() for leak in leaks],
    )


def _record(
    session: Session, project_id: int, leaks: Sequence[Leak], acceptance: Acceptance
) -> None:
    reason = acceptance.reason.strip()
    if not reason:
        raise InvalidInput("Say why these leaks may stand.")
    for leak in {(x.train.digest, x.held_out.digest): x for x in leaks}.values():
        session.add(
            AcceptedLeak(
                project_id=project_id,
                train_digest=leak.train.digest,
                held_out_digest=leak.held_out.digest,
                kind=str(leak.kind),
                similarity=leak.similarity,
                reason=reason,
                accepted_by_id=acceptance.user_id,
                accepted_at=acceptance.now,
            )
        )
    session.flush()
