"""Two sets that differ by their synthetic rows alone, to learn whether these help.

Both are frozen by one recipe in one transaction; that all other rows are the same, and in the same
texts, is checked and not assumed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from backend.errors import InvalidInput
from backend.services.curation import Recipe, freeze_training_set, training_rows
from backend.services.datasets.leaks import Acceptance
from backend.services.runs.figures import paired_figures
from backend.tables.curation import TrainingSet

WITHOUT = "-without-synthetic"


@dataclass(frozen=True, slots=True)
class Twins:
    """A set with its synthetic rows and the same one without them."""

    with_: TrainingSet
    without: TrainingSet


def freeze_twins(
    session: Session,
    *,
    project_id: int,
    name: str,
    recipe: Recipe,
    accept_leaks: Acceptance | None = None,
    encoders: Path | None = None,
) -> Twins:
    """Freeze a set and its twin without synthetic rows; both or none.

    Raises:
        InvalidInput: the set has no synthetic row, or the other rows would differ between the two.
        Conflict, LeakRefused, NotFound: as `freeze_training_set`.
    """
    if recipe.without_synthetic:
        raise InvalidInput(
            "The recipe leaves synthetic rows out, so there is nothing to compare.",
            hint="Leave out without_synthetic.",
        )
    bare = recipe.model_copy(update={"without_synthetic": True})
    sets = [
        freeze_training_set(
            session,
            project_id=project_id,
            name=one,
            recipe=of,
            accept_leaks=accept_leaks,
            encoders=encoders,
        )
        for one, of in ((name, recipe), (f"{name}{WITHOUT}", bare))
    ]
    require_same_others(session, *sets)
    return Twins(*sets)


def require_same_others(session: Session, with_: TrainingSet, without: TrainingSet) -> None:
    """Raise InvalidInput where one has no synthetic row, or the sets differ by others too."""
    synthetic, others = 0, Counter[tuple[Any, ...]]()
    for row in training_rows(session, with_.id):
        if row.provenance.get("origin") is None:
            others[_key(row)] += 1
        else:
            synthetic += 1
    if not synthetic:
        raise InvalidInput(
            "The set would hold no synthetic row: no draft in its queues was approved.",
            hint="Name the queue of the drafts, and see how they stand: strop synthetic show",
        )
    bare = Counter(_key(row) for row in training_rows(session, without.id))
    if bare != others:
        n = (bare - others).total() + (others - bare).total()
        raise InvalidInput(
            f"Without the synthetic rows {n} other rows would differ, so that a comparison would "
            "measure them too.",
            hint="Leave mix out of the recipe: it draws other rows when some are missing.",
        )


def _key(row: Any) -> tuple[Any, ...]:
    told = row.provenance
    return (row.kind, told["example"], told["dataset"], row.completion, row.rejected, row.label)


def difference(
    session: Session, score_run_id: int, *, without_id: int, with_id: int
) -> list[dict[str, Any]]:
    """With less without, for every metric of a score run: paired, with interval and n."""
    found = paired_figures(session, score_run_id, without_id, with_id)
    return [one.as_dict() for one in found]
