"""Which of the proposed rows stay: the least rating, groups that may not dominate, tasks by share.

Pure: rows in, rows out, each choice by the seed alone, so that the same reviews give the same set.

Failed outputs as negative examples: what to move away from, beside something better.

An output has failed when most of those who answered the rule's question say that it does not meet
it. DPO rejects it, KTO labels it false. SFT can only imitate, so it gets no row of a failed output,
not even where another rule approves it.

Corrections that are held back from training, so that their yield is known on unseen prompts.

Whole groups are drawn by the seed until the stated share of the corrections is reached. Nothing of
those groups, of their prompts or of near-duplicates of their prompts is trained on: no reference,
no vote, no approved output.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from backend.errors import InvalidInput
from backend.services.curation.candidates import (
    CandidateRow,
    meets,
    newest_first,
    reviewed_outputs,
    row_of,
    without_repeats,
)
from backend.services.curation.formats import DPO, KTO
from backend.services.curation.recipes import Mix, Order, Recipe, Rule, Weight
from backend.services.datasets.conversations import chat_messages, content_text
from backend.services.datasets.near_duplicates import find_near_duplicates
from backend.services.datasets.plain_text import plain_text
from backend.tables.datasets import Example
from backend.tables.review import Review

PRIORITY = ("corrected", "vote", "rating", "negative", "approved", "reference")
DATASET = "dataset"


def group_of(example: Example) -> str:
    """The group of an example; one without a group is a group of its own."""
    return example.content_digest if example.group is None else f"group:{example.group}"


def draw(seed: int, *parts: object) -> str:
    """A number in hexadecimal that depends on the seed and on these parts alone."""
    return hashlib.sha256(":".join(map(str, (seed, *parts))).encode()).hexdigest()


def above_minimum(
    rule: Rule | None, rows: Sequence[CandidateRow], reviews: Iterable[Review]
) -> list[CandidateRow]:
    """The rows without outputs taken as written whose mean rating is too low, or unknown."""
    if rule is None or rule.at_least is None:
        return list(rows)
    means = _mean_ratings(rule.criterion, reviews)
    least = rule.at_least
    return [
        row
        for row in rows
        if not _as_written(row)
        or (row.generation is not None and means.get(row.generation.id, least - 1) >= least)
    ]


def _as_written(row: CandidateRow) -> bool:
    return row.source in ("approved", "vote") or (row.source == "rating" and row.label is True)


def _mean_ratings(criterion: str, reviews: Iterable[Review]) -> dict[int, float]:
    means = {}
    for group in reviewed_outputs(reviews):
        numbers = [
            rating.number
            for review in group
            for rating in review.ratings
            if rating.criterion == criterion and rating.number is not None
        ]
        if numbers:
            means[group[0].item.generation_a_id] = sum(numbers) / len(numbers)
    return means


def cap_groups(rows: Sequence[CandidateRow], most: int | None, *, seed: int) -> list[CandidateRow]:
    """At most so many rows of each kind from one group, in the order in which they came."""
    if most is None:
        return list(rows)
    by_group: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        by_group[row.kind, group_of(row.example)].append(index)
    kept: list[int] = []
    for indexes in by_group.values():
        kept += sorted(indexes, key=lambda index: _rank(rows[index], seed))[:most]
    return [rows[index] for index in sorted(kept)]


def _rank(row: CandidateRow, seed: int) -> tuple[int, str]:
    digest = row.example.content_digest
    drawn = draw(seed, row.kind, digest, row.completion, row.rejected, row.label)
    return PRIORITY.index(row.source), drawn


def room_in_groups(
    pool: Sequence[Example], taken: Iterable[CandidateRow], most: int | None, *, seed: int
) -> list[Example]:
    """Examples of which references may still be drawn, in the order in which they came."""
    if most is None:
        return list(pool)
    counts = Counter(group_of(row.example) for row in taken if row.is_answer)
    kept = set()
    for example in sorted(pool, key=lambda one: draw(seed, one.content_digest)):
        if counts[group_of(example)] < most:
            counts[group_of(example)] += 1
            kept.add(example.id)
    return [example for example in pool if example.id in kept]


def mix_tasks(rows: Sequence[CandidateRow], mix: Mix | None, *, seed: int) -> list[CandidateRow]:
    """The most rows of each kind whose tasks stand in these shares, to the nearest row below.

    Raises:
        InvalidInput: a kind has no row of a task that was asked for.
    """
    if mix is None:
        return list(rows)
    kept: list[int] = []
    for kind in dict.fromkeys(row.kind for row in rows):
        by_task: dict[str, list[int]] = defaultdict(list)
        for index, row in enumerate(rows):
            if row.kind == kind:
                by_task[task_of(row.example, mix)].append(index)
        kept += _by_share(rows, kind, by_task, mix, seed)
    return [rows[index] for index in sorted(kept)]


def _by_share(
    rows: Sequence[CandidateRow],
    kind: str,
    by_task: dict[str, list[int]],
    mix: Mix,
    seed: int,
) -> list[int]:
    missing = [task for task in mix.shares if not by_task.get(task)]
    if missing:
        raise InvalidInput(
            f"There is no {kind} row of {mix.by} {missing[0]!r} to mix in.",
            hint=f"There are: {', '.join(sorted(by_task))}.",
        )
    total = min(len(by_task[task]) / share for task, share in mix.shares.items())
    kept: list[int] = []
    for task, share in mix.shares.items():
        drawn = sorted(by_task[task], key=lambda index: _rank(rows[index], seed)[1])
        kept += drawn[: max(1, int(total * share + 1e-9))]
    return kept


def task_of(example: Example, mix: Mix) -> str:
    """The task of an example under a mix; empty where it has none."""
    if mix.by == DATASET:
        return example.dataset_version.dataset.name
    return str(example.slices.get(mix.by, ""))


def weigh(rows: Iterable[CandidateRow], weight: Weight) -> list[CandidateRow]:
    """The rows, those of SFT with the weight that the recipe asks for."""
    if weight is Weight.EQUAL:
        return list(rows)
    return [replace(row, weight=row.agreement) if row.is_answer else row for row in rows]


def put_in_order(rows: Sequence[CandidateRow], order: Order) -> list[CandidateRow]:
    """Rows of SFT from short to long where that is asked for; the others keep their places."""
    if order is not Order.SHORT_TO_LONG:
        return list(rows)

    def characters(row: CandidateRow) -> int:
        return len(row.completion) + sum(len(m["content"]) for m in chat_messages(row.example))

    answers = sorted((row for row in rows if row.is_answer), key=characters)
    return [*answers, *(row for row in rows if not row.is_answer)]


def add_negatives(
    recipe: Recipe, reviews: Sequence[Review], rows: Sequence[CandidateRow]
) -> list[CandidateRow]:
    """The rows with those of failed outputs, and without what praises a failed output.

    Args:
        rows: what the reviews gave (see `candidates.propose_rows`).
    """
    if recipe.negatives is None:
        return list(rows)
    outputs = reviewed_outputs(reviews)
    failed = {
        group[0].item.generation_a_id: failing
        for group in outputs
        if (failing := _failing(recipe.negatives, group))
    }
    kept = [row for row in rows if not _praises(row, failed)]
    better = _better_answers(kept, outputs)
    found = [row for failing in failed.values() for row in _rows_of(failing, better)]
    # Of a pair that a correction gave as well, the row that says so stays.
    known = {(row.kind, row.example.id, row.completion, row.rejected) for row in kept}
    new = [r for r in found if (r.kind, r.example.id, r.completion, r.rejected) not in known]
    return without_repeats([*kept, *new])


def _failing(rule: Rule, reviews: Sequence[Review]) -> tuple[Review, ...]:
    """The reviews that say the output fails, if they are the majority of those who answered."""
    answers = [(review, met) for review in reviews if (met := meets(rule, review)) is not None]
    failing = [review for review, met in answers if not met]
    return newest_first(failing) if 2 * len(failing) > len(answers) else ()


def _praises(row: CandidateRow, failed: Iterable[int]) -> bool:
    as_written = row.source == "approved" or row.label
    return bool(as_written and row.generation is not None and row.generation.id in failed)


def _better_answers(
    rows: Sequence[CandidateRow], outputs: Iterable[list[Review]]
) -> dict[int, str]:
    """For each example the best known answer: a correction, else an approved output."""
    best: dict[int, str] = {}
    for reviews in outputs:
        corrected = newest_first([review for review in reviews if review.corrections])
        if corrected:
            example_id = reviews[0].item.generation_a.example_id
            best.setdefault(example_id, corrected[0].corrections[0].text)
    for row in rows:
        if row.source == "approved":
            best.setdefault(row.example.id, row.completion)
    return best


def _rows_of(failing: tuple[Review, ...], best: dict[int, str]) -> Iterable[CandidateRow]:
    output = failing[0].item.generation_a
    if not output.text:
        return
    corrected = next((r.corrections[0].text for r in failing if r.corrections), None)
    reference = next(map(str, output.example.references), None)
    chosen = corrected or best.get(output.example.id, reference)
    if chosen is not None and chosen != output.text:
        yield row_of(DPO, "negative", output, chosen, failing, rejected=output.text)
    yield row_of(KTO, "negative", output, None, failing, label=False)


SHOWN = 50


@dataclass(frozen=True, slots=True)
class HeldBack:
    """What is kept from training.

    Attributes:
        rows: corrections, and approved outputs of their groups.
        n_corrections: corrections before anything was held back.
    """

    rows: tuple[CandidateRow, ...] = ()
    groups: frozenset[str] = frozenset()
    digests: frozenset[str] = frozenset()
    n_corrections: int = 0
    share: float | None = None
    _prompts: tuple[str, ...] = field(default=(), repr=False)
    _answers: tuple[str, ...] = field(default=(), repr=False)

    def holds(self, example: Example) -> bool:
        """Whether the example is of a group, or has a prompt, that is held back."""
        return group_of(example) in self.groups or example.content_digest in self.digests

    def release(self, rows: Sequence[CandidateRow]) -> tuple[list[CandidateRow], list[str]]:
        """The rows that may be trained on, and the ids of examples whose prompt or answer nearly
        repeats what is held back, whose rows may not."""
        apart = [row for row in rows if not self.holds(row.example)]
        if not self.rows:
            return apart, []
        prompts = [content_text(row.example) for row in apart]
        answers = [(i, text) for i, row in enumerate(apart) for text in row.answers]
        owners = [*range(len(apart)), *(i for i, _ in answers)]
        pairs = find_near_duplicates(
            [*prompts, *(text for _, text in answers)],
            [*self._prompts, *self._answers],
            train_answers=len(answers),
            held_out_answers=len(self._answers),
        )
        near = {owners[pair.train] for pair in pairs}
        kept = [row for index, row in enumerate(apart) if index not in near]
        return kept, sorted({apart[index].example.external_id for index in near})

    def as_dict(self, *, n_left_out: int, near: Sequence[str]) -> dict[str, Any]:
        """For the set's record; empty when nothing is held back."""
        if self.share is None:
            return {}
        corrections = sum(row.source == "corrected" for row in self.rows)
        return {
            "held_back": {
                "asked": self.share,
                "corrections": corrections,
                "of_corrections": self.n_corrections,
                "approved": len(self.rows) - corrections,
                "groups": len(self.groups),
                "rows_left_out": n_left_out,
                "near_duplicates_left_out": list(near[:SHOWN]),
            }
        }


NOTHING = HeldBack()


def hold_back(recipe: Recipe, rows: Sequence[CandidateRow]) -> HeldBack:
    """Draw what the recipe holds back from these rows, all of which rest on reviews.

    Raises:
        InvalidInput: all corrections are of one group, so that none could be trained on.
    """
    if recipe.hold_back is None:
        return NOTHING
    corrected = [row for row in rows if row.source == "corrected"]
    # A correction may give a row of SFT and one of DPO.
    corrections = list({row.reviews[0].id: row for row in reversed(corrected)}.values())[::-1]
    groups = _draw_groups(corrections, recipe.hold_back, recipe.seed)
    held = [row for row in corrections if group_of(row.example) in groups]
    approved = [row for row in rows if row.source == "approved"]
    held += [row for row in approved if group_of(row.example) in groups]
    examples = {row.example.id: row.example for row in held}.values()
    return HeldBack(
        rows=tuple(held),
        groups=groups,
        digests=frozenset(example.content_digest for example in examples),
        n_corrections=len(corrections),
        share=recipe.hold_back,
        _prompts=tuple(content_text(example) for example in examples),
        _answers=_told_once(held),
    )


def _told_once(rows: Sequence[CandidateRow]) -> tuple[str, ...]:
    """The answers that are held back, without those that several of their prompts have."""
    asked = Counter({(plain_text(row.completion), row.example.content_digest) for row in rows})
    prompts = Counter(answer for answer, _ in asked)
    return tuple({row.completion: 0 for row in rows if prompts[plain_text(row.completion)] == 1})


def _draw_groups(corrections: Sequence[CandidateRow], share: float, seed: int) -> frozenset[str]:
    sizes = Counter(group_of(row.example) for row in corrections)
    if len(sizes) < 2:
        raise InvalidInput(
            f"Corrections of {len(sizes)} group(s) cannot be held back in part.",
            hint="Leave out hold_back, or gather corrections of more groups.",
        )
    wanted = max(1, round(share * len(corrections)))
    drawn: list[str] = []
    held = 0
    for group in sorted(sizes, key=lambda one: draw(seed, "held back", one)):
        if held + sizes[group] <= wanted and len(drawn) < len(sizes) - 1:
            drawn.append(group)
            held += sizes[group]
    # Where every group is larger than the share, the smallest comes nearest to it.
    return frozenset(drawn or [min(sizes, key=lambda one: (sizes[one], draw(seed, one)))])
