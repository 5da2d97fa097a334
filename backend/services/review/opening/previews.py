"""What a planned queue would show, and what its lead has to know before it is opened."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.services.review.blind import masked_terms
from backend.services.review.desk.item_view import ShownOutput, flags_of
from backend.services.review.desk.masks import mask_text
from backend.services.review.opening.plan import QueuePlan
from backend.services.review.rules import QueueRules
from backend.tables.datasets import Example, Split
from backend.tables.review import QueueKind
from backend.tables.runs import Generation

EXAMPLES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class DrawnExample:
    """An item that would be drawn, as its reviewers would see it; `why` they see afterwards."""

    input: str
    context: str | None
    outputs: tuple[ShownOutput, ...]
    split: str
    why: str | None


def drawn_examples(
    session: Session, plan: QueuePlan, rules: QueueRules, *, limit: int = EXAMPLES_SHOWN
) -> list[DrawnExample]:
    """The first items that the queue would give out, masked as its rules say."""
    terms = masked_terms(session.connection(), rules.as_dict(), plan.as_design())
    return [_example(session, plan, number, terms) for number in range(min(limit, len(plan.drawn)))]


def _example(session: Session, plan: QueuePlan, number: int, terms: list[str]) -> DrawnExample:
    drawn = plan.drawn[number]
    candidate = plan.frame.candidates[drawn.number]
    example = session.get_one(Example, candidate.example_id)
    shown = []
    for output_id in candidate.output_ids:
        text = mask_text(session.get_one(Generation, output_id).text or "", terms)
        scores = plan.opening.score_run_id if candidate.b_id is None else None
        shown.append(ShownOutput(text, flags_of(session.connection(), scores, output_id, terms)))
    return DrawnExample(example.input, example.context, tuple(shown), example.split, drawn.why)


def splits_drawn(session: Session, plan: QueuePlan) -> dict[str, int]:
    """How many of the items that would be drawn are of each split."""
    query = select(Example.id, Example.split).where(
        Example.dataset_version_id == plan.run.dataset_version_id
    )
    split_of = {row.id: row.split for row in session.execute(query)}
    drawn = (plan.frame.candidates[one.number].example_id for one in plan.drawn)
    return dict(Counter(split_of[example_id] for example_id in drawn))


def warnings_of(session: Session, plan: QueuePlan) -> list[str]:
    """What is no fault and yet is better known before, as sentences."""
    warnings, n = [], len(plan.drawn)
    drawn = splits_drawn(session, plan)
    held_out = n - drawn.get(Split.TRAIN, 0)
    if plan.kind is QueueKind.SINGLE and held_out:
        warnings.append(
            f"{held_out} of the {n} items are held out ({_named(drawn)}): what experts correct "
            "there measures models, and will never enter a training set."
        )
    if plan.kind is QueueKind.PAIR and held_out < n:
        warnings.append(
            f"{n - held_out} of the {n} pairs are on examples that models may be trained on "
            f"({_named(drawn)}): votes on them prove nothing of held-out ones."
        )
    if max(plan.required, default=1) == 1:
        warnings.append(
            "Each item is seen by one person, so how far reviewers agree cannot be said."
        )
    return warnings


def _named(drawn: dict[str, int]) -> str:
    return ", ".join(f"{split} {n}" for split, n in sorted(drawn.items()))
