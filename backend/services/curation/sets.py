"""Freezing training sets: `add_row` is the only way in.

Reading frozen sets: which there are, their rows with provenance, what they hold back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput, LeakRefused, NotFound
from backend.services.curation.candidates import (
    CandidateRow,
    propose_references,
    propose_rows,
    reference_row,
    without_repeats,
)
from backend.services.curation.counterfactual import add_counterfactuals
from backend.services.curation.digests import READ_ROWS, Rendered, messages_of, rows_digest
from backend.services.curation.drafts import (
    Drafts,
    cap_share,
    propose_drafts,
    synthetic_facts,
)
from backend.services.curation.formats import BY_LOSS, DPO, KTO, SFT, TrainingRow
from backend.services.curation.leaks import LeakGuard, drop_near_leaks, guard_project
from backend.services.curation.recipes import Order, Recipe
from backend.services.curation.selection import (
    HeldBack,
    above_minimum,
    add_negatives,
    cap_groups,
    hold_back,
    mix_tasks,
    put_in_order,
    room_in_groups,
    weigh,
)
from backend.services.curation.sources import Sources, gather_sources
from backend.services.datasets.leaks import Acceptance
from backend.services.datasets.masking.stored import refuse_unmasked_examples
from backend.services.datasets.prompts.prompts import (
    find_prompt,
    prompt_spec,
    refuse_leaking_wording,
)
from backend.services.datasets.prompts.shots import render_all
from backend.services.projects import lock_project
from backend.tables.accounts import User
from backend.tables.curation import HeldBackRow, TrainingSet, TrainingSetRow
from backend.tables.datasets import DatasetVersion, Example, Origin
from backend.tables.models import ModelVersion
from backend.tables.review import Review
from backend.tables.runs import Generation

_KINDS = (SFT, DPO, KTO)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Rows to freeze, what is held back from them, and what to write on the set.

    `n_drafts` are the rows of drafts that experts let in, taken or not.
    """

    rows: list[CandidateRow]
    held: HeldBack
    facts: dict[str, Any]
    n_drafts: int = 0


def freeze_training_set(
    session: Session,
    *,
    project_id: int,
    name: str,
    recipe: Recipe,
    accept_leaks: Acceptance | None = None,
    encoders: Path | None = None,
) -> TrainingSet:
    """Make a training set by a recipe; it is never changed afterwards.

    `recipe` on the set holds what was asked for and what came of it: rows by kind and source, and
    every held-out review that came with a queue and was left out. Rows keep the order SFT, DPO,
    KTO; the set counts as simulated when any row rests on a simulated review.

    Args:
        accept_leaks: who lets near-duplicates of held-out prompts into the set, and why.
        encoders: the folder below which a prompt may name an encoder that chooses its shots.

    Raises:
        LeakRefused: something held out is named by its id, stands in the prompt, or is all that
            was found; or rows nearly repeat a held-out prompt, neither dropped nor accepted.
        InvalidInput: nothing to train on, or the prompt cannot be rendered for a row.
        NotFound: the project has no such prompt.
        Conflict: the project has a set of this name.
    """
    lock_project(session, project_id)
    _check_name(session, project_id, name)
    guard = guard_project(session, project_id)
    sources = gather_sources(session, project_id, recipe, guard)
    chosen = _choose(recipe, sources, guard.drafts)
    rows, dropped = drop_near_leaks(session, project_id, chosen.rows, recipe, accept=accept_leaks)
    if not rows:
        raise _nothing_left(sources)
    refuse_unmasked_examples(
        session, project_id, [row.example.id for row in rows], f"The set {name!r} is refused"
    )
    rendered, prompt = _render(session, project_id, recipe, rows, encoders)
    n_drafted = sum(row.example.origin == Origin.SYNTHETIC for row in rows)
    rows, exchanged = add_counterfactuals(
        session, project_id, recipe, rows, lambda row: messages_of(row, rendered)
    )
    frozen = TrainingSet(
        project_id=project_id,
        name=name,
        recipe={
            "asked": recipe.model_dump(mode="json"),
            **_outcome(rows, sources),
            **chosen.facts,
            **dropped,
            **prompt,
            **synthetic_facts(rows, left_out=chosen.n_drafts - n_drafted),
            **exchanged,
        },
        digest=rows_digest(rows, chosen.held.rows, recipe.order, rendered=rendered),
        n_rows=len(rows),
        simulated=any(review.simulated for row in rows for review in row.reviews),
    )
    _fill(session, guard, frozen, chosen.held, rows, rendered)
    return frozen


def _fill(
    session: Session,
    guard: LeakGuard,
    frozen: TrainingSet,
    held: HeldBack,
    rows: Sequence[CandidateRow],
    rendered: Rendered | None,
) -> None:
    """Store the set with what it holds back, and then its rows."""
    session.add(frozen)
    session.flush()
    _keep_held_back(session, guard, frozen, held)
    for position, row in enumerate(rows):
        if held.holds(row.example):
            raise LeakRefused(f"Row {position + 1} is refused: its prompt is held back.")
        add_row(session, guard, frozen, row, position=position, rendered=rendered)
    session.flush()


def _render(
    session: Session,
    project_id: int,
    recipe: Recipe,
    rows: Sequence[CandidateRow],
    encoders: Path | None,
) -> tuple[Rendered | None, dict[str, Any]]:
    """The messages of the rows with the recipe's prompt, and what to write of it on the set."""
    if recipe.prompt is None:
        return None, {}
    prompt = find_prompt(session, project_id, recipe.prompt)
    refuse_leaking_wording(session, project_id, {prompt.label: prompt_spec(prompt)})
    shows_shots = prompt_spec(prompt).shots is not None
    if shows_shots and not recipe.prompt_shots:
        raise InvalidInput(
            f"The prompt {prompt.label} shows shots, which training takes the place of.",
            hint="Add the prompt without shots under another name and train with that one, or say "
            "prompt_shots: true.",
        )
    examples = list({row.example.id: row.example for row in rows}.values())
    messages = render_all(session, project_id, examples, prompt, encoders=encoders)
    rendered = {e.id: turns for e, turns in zip(examples, messages, strict=True)}
    recorded = {"name": prompt.name, "version": prompt.version, "digest": prompt.digest}
    return rendered, {"prompt": {**recorded, "shots": shows_shots}}


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
    session: Session,
    guard: LeakGuard,
    frozen: TrainingSet,
    row: CandidateRow,
    *,
    position: int,
    rendered: Rendered | None = None,
) -> TrainingSetRow:
    """Put one row into a set, after it was checked once more against everything held out.

    Args:
        rendered: as in `rows_digest`.

    Raises:
        LeakRefused: the example is held out, the row's output or review is of another example, or
            a model drafted it and no expert let it in.
    """
    guard.check(row.example, f"Row {position + 1}")
    if (reason := guard.drafts.refusal(row)) is not None:
        raise LeakRefused(
            f"Row {position + 1} is refused: {reason}.",
            hint="Have an expert look at it: strop synthetic open",
        )
    outputs = [] if row.generation is None else [row.generation]
    outputs += [review.item.generation_a for review in row.reviews]
    if any(output.example_id != row.example.id for output in outputs):
        raise LeakRefused(f"Row {position + 1} is refused: its answer is of another example.")
    stored = TrainingSetRow(
        training_set_id=frozen.id,
        position=position,
        kind=row.kind,
        prompt=messages_of(row, rendered),
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


def _choose(recipe: Recipe, sources: Sources, drafts: Drafts) -> _Chosen:
    """Apply the recipe, in the order that its docstring states; what was drafted joins last."""
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
    drafted, n_drafts = _drafted(recipe, sources, drafts, rows, held)
    rows = without_repeats([*rows, *drafted])
    rows.sort(key=lambda row: _KINDS.index(row.kind))
    mixed = mix_tasks(rows, recipe.mix, seed=recipe.seed)
    left_out["outside the mix"] = len(rows) - len(mixed)
    within = cap_share(mixed, recipe.synthetic_share_max, seed=recipe.seed)
    left_out["over the most of synthetic rows"] = len(mixed) - len(within)
    ordered = put_in_order(weigh(within, recipe.weight), recipe.order)
    left_out["no verdict of an adjudication"] = sources.n_not_adjudicated
    facts = held.as_dict(n_left_out=left_out.pop("held back"), near=near)
    told = {**facts, "left_out": {k: n for k, n in left_out.items() if n}}
    return _Chosen(ordered, held, told, n_drafts)


def _drafted(
    recipe: Recipe,
    sources: Sources,
    drafts: Drafts,
    rows: Sequence[CandidateRow],
    held: HeldBack,
) -> tuple[list[CandidateRow], int]:
    """The rows of drafts that experts let in and the recipe takes, and how many were let in.

    They take the place of no other row: those are the same with and without them.
    """
    let_in = propose_drafts(recipe, drafts, sources.drafted)
    if recipe.without_synthetic:
        return [], len(let_in)
    released, _ = held.release(let_in)
    if recipe.per_group is None:
        return released, len(let_in)
    pool = [row.example for row in released]
    ids = {e.id for e in room_in_groups(pool, rows, recipe.per_group, seed=recipe.seed)}
    return [row for row in released if row.example.id in ids], len(let_in)


def _with_references(
    recipe: Recipe, sources: Sources, rows: Sequence[CandidateRow], held: HeldBack
) -> list[CandidateRow]:
    """SFT rows of reviews, then references, then preferences."""
    sft = [row for row in rows if row.is_answer and row.source != "reference"]
    references = [row for row in rows if row.source == "reference"]
    preferences = [row for row in rows if not row.is_answer]
    if recipe.references is not None:
        taught = {row.example.content_digest for row in [*sft, *references]}
        pool = [e for e in sources.replayable if e.content_digest not in taught]
        released, _ = held.release([reference_row(example) for example in pool])
        open_, taken = [row.example for row in released], [*sft, *references]
        pool = room_in_groups(open_, taken, recipe.per_group, seed=recipe.seed)
        references += propose_references(
            recipe.references, pool, n_reviewed=len(sft), seed=recipe.seed
        )
    return without_repeats([*sft, *references, *preferences])


def _outcome(rows: Sequence[CandidateRow], sources: Sources) -> dict[str, Any]:
    reviews = (*sources.reviews, *sources.drafted)
    return {
        "rows_by_kind": dict(Counter(row.kind for row in rows)),
        "rows_by_source": dict(Counter(row.source for row in rows)),
        "n_reviews": len(reviews),
        "active_seconds": round(sum(review.active_seconds for review in reviews), 1),
        "n_without_reference": sources.n_without_reference,
        **sources.refusals(),
    }


def _nothing_left(sources: Sources) -> InvalidInput | LeakRefused:
    n_refused = len(sources.refused)
    if n_refused and not sources.reviews:
        return LeakRefused(
            f"All {n_refused} answers found are set aside; the first: {sources.refused[0].reason}.",
            hint="Review outputs of the train split, or drafts in their own queue, and freeze "
            "those.",
        )
    return InvalidInput(
        f"The recipe gives no row: {len(sources.reviews)} usable reviews, {n_refused} refused.",
        hint="State a rule (--approved faithful=yes), or add references.",
    )


def training_rows(session: Session, training_set_id: int) -> Iterator[TrainingRow]:
    """The rows of a frozen set in order, each with its provenance; no erased ones."""
    asked = get_training_set(session, training_set_id).recipe.get("asked", {})
    order = Order(asked.get("order", Order.SHUFFLED))
    query = (
        select(TrainingSetRow, Example, DatasetVersion, ModelVersion, Review, User)
        .join(Example, Example.id == TrainingSetRow.example_id)
        .join(DatasetVersion, DatasetVersion.id == Example.dataset_version_id)
        .outerjoin(Generation, Generation.id == TrainingSetRow.generation_id)
        .outerjoin(ModelVersion, ModelVersion.id == Generation.model_version_id)
        .outerjoin(Review, Review.id == TrainingSetRow.review_id)
        .outerjoin(User, User.id == Review.reviewer_id)
        .where(
            TrainingSetRow.training_set_id == training_set_id, TrainingSetRow.erasure_id.is_(None)
        )
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
            weight=row.weight,
            order=_place(order, row),
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
                **_origin_of(example),
            },
        )


def _origin_of(example: Example) -> dict[str, Any]:
    """The mark of a row that a model drafted, with what it was drafted by and drawn from."""
    if example.origin is None:
        return {}
    told = example.provenance or {}
    kept = ("drafting", "model", "source", "source_example", "document_sha256")
    named = {key: told[key] for key in kept if told.get(key) is not None}
    return {"origin": example.origin, **{f"drafted_{key}": value for key, value in named.items()}}


def _place(order: Order, row: TrainingSetRow) -> int | str | None:
    """What a trainer is told of the order: a row's place, or that it has to find it by the loss."""
    match order:
        case Order.SHUFFLED:
            return None
        case Order.SHORT_TO_LONG:
            return row.position
        case Order.EASY_TO_HARD:
            return BY_LOSS
        case _:
            assert_never(order)


def held_back_rows(session: Session, training_set_id: int) -> list[HeldBackRow]:
    """What a set keeps from training, in the order in which it was stored; no erased rows."""
    query = select(HeldBackRow).where(
        HeldBackRow.training_set_id == training_set_id, HeldBackRow.erasure_id.is_(None)
    )
    return list(session.scalars(query.order_by(HeldBackRow.position)))


def erased_rows(session: Session, training_set_id: int) -> int:
    """How many rows of a set were erased."""
    query = select(func.count()).where(
        TrainingSetRow.training_set_id == training_set_id, TrainingSetRow.erasure_id.is_not(None)
    )
    return session.scalar(query) or 0


def get_training_set(session: Session, training_set_id: int) -> TrainingSet:
    """The set, or NotFound."""
    found = session.get(TrainingSet, training_set_id)
    if found is None:
        raise NotFound(f"There is no training set {training_set_id}.")
    return found


def find_training_set(session: Session, project_id: int, name: str) -> TrainingSet:
    """A set of a project by name; NotFound lists those that exist."""
    sets = {found.name: found for found in list_training_sets(session, project_id)}
    if name in sets:
        return sets[name]
    known = ", ".join(sets)
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
    holding = select(TrainingSetRow.training_set_id).where(TrainingSetRow.review_id == review_id)
    query = select(TrainingSet).where(TrainingSet.id.in_(holding)).order_by(TrainingSet.id)
    return list(session.scalars(query))
