"""Freezing training sets: `add_row` is the only way in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput, LeakRefused
from backend.services.curation.candidates import (
    Candidate,
    propose_references,
    propose_rows,
    reference_row,
    without_repeats,
)
from backend.services.curation.digests import rows_digest
from backend.services.curation.holding import HeldBack, hold_back
from backend.services.curation.leaks import LeakGuard, guard_project
from backend.services.curation.near_leaks import drop_near_leaks
from backend.services.curation.negatives import add_negatives
from backend.services.curation.recipes import Recipe
from backend.services.curation.selection import (
    above_minimum,
    cap_groups,
    mix_tasks,
    put_in_order,
    room_in_groups,
    weigh,
)
from backend.services.curation.sources import Sources, gather_sources
from backend.services.curation.stored import list_training_sets
from backend.services.datasets.leaks import Acceptance
from backend.services.datasets.prompts import chat_messages
from backend.services.projects import lock_project
from backend.tables.curation import HeldBackRow, TrainingSet, TrainingSetRow


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Rows to freeze, what is held back from them, and what to write on the set."""

    rows: list[Candidate]
    held: HeldBack
    facts: dict[str, Any]


def freeze_training_set(
    session: Session,
    *,
    project_id: int,
    name: str,
    recipe: Recipe,
    accept_leaks: Acceptance | None = None,
) -> TrainingSet:
    """Make a training set by a recipe; it is never changed afterwards.

    `recipe` on the set holds what was asked for and what came of it: rows by kind and source, and
    every held-out review that came with a queue and was left out. Rows keep the order SFT, DPO,
    KTO; the set counts as simulated when any row rests on a simulated review.

    Args:
        accept_leaks: who lets near-duplicates of held-out prompts into the set, and why.

    Raises:
        LeakRefused: something held out is named by its id, or all that was found is held out, or
            rows nearly repeat a held-out prompt and are neither dropped nor accepted.
        InvalidInput: nothing to train on.
        Conflict: the project has a set of this name.
    """
    lock_project(session, project_id)
    _check_name(session, project_id, name)
    guard = guard_project(session, project_id)
    sources = gather_sources(session, project_id, recipe, guard)
    chosen = _choose(recipe, sources)
    rows, dropped = drop_near_leaks(session, project_id, chosen.rows, recipe, accept=accept_leaks)
    if not rows:
        raise _nothing_left(sources)
    frozen = TrainingSet(
        project_id=project_id,
        name=name,
        recipe={
            "asked": recipe.model_dump(mode="json"),
            **_outcome(rows, sources),
            **chosen.facts,
            **dropped,
        },
        digest=rows_digest(rows, chosen.held.rows, recipe.order),
        n_rows=len(rows),
        simulated=any(review.simulated for row in rows for review in row.reviews),
    )
    session.add(frozen)
    session.flush()
    _keep_held_back(session, guard, frozen, chosen.held)
    for position, row in enumerate(rows):
        if chosen.held.holds(row.example):
            raise LeakRefused(f"Row {position + 1} is refused: its prompt is held back.")
        add_row(session, guard, frozen, row, position=position)
    session.flush()
    return frozen


def _keep_held_back(
    session: Session, guard: LeakGuard, frozen: TrainingSet, held: HeldBack
) -> None:
    """Before any row: from then on a trigger keeps these prompts and groups from the set."""
    for position, row in enumerate(held.rows):
        guard.check(row.example, f"Held-back row {position + 1}")
        assert row.generation is not None
        session.add(
            HeldBackRow(
                training_set_id=frozen.id,
                position=position,
                completion=row.completion,
                source=row.source,
                example_id=row.example.id,
                generation_id=row.generation.id,
                review_id=row.reviews[0].id,
            )
        )
    session.flush()


def add_row(
    session: Session, guard: LeakGuard, frozen: TrainingSet, row: Candidate, *, position: int
) -> TrainingSetRow:
    """Put one row into a set, after it was checked once more against everything held out.

    Raises:
        LeakRefused: the example is held out, or the row's output or review is of another example.
    """
    guard.check(row.example, f"Row {position + 1}")
    outputs = [] if row.generation is None else [row.generation]
    outputs += [review.item.generation_a for review in row.reviews]
    if any(output.example_id != row.example.id for output in outputs):
        raise LeakRefused(f"Row {position + 1} is refused: its answer is of another example.")
    stored = TrainingSetRow(
        training_set_id=frozen.id,
        position=position,
        kind=row.kind,
        prompt=chat_messages(row.example),
        completion=row.completion,
        rejected=row.rejected,
        label=row.label,
        weight=row.weight,
        source=row.source,
        example_id=row.example.id,
        generation_id=row.generation.id if row.generation else None,
        review_id=row.reviews[0].id if row.reviews else None,
    )
    session.add(stored)
    return stored


def _check_name(session: Session, project_id: int, name: str) -> None:
    if not name.strip():
        raise InvalidInput("A training set needs a name.")
    if any(found.name == name for found in list_training_sets(session, project_id)):
        raise Conflict(f"There is a training set {name!r} already.", hint="Choose another name.")


def _choose(recipe: Recipe, sources: Sources) -> _Chosen:
    """Apply the recipe, in the order that its docstring states."""
    reviews = sources.reviews
    left_out: Counter[str] = Counter()
    proposed = add_negatives(recipe, reviews, propose_rows(recipe, reviews))
    rated = above_minimum(recipe.minimum, proposed, reviews)
    left_out["rated below the minimum"] = len(proposed) - len(rated)
    held = hold_back(recipe, rated)
    named = [reference_row(example) for example in sources.named]
    released, near = held.release([*rated, *named])
    left_out["held back"] = len(rated) + len(named) - len(released)
    capped = cap_groups(released, recipe.per_group, seed=recipe.seed)
    left_out["over the most of a group"] = len(released) - len(capped)
    rows = _with_references(recipe, sources, capped, held)
    mixed = mix_tasks(rows, recipe.mix, seed=recipe.seed)
    left_out["outside the mix"] = len(rows) - len(mixed)
    ordered = put_in_order(weigh(mixed, recipe.weight), recipe.order)
    left_out["no verdict of an adjudication"] = sources.n_not_adjudicated
    facts = held.as_dict(n_left_out=left_out.pop("held back"), near=near)
    return _Chosen(ordered, held, {**facts, "left_out": {k: n for k, n in left_out.items() if n}})


def _with_references(
    recipe: Recipe, sources: Sources, rows: Sequence[Candidate], held: HeldBack
) -> list[Candidate]:
    """SFT rows of reviews, then references, then preferences."""
    sft = [row for row in rows if row.kind == "sft" and row.source != "reference"]
    references = [row for row in rows if row.source == "reference"]
    preferences = [row for row in rows if row.kind != "sft"]
    if recipe.references is not None:
        taught = {row.example.content_digest for row in [*sft, *references]}
        pool = [e for e in sources.replayable if e.content_digest not in taught]
        open_, _ = held.release([reference_row(example) for example in pool])
        references += propose_references(
            recipe.references,
            room_in_groups(
                [row.example for row in open_],
                [*sft, *references],
                recipe.per_group,
                seed=recipe.seed,
            ),
            n_reviewed=len(sft),
            seed=recipe.seed,
        )
    return without_repeats([*sft, *references, *preferences])


def _outcome(rows: Sequence[Candidate], sources: Sources) -> dict[str, Any]:
    return {
        "rows_by_kind": dict(Counter(row.kind for row in rows)),
        "rows_by_source": dict(Counter(row.source for row in rows)),
        "n_reviews": len(sources.reviews),
        "active_seconds": round(sum(review.active_seconds for review in sources.reviews), 1),
        "n_without_reference": sources.n_without_reference,
        **sources.refusals(),
    }


def _nothing_left(sources: Sources) -> InvalidInput | LeakRefused:
    n_refused = len(sources.refused)
    if n_refused and not sources.reviews:
        return LeakRefused(
            f"All {n_refused} answers found are of held-out examples; "
            f"the first: {sources.refused[0].reason}.",
            hint="Review outputs of the train split, and freeze those.",
        )
    return InvalidInput(
        f"The recipe gives no row: {len(sources.reviews)} usable reviews, {n_refused} refused.",
        hint="State a rule (--approved faithful=yes), or add references.",
    )
