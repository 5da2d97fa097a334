"""Which of the proposed rows stay: the least rating, groups that may not dominate, tasks by share.

Pure: rows in, rows out, each choice by the seed alone, so that the same reviews give the same set.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from backend.errors import InvalidInput
from backend.services.curation.candidates import Candidate, reviewed_outputs
from backend.services.curation.recipes import Mix, Order, Rule, Weight
from backend.services.datasets.prompts import chat_messages
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
    rule: Rule | None, rows: Sequence[Candidate], reviews: Iterable[Review]
) -> list[Candidate]:
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


def _as_written(row: Candidate) -> bool:
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


def cap_groups(rows: Sequence[Candidate], most: int | None, *, seed: int) -> list[Candidate]:
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


def _rank(row: Candidate, seed: int) -> tuple[int, str]:
    digest = row.example.content_digest
    drawn = draw(seed, row.kind, digest, row.completion, row.rejected, row.label)
    return PRIORITY.index(row.source), drawn


def room_in_groups(
    pool: Sequence[Example], taken: Iterable[Candidate], most: int | None, *, seed: int
) -> list[Example]:
    """Examples of which references may still be drawn, in the order in which they came."""
    if most is None:
        return list(pool)
    counts = Counter(group_of(row.example) for row in taken if row.kind == "sft")
    kept = set()
    for example in sorted(pool, key=lambda one: draw(seed, one.content_digest)):
        if counts[group_of(example)] < most:
            counts[group_of(example)] += 1
            kept.add(example.id)
    return [example for example in pool if example.id in kept]


def mix_tasks(rows: Sequence[Candidate], mix: Mix | None, *, seed: int) -> list[Candidate]:
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
    rows: Sequence[Candidate],
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


def weigh(rows: Iterable[Candidate], weight: Weight) -> list[Candidate]:
    """The rows, those of SFT with the weight that the recipe asks for."""
    if weight is Weight.EQUAL:
        return list(rows)
    return [replace(row, weight=row.agreement) if row.kind == "sft" else row for row in rows]


def put_in_order(rows: Sequence[Candidate], order: Order) -> list[Candidate]:
    """Rows of SFT from short to long where that is asked for; the others keep their places."""
    if order is not Order.SHORT_TO_LONG:
        return list(rows)
    sft = sorted((row for row in rows if row.kind == "sft"), key=_characters)
    return [*sft, *(row for row in rows if row.kind != "sft")]


def _characters(row: Candidate) -> int:
    return len(row.completion) + sum(len(m["content"]) for m in chat_messages(row.example))
