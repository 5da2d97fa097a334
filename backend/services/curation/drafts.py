"""What a model drafted, on its way into training sets: only as an expert approved or corrected it.

A row is synthetic when its example is marked so, or when it is known again: its prompt, where a
model wrote that, or its prompt with its answer, under any name and in any dataset that came in
after the draft; nearly the same text counts as the same. Such a row is taken by one door alone: a
review that stands, of a person, in a queue of its drafting, that says yes; with the text as it was
drafted, or as that person corrected it. Reviews by scripts open the door only of a set that says
that it is simulated, and what a judge says is no review. `add_row` asks `Drafts.refusal` of every
row; the triggers of migration 0031 hold the same below it.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.services.curation.candidates import (
    CandidateRow,
    meets,
    newest_first,
    reviewed_outputs,
    row_of,
)
from backend.services.curation.formats import DPO, SFT
from backend.services.curation.recipes import Recipe, Rule
from backend.services.datasets.conversations import content_digest, question_text
from backend.services.datasets.near_duplicates import find_near_duplicates
from backend.services.datasets.plain_text import plain_text
from backend.tables.datasets import Example, Origin
from backend.tables.review import Review
from backend.tables.synthetic import Draft, Drafting, SyntheticQueue

UNAPPROVED = "a model drafted it, and no expert approved or corrected it in its queue"
A_BRIEF = "it asks a model for a draft"
EDITED = "it nearly repeats what a model drafted (draft {id}), and no expert approved that"


COPIES = ("like_train", "like_held_out")
"""Reasons for which drafts are dropped that people's own texts would give too."""


def answer_digest(text: str) -> str:
    """SHA-256 of an answer as `plain_text` shows it."""
    return hashlib.sha256(plain_text(text).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class DraftIdentity:
    """A draft as it is known again.

    Attributes:
        after: the dataset version that asked for it.
        is_copy: it was dropped for being too like a text of people's, which may well come again.
    """

    id: int
    after: int
    own_input: bool
    is_copy: bool
    prompt: str | None
    answer: str | None
    input: str
    text: str

    def may_be(self, example: Example) -> bool:
        """Whether the example came in after the draft was asked for."""
        return example.dataset_version_id > self.after


@dataclass(frozen=True, slots=True)
class Drafts:
    """All that models drafted in a project, and the queues that may let it in.

    Attributes:
        rules: queue -> the answer by which an expert lets a draft in.
        known: every draft that could be read, dropped ones too.
    """

    rules: Mapping[int, Rule] = field(default_factory=dict)
    known: tuple[DraftIdentity, ...] = ()
    prompts: Mapping[str, DraftIdentity] = field(default_factory=dict, repr=False)
    answers: Mapping[tuple[str, str], DraftIdentity] = field(default_factory=dict, repr=False)

    def is_drafted(self, example: Example, texts: Iterable[str] = ()) -> bool:
        """Whether a model drafted the example, or one of these answers to it."""
        if example.origin is not None:
            return True
        for digest in dict.fromkeys((example.content_digest, content_digest(example))):
            found = self.prompts.get(digest)
            if found is not None and found.may_be(example):
                return True
            for text in texts:
                found = self.answers.get((digest, answer_digest(text)))
                if found is not None and found.may_be(example):
                    return True
        return False

    def is_of_a_queue(self, review: Review) -> bool:
        """Whether the review was given in a queue of drafts."""
        return review.item.queue_id in self.rules

    def refusal(self, row: CandidateRow) -> str | None:
        """Why the row may not enter a set; None where it may, or no model drafted it."""
        if row.example.origin == Origin.BRIEF:
            return A_BRIEF
        if not self.is_drafted(row.example, row.answers):
            return None
        return None if row.reviews and self._is_let_in(row) else UNAPPROVED

    def reason(self, example: Example) -> str | None:
        """Why the example's own references may not be trained on; None where they may."""
        if example.origin == Origin.BRIEF:
            return A_BRIEF
        drafted = self.is_drafted(example, map(str, example.references))
        return UNAPPROVED if drafted else None

    def edited(self, examples: Sequence[Example]) -> dict[int, str]:
        """Examples of other origin that nearly repeat a draft, by id, with the reason."""
        if not self.known:
            return {}
        first = min(known.after for known in self.known)
        suspects = [e for e in examples if e.origin is None and e.dataset_version_id > first]
        if not suspects:
            return {}
        own = [known for known in self.known if not known.is_copy]
        told = [(e, str(e.references[0])) for e in suspects if e.references]
        asked = [known for known in own if known.own_input and known.input]
        written = [known for known in own if known.text]
        pairs = find_near_duplicates(
            [*map(question_text, suspects), *(text for _, text in told)],
            [*(known.input for known in asked), *(known.text for known in written)],
            train_answers=len(told),
            held_out_answers=len(written),
        )
        ours = [*suspects, *(example for example, _ in told)]
        theirs = [*asked, *written]
        found = [(ours[pair.train], theirs[pair.held_out]) for pair in pairs]
        return {e.id: EDITED.format(id=known.id) for e, known in found if known.may_be(e)}

    def _is_let_in(self, row: CandidateRow) -> bool:
        """Approved as it was drafted, or corrected to what the row says, by those who say yes."""
        if row.label is False or row.source not in ("approved", "corrected"):
            return False
        for review in row.reviews:
            rule = self.rules.get(review.item.queue_id)
            if rule is None or not meets(rule, review) or not _is_of_a_person(review):
                return False
        if row.source == "approved":
            output = row.reviews[0].item.generation_a
            return row.kind == SFT and row.completion == output.text
        return any(fix.text == row.completion for fix in row.reviews[0].corrections)


def _is_of_a_person(review: Review) -> bool:
    """Given at the desk; a script's review says that it is simulated, and then so does its set."""
    return review.source == "desk" and (review.simulated or review.annotator_kind == "human")


def drafts_of(session: Session, project_id: int) -> Drafts:
    """What was drafted in a project so far, and its queues."""
    query = (
        select(Draft, Drafting.briefs_version_id)
        .join(Drafting, Drafting.id == Draft.drafting_id)
        .where(Draft.project_id == project_id, Draft.prompt_digest.is_not(None))
        .order_by(Draft.id)
    )
    known = tuple(
        DraftIdentity(
            draft.id,
            after,
            draft.own_input,
            draft.reason in COPIES,
            draft.prompt_digest,
            draft.answer_digest,
            draft.input or "",
            draft.answer or "",
        )
        for draft, after in session.execute(query)
    )
    queues = (
        select(SyntheticQueue)
        .join(Drafting, Drafting.id == SyntheticQueue.drafting_id)
        .where(Drafting.project_id == project_id)
    )
    rules = {
        q.queue_id: Rule(criterion=q.criterion, equals=q.approves) for q in session.scalars(queues)
    }
    asked = [(one.prompt, one) for one in reversed(known) if one.prompt is not None]
    prompts = {prompt: one for prompt, one in asked if one.own_input and prompt}
    answers = {(prompt, one.answer): one for prompt, one in asked if one.answer is not None}
    return Drafts(rules, known, prompts, answers)


def propose_drafts(recipe: Recipe, drafts: Drafts, reviews: Sequence[Review]) -> list[CandidateRow]:
    """The rows of drafts that experts let in, SFT before DPO, in the order of the drafts.

    A draft is let in when more than half of its reviewers say yes; the newest correction among
    them is taken, where there is one, in place of the draft.
    """
    found = (_let_in(drafts, group) for group in reviewed_outputs(reviews))
    rows = [row for row in found if row is not None]
    corrected = [row for row in rows if recipe.dpo_corrections and row.source == "corrected"]
    outputs = [row.reviews[0].item.generation_a for row in corrected]
    pairs = zip(corrected, outputs, strict=True)
    return [*rows, *(replace(row, kind=DPO, rejected=output.text) for row, output in pairs)]


def _let_in(drafts: Drafts, reviews: Sequence[Review]) -> CandidateRow | None:
    output = reviews[0].item.generation_a
    yes = [one for one in reviews if meets(drafts.rules[one.item.queue_id], one)]
    saying_yes = newest_first(yes)
    if 2 * len(saying_yes) <= len(reviews):
        return None
    share = len(saying_yes) / len(reviews)
    if corrected := [review for review in saying_yes if review.corrections]:
        fix = corrected[0].corrections[0].text
        return row_of(SFT, "corrected", output, fix, (corrected[0],), agreement=share)
    return row_of(SFT, "approved", output, None, saying_yes, agreement=share)


def cap_share(rows: Sequence[CandidateRow], most: float | None, *, seed: int) -> list[CandidateRow]:
    """The rows with so many synthetic ones that they are at most this share, drawn by the seed."""
    if most is None:
        return list(rows)
    drafted = [row for row in rows if row.example.origin == Origin.SYNTHETIC]
    others = len(rows) - len(drafted)
    room = int(others * most / (1 - most) + 1e-9)
    if len(drafted) <= room:
        return list(rows)
    kept = {id(row) for row in random.Random(seed).sample(drafted, room)}
    return [row for row in rows if row.example.origin != Origin.SYNTHETIC or id(row) in kept]


def synthetic_facts(rows: Sequence[CandidateRow], *, left_out: int) -> dict[str, Any]:
    """What to write on a set of its synthetic rows; empty where it has none and left none out.

    Args:
        left_out: drafts that experts let in, and the recipe left out.
    """
    drafted = [row for row in rows if row.example.origin == Origin.SYNTHETIC]
    if not drafted and not left_out:
        return {}
    told = [row.example.provenance or {} for row in drafted]
    people = {review.reviewer.pseudonym for row in drafted for review in row.reviews}
    return {
        "synthetic": {
            "rows": len(drafted),
            "of": len(rows),
            "share": round(len(drafted) / len(rows), 4) if rows else 0.0,
            "by_source": dict(sorted(Counter(row.source for row in drafted).items())),
            "approved_by": sorted(people),
            "simulated": sum(any(r.simulated for r in row.reviews) for row in drafted),
            "drafted_by": dict(Counter(str(one.get("model")) for one in told)),
            "drawn_from": dict(Counter(str(one.get("source")) for one in told)),
            "draftings": sorted({int(one["drafting"]) for one in told if "drafting" in one}),
            "left_out": left_out,
        }
    }
