"""Rows of a training set once more, with a person's name, gender, age or place exchanged.

They stand beside their originals, on the same example (so that its group, its folds and every guard
hold for them, too), and are marked by their source. What cannot be exchanged safely, or would come
near to something held out, is left out and counted.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from backend.services.curation.candidates import CandidateRow
from backend.services.curation.counterfactual_recipe import Counterfactuals
from backend.services.curation.recipes import Recipe
from backend.services.datasets.conversations import content_text
from backend.services.datasets.leaks import LeakSide, find_leaks, held_out_sides
from evaluators.fairness.gendered_en import Unsafe
from evaluators.fairness.lexicon import LANGUAGES, shipped_lexicon, tell_language
from evaluators.fairness.swap import RowTexts, make_exchange

SOURCE = "counterfactual"
DRAFTED = "a model drafted the row, and no expert has read it exchanged"
NEAR = "it would come near to what is held out"
SHOWN_REASONS = 20
Turns = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class _Made:
    """A row that was exchanged, and what its example would say then."""

    of: int
    kind: str
    row: CandidateRow
    content: str


def add_counterfactuals(
    session: Session,
    project_id: int,
    recipe: Recipe,
    rows: Sequence[CandidateRow],
    messages: Callable[[CandidateRow], Turns],
) -> tuple[list[CandidateRow], dict[str, Any]]:
    """The rows, each followed by its counterfactuals, and what to write of it on the set.

    Args:
        messages: a row's messages as they are shown to the trainer; system messages stay.
    """
    asked = recipe.counterfactuals
    if asked is None:
        return list(rows), {}
    skipped: Counter[str] = Counter()
    made = list(_make(asked, recipe.seed, rows, messages, skipped))
    near = _near(session, project_id, made)
    skipped[NEAR] += len(near)
    kept = [one for place, one in enumerate(made) if place not in near]
    by_row: dict[int, list[CandidateRow]] = {}
    for one in kept:
        by_row.setdefault(one.of, []).append(one.row)
    result = [r for place, row in enumerate(rows) for r in (row, *by_row.get(place, ()))]
    facts = {
        "made": dict(Counter(one.kind for one in kept)),
        "rows": len(kept),
        "left_out": {why: n for why, n in skipped.most_common(SHOWN_REASONS) if n},
        "lists": {name: shipped_lexicon(name).digest for name in LANGUAGES},
    }
    return result, {"counterfactuals": facts}


def _make(
    asked: Counterfactuals,
    seed: int,
    rows: Sequence[CandidateRow],
    messages: Callable[[CandidateRow], Turns],
    skipped: Counter[str],
) -> Iterator[_Made]:
    drawn = random.Random(seed)
    for place, row in enumerate(rows):
        if row.example.origin is not None:
            skipped[DRAFTED] += 1
            continue
        if drawn.random() >= asked.share:
            continue
        for kind in asked.kinds:
            try:
                yield _exchange(asked, seed, place, kind, row, messages(row))
            except Unsafe as reason:
                skipped[f"{kind}: {reason}"] += 1


def _exchange(
    asked: Counterfactuals, seed: int, place: int, kind: str, row: CandidateRow, turns: Turns
) -> _Made:
    said = [turn["content"] for turn in turns if turn["role"] != "system"]
    language = asked.language or tell_language("\n".join(said))
    if language is None:
        raise Unsafe("its language cannot be told")
    prompt = (*said, content_text(row.example))
    texts = RowTexts(row.example.external_id, prompt, row.answers)
    found = make_exchange(texts, kind, shipped_lexicon(language), seed=seed)
    exchanged, answers = iter(found.prompt), iter(found.answers)
    now = tuple(
        turn if turn["role"] == "system" else {**turn, "content": next(exchanged)} for turn in turns
    )
    made = replace(
        row,
        source=SOURCE,
        asked=now,
        completion=next(answers) if row.completion else row.completion,
        rejected=next(answers) if row.rejected else row.rejected,
    )
    return _Made(place, kind, made, next(exchanged))


def _near(session: Session, project_id: int, made: Sequence[_Made]) -> set[int]:
    """Places of what nearly repeats a held-out prompt or answer."""
    sides = []
    for place, one in enumerate(made):
        side = LeakSide(str(place), "train", one.content, f"made:{place}", owner=f"made:{place}")
        sides += [side, *map(side.answer, one.row.answers)]
    leaks = find_leaks(sides, held_out_sides(session, project_id))
    return {int(leak.train.example) for leak in leaks}
