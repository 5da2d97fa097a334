"""Near-duplicates of what is held out among the rows of a training set to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from backend.services.curation.candidates import Candidate
from backend.services.curation.recipes import Recipe
from backend.services.datasets.leaks import (
    Acceptance,
    Side,
    find_leaks,
    held_out_sides,
    settle_leaks,
    sides_of,
)


def drop_near_leaks(
    session: Session,
    project_id: int,
    rows: Sequence[Candidate],
    recipe: Recipe,
    *,
    accept: Acceptance | None,
) -> tuple[list[Candidate], dict[str, Any]]:
    """The rows that may be trained on, and what was left out, for the set's record.

    Raises:
        LeakRefused: there are near-duplicates, which the recipe does not drop and nobody accepted.
    """
    prompts = sides_of(session, {row.example.id for row in rows})
    leaks = find_leaks([*prompts, *_answers(rows, prompts)], held_out_sides(session, project_id))
    if not recipe.drop_leaks:
        settle_leaks(
            session,
            project_id,
            leaks,
            subject="The training set is refused",
            remedy="Leave them out with --drop-leaks",
            accept=accept,
        )
        return list(rows), {}
    prompts_dropped = {leak.train.digest for leak in leaks if not leak.train.is_answer}
    answers_dropped = {
        (leak.train.owner, leak.train.text) for leak in leaks if leak.train.is_answer
    }
    kept = [
        row
        for row in rows
        if row.example.content_digest not in prompts_dropped
        and answers_dropped.isdisjoint((row.example.content_digest, text) for text in row.answers)
    ]
    return kept, {"dropped_as_leaks": [leak.as_dict() for leak in leaks]}


def _answers(rows: Sequence[Candidate], prompts: Sequence[Side]) -> list[Side]:
    """Completions, corrections, winners and losers, each once for its prompt."""
    by_digest = {side.digest: side for side in prompts}
    told = dict.fromkeys((row.example.content_digest, text) for row in rows for text in row.answers)
    return [by_digest[digest].answer(text) for digest, text in told]
