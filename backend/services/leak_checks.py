"""Leaks by near-duplicates: finding them in a project, showing them, and a person's acceptance.

Checked when a dataset whose rows name their split comes in, when a training set is frozen, and
when a run starts on held-out examples. What is found blocks (LeakRefused), side by side, unless it
is left out, or a named person accepted these very pairs with a reason. A prompt that is the same
after folding cannot be accepted: triggers keep it from training sets in any case.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import InvalidInput, LeakRefused
from backend.services.near_duplicates import Kind, find_near_duplicates
from backend.services.prompts import prompt_text
from backend.tables.datasets import AcceptedLeak, Dataset, DatasetVersion, Example, Split

SHOWN_CHARACTERS = 240


@dataclass(frozen=True, slots=True)
class Side:
    """A prompt: its example's id, where it stands, and the text."""

    example: str
    where: str
    text: str
    digest: str


@dataclass(frozen=True, slots=True)
class Leak:
    """A prompt to train on beside the held-out one that it repeats."""

    train: Side
    held_out: Side
    kind: Kind
    similarity: float

    @property
    def may_be_accepted(self) -> bool:
        """Whether the prompts differ by more than case and white space."""
        return self.train.digest != self.held_out.digest

    def as_dict(self) -> dict[str, Any]:
        """Plain values, texts cut to SHOWN_CHARACTERS."""
        return {
            "kind": str(self.kind),
            "similarity": round(self.similarity, 3),
            "train": self.train.example,
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


def find_leaks(train: Sequence[Side], held_out: Sequence[Side]) -> list[Leak]:
    """The near-duplicates among these, one for each prompt to train on."""
    found = find_near_duplicates([s.text for s in train], [s.text for s in held_out])
    return [
        Leak(train[pair.train], held_out[pair.held_out], pair.kind, pair.similarity)
        for pair in found
    ]


def held_out_sides(session: Session, project_id: int) -> list[Side]:
    """Every held-out prompt of a project, each once."""
    return _sides(session, Dataset.project_id == project_id, Example.split != Split.TRAIN)


def sides_of(session: Session, example_ids: Collection[int]) -> list[Side]:
    """The prompts of these examples, each once."""
    ids = sorted(example_ids)
    chunks = [ids[start : start + 500] for start in range(0, len(ids), 500)]
    return [side for chunk in chunks for side in _sides(session, Example.id.in_(chunk))]


def _sides(session: Session, *conditions: Any) -> list[Side]:
    query = (
        select(Example, Dataset.name, DatasetVersion.number)
        .join(DatasetVersion, DatasetVersion.id == Example.dataset_version_id)
        .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
        .where(*conditions)
        .order_by(Example.id)
    )
    once: dict[str, Side] = {}
    for example, name, number in session.execute(query):
        where = f"{example.split} of {name} version {number}"
        text = prompt_text(example.input, example.context)
        digest = example.content_digest
        once.setdefault(digest, Side(example.external_id, where, text, digest))
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
    standing = _without_accepted(session, project_id, leaks)
    refused = standing if accept is None else [x for x in standing if not x.may_be_accepted]
    if refused:
        raise refusal(refused, subject, remedy)
    if accept is not None and standing:
        _record(session, project_id, standing, accept)


def _without_accepted(session: Session, project_id: int, leaks: Iterable[Leak]) -> list[Leak]:
    query = select(AcceptedLeak.train_digest, AcceptedLeak.held_out_digest)
    accepted = {
        (train, held_out)
        for train, held_out in session.execute(query.where(AcceptedLeak.project_id == project_id))
    }
    return [leak for leak in leaks if (leak.train.digest, leak.held_out.digest) not in accepted]


def refusal(leaks: Sequence[Leak], subject: str, remedy: str) -> LeakRefused:
    """The error that lists these leaks; arguments as `settle_leaks`."""
    first = leaks[0]
    accept = " or accept them by name with a reason" if first.may_be_accepted else ""
    return LeakRefused(
        f"{subject}: {len(leaks)} training prompts repeat a held-out one, first "
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
