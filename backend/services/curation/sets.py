"""Freezing training sets, and reading them: `add_row` is the only way in."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput, LeakRefused, NotFound
from backend.services.curation.candidates import (
    Candidate,
    propose_references,
    propose_rows,
    reference_row,
    without_repeats,
)
from backend.services.curation.leaks import LeakGuard, guard_project
from backend.services.curation.near_leaks import drop_near_leaks
from backend.services.curation.recipes import Recipe
from backend.services.curation.sources import Sources, gather_sources
from backend.services.datasets import chat_messages
from backend.services.exports import TrainingRow
from backend.services.leak_checks import Acceptance
from backend.tables.curation import TrainingSet, TrainingSetRow
from backend.tables.datasets import DatasetVersion, Example
from backend.tables.generation import Generation
from backend.tables.model_versions import ModelVersion
from backend.tables.review import Review
from backend.tables.users import User

READ_ROWS = 500


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
    _check_name(session, project_id, name)
    guard = guard_project(session, project_id)
    sources = gather_sources(session, project_id, recipe, guard)
    rows, dropped = drop_near_leaks(
        session, project_id, _choose_rows(recipe, sources), recipe, accept=accept_leaks
    )
    if not rows:
        raise _nothing_left(sources)
    frozen = TrainingSet(
        project_id=project_id,
        name=name,
        recipe={"asked": recipe.model_dump(mode="json"), **_outcome(rows, sources), **dropped},
        digest=rows_digest(rows),
        n_rows=len(rows),
        simulated=any(review.simulated for row in rows for review in row.reviews),
    )
    session.add(frozen)
    session.flush()
    for position, row in enumerate(rows):
        add_row(session, guard, frozen, row, position=position)
    session.flush()
    return frozen


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
        source=row.source,
        example_id=row.example.id,
        generation_id=row.generation.id if row.generation else None,
        review_id=row.reviews[0].id if row.reviews else None,
    )
    session.add(stored)
    return stored


def rows_digest(rows: Sequence[Candidate]) -> str:
    """SHA-256 over the rows in order: texts, labels and sources, no database ids."""
    return _digest((row, chat_messages(row.example), row.example) for row in rows)


def stored_digest(session: Session, training_set_id: int) -> str:
    """The same digest, computed from what the database holds now."""
    query = (
        select(TrainingSetRow, Example)
        .join(Example, Example.id == TrainingSetRow.example_id)
        .where(TrainingSetRow.training_set_id == training_set_id)
        .order_by(TrainingSetRow.position)
        .execution_options(yield_per=READ_ROWS)
    )
    return _digest((row, row.prompt, example) for row, example in session.execute(query))


def _digest(
    rows: Iterable[tuple[Candidate | TrainingSetRow, list[dict[str, str]], Example]],
) -> str:
    digest = hashlib.sha256()
    for row, prompt, example in rows:
        parts = [
            row.kind,
            prompt,
            row.completion,
            row.rejected,
            row.label,
            row.source,
            example.external_id,
        ]
        digest.update(json.dumps(parts, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()


def training_rows(session: Session, training_set_id: int) -> Iterator[TrainingRow]:
    """The rows of a frozen set in order, each with its provenance."""
    get_training_set(session, training_set_id)
    query = (
        select(TrainingSetRow, Example, DatasetVersion, ModelVersion, Review, User)
        .join(Example, Example.id == TrainingSetRow.example_id)
        .join(DatasetVersion, DatasetVersion.id == Example.dataset_version_id)
        .outerjoin(Generation, Generation.id == TrainingSetRow.generation_id)
        .outerjoin(ModelVersion, ModelVersion.id == Generation.model_version_id)
        .outerjoin(Review, Review.id == TrainingSetRow.review_id)
        .outerjoin(User, User.id == Review.reviewer_id)
        .where(TrainingSetRow.training_set_id == training_set_id)
        .order_by(TrainingSetRow.position)
        .execution_options(yield_per=READ_ROWS)
    )
    for row, example, version, model, review, reviewer in session.execute(query):
        yield TrainingRow(
            kind=row.kind,
            prompt=row.prompt,
            completion=row.completion,
            rejected=row.rejected,
            label=row.label,
            provenance={
                "training_set_id": training_set_id,
                "position": row.position,
                "source": row.source,
                "example": example.external_id,
                "group": example.group,
                "dataset": f"{version.dataset.name}@{version.number}",
                "generation_id": row.generation_id,
                "model": model.label if model else None,
                "review_id": row.review_id,
                "reviewer": reviewer.pseudonym if reviewer else None,
                "simulated": bool(review and review.simulated),
            },
        )


def get_training_set(session: Session, training_set_id: int) -> TrainingSet:
    """The set, or NotFound."""
    found = session.get(TrainingSet, training_set_id)
    if found is None:
        raise NotFound(f"There is no training set {training_set_id}.")
    return found


def find_training_set(session: Session, project_id: int, name: str) -> TrainingSet:
    """A set of a project by name; NotFound lists those that exist."""
    sets = list_training_sets(session, project_id)
    for found in sets:
        if found.name == name:
            return found
    known = ", ".join(found.name for found in sets)
    raise NotFound(
        f"There is no training set {name!r}.",
        hint=f"Known: {known}." if known else "Make one: strop set freeze",
    )


def list_training_sets(session: Session, project_id: int) -> list[TrainingSet]:
    """All sets of a project, oldest first."""
    query = select(TrainingSet).where(TrainingSet.project_id == project_id)
    return list(session.scalars(query.order_by(TrainingSet.id)))


def sets_with_review(session: Session, review_id: int) -> list[TrainingSet]:
    """The sets that a review went into."""
    query = (
        select(TrainingSet)
        .join(TrainingSetRow, TrainingSetRow.training_set_id == TrainingSet.id)
        .where(TrainingSetRow.review_id == review_id)
        .distinct()
    )
    return list(session.scalars(query.order_by(TrainingSet.id)))


def _check_name(session: Session, project_id: int, name: str) -> None:
    if not name.strip():
        raise InvalidInput("A training set needs a name.")
    if any(found.name == name for found in list_training_sets(session, project_id)):
        raise Conflict(f"There is a training set {name!r} already.", hint="Choose another name.")


def _choose_rows(recipe: Recipe, sources: Sources) -> list[Candidate]:
    reviewed = propose_rows(recipe, sources.reviews)
    sft = [row for row in reviewed if row.kind == "sft"]
    preferences = [row for row in reviewed if row.kind != "sft"]
    references = [reference_row(example) for example in sources.named]
    if recipe.references is not None:
        taught = {row.example.content_digest for row in [*sft, *references]}
        references += propose_references(
            recipe.references,
            [e for e in sources.replayable if e.content_digest not in taught],
            n_reviewed=len(sft),
            seed=recipe.seed,
        )
    return without_repeats([*sft, *references, *preferences])


def _outcome(rows: Sequence[Candidate], sources: Sources) -> dict[str, Any]:
    return {
        "rows_by_kind": dict(Counter(row.kind for row in rows)),
        "rows_by_source": dict(Counter(row.source for row in rows)),
        "n_reviews": len(sources.reviews),
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
