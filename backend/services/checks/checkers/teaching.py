"""What a checker is taught with, and what is kept out to measure it on.

Right texts are references, approved outputs and corrections of the train split; what experts marked
in other outputs is wrong; errors are planted in the right ones. The rows are a training set like
any other: no held-out text enters, each row names its example and its review, and a withdrawn
review can be found in it. What is kept out are whole groups: those of the validation split where
there are enough, else some of the train split. Nothing of the test split is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import InvalidInput
from backend.services.curation import LeakGuard, guard_project
from backend.services.curation.candidates import (
    CandidateRow,
    newest_first,
    propose_rows,
    reference_row,
    reviewed_outputs,
    without_repeats,
)
from backend.services.curation.digests import rows_digest
from backend.services.curation.formats import SFT
from backend.services.curation.leaks import drop_near_leaks
from backend.services.curation.recipes import Recipe
from backend.services.curation.selection import draw, group_of
from backend.services.curation.sets import add_row, list_training_sets
from backend.services.curation.sources import Sources, gather_sources
from backend.services.datasets.conversations import content_text
from backend.services.datasets.near_duplicates import near_duplicate_pairs
from backend.services.datasets.splits import connected_blocks
from backend.services.datasets.versions import get_dataset_version, list_examples
from backend.services.projects import lock_project
from backend.services.review import find_queue
from backend.tables.curation import TrainingSet
from backend.tables.datasets import Dataset, DatasetVersion, Example, Split
from backend.tables.models import ModelPurpose
from backend.tables.review import Review
from evaluators.checks.checker.checker import CheckerForm, ask
from evaluators.checks.checker.lessons import (
    MARKED,
    Lesson,
    MarkedText,
    RightText,
    teach,
    whole_texts,
)
from evaluators.spread import Spread

PLANTED = "planted"
LEAST_LESSONS = 20
LEAST_GROUPS = 10
KEPT_OUT = 0.2
ELSE_WRONG = frozenset({"omission", "tone", "language", "style", "privacy"})
"""Kinds of marks that do not say that the source lacks what is marked."""
MOST_HELD_OUT = 400  # sentences; a quarter as many texts
Asked = tuple[str, str]  # source and sentence
Fit = Callable[[Sequence[Asked], CheckerForm], CheckerForm]


@dataclass(frozen=True, slots=True)
class Lessons:
    """A frozen set that teaches a checker, and what is kept out of it."""

    training_set: TrainingSet
    form: CheckerForm
    asked: list[Asked]
    held_out: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Texts:
    """Right texts and marked outputs as candidates; `marks` are those of each marked one."""

    right: list[CandidateRow]
    marked: list[CandidateRow]
    marks: dict[int, tuple[tuple[int, int], ...]]  # by generation

    def within(self, examples: Collection[int], *, outside: bool = False) -> _Texts:
        """Those of some examples, or all others."""
        return _Texts(
            [row for row in self.right if (row.example.id in examples) != outside],
            [row for row in self.marked if (row.example.id in examples) != outside],
            self.marks,
        )

    @property
    def all(self) -> list[CandidateRow]:
        """Right before marked."""
        return [*self.right, *self.marked]


def freeze_lessons(
    session: Session,
    project_id: int,
    name: str,
    recipe: Recipe,
    *,
    form: CheckerForm,
    fit: Fit,
    most: int,
    mark_kinds: Collection[str] = (),
    spread: Spread = map,
) -> Lessons:
    """Freeze the set that teaches a checker.

    Args:
        name: of the checker; the set is called after it and numbered.
        recipe: where the right texts come from, and by which rule an output is approved.
        fit: given what the rows ask, the form in which the longest has room in the model.
        most: rows of the set.
        mark_kinds: kinds of marks that say that something is unsupported; by default all but
            ELSE_WRONG.
        spread: where errors are planted in blocks of texts.

    Raises:
        InvalidInput: too few rows, or too few groups to measure the checker on.
        NotFound: no such queue or dataset.
    """
    lock_project(session, project_id)
    guard = guard_project(session, project_id)
    sources = gather_sources(session, project_id, recipe, guard)
    texts = _texts_of(recipe, sources.reviews, sources.replayable, mark_kinds)
    kept, dropped = drop_near_leaks(
        session, project_id, texts.all, recipe.model_copy(update={"drop_leaks": True}), accept=None
    )
    texts = _only(texts, kept)
    held = _of_validation(session, project_id, recipe, mark_kinds)
    if len({group_of(row.example) for row in held.all}) < LEAST_GROUPS:
        texts, held = _keep_out(texts, recipe.seed)
    form, rows, lessons = _rows(texts, form, fit, most=most, seed=recipe.seed, spread=spread)
    _require_enough(rows, texts)
    facts = {
        "asked": recipe.model_dump(mode="json"),
        "check": {
            "name": name,
            "form": form.as_record(),
            "errors": dict(Counter(lesson.kind for lesson in lessons if lesson.kind)),
            "right_texts": dict(Counter(row.source for row in texts.right)),
            "marked_outputs": len(texts.marked),
        },
        **_counts(rows, sources),
        **dropped,
    }
    frozen = _store(session, project_id, guard, f"checker {name}", rows, facts)
    asked = [
        (_source_of(row.example), lesson.sentence)
        for row, lesson in zip(rows, lessons, strict=True)
    ]
    return Lessons(frozen, form, asked, _held_out(held, recipe.seed, spread))


def _texts_of(
    recipe: Recipe,
    reviews: Sequence[Review],
    references: Iterable[Example],
    mark_kinds: Collection[str],
) -> _Texts:
    """An output in which anybody marked something is no right text, whoever approved it."""
    marks: dict[int, tuple[tuple[int, int], ...]] = {}
    marked = []
    for of_output in reviewed_outputs(reviews):
        output = of_output[0].item.generation_a
        marking = [review for review in of_output if _marks(review, mark_kinds)]
        if marking:
            places = {place for review in marking for place in _marks(review, mark_kinds)}
            marks[output.id] = tuple(sorted(places))
            marked.append(
                CandidateRow(
                    SFT,
                    MARKED,
                    output.example,
                    output.text or "",
                    generation=output,
                    reviews=newest_first(marking),
                )
            )
    proposed = [row for row in propose_rows(recipe, reviews) if row.is_answer]
    right = [
        row
        for row in proposed
        if row.source != "approved" or row.generation is None or row.generation.id not in marks
    ]
    right = without_repeats([*right, *map(reference_row, references)])
    return _Texts(
        [row for row in right if _source_of(row.example)],
        [row for row in marked if _source_of(row.example)],
        marks,
    )


def _marks(review: Review, kinds: Collection[str]) -> list[tuple[int, int]]:
    return [
        (span.start, span.end)
        for span in review.spans
        if span.end > span.start and (span.kind in kinds if kinds else span.kind not in ELSE_WRONG)
    ]


def _source_of(example: Example) -> str:
    """All that the model was given, as the metrics take it; empty where there is no context."""
    if not (example.context and example.context.strip()):
        return ""
    return "\n".join(part for part in (example.context, example.input) if part)


def _only(texts: _Texts, kept: Iterable[CandidateRow]) -> _Texts:
    ids = {id(row) for row in kept}
    return replace(
        texts,
        right=[row for row in texts.right if id(row) in ids],
        marked=[row for row in texts.marked if id(row) in ids],
    )


@dataclass(frozen=True, slots=True)
class _ValidationGuard(LeakGuard):
    """Lets in what a checker may be measured on; `held_out` is the test split's."""

    def reason(self, example: Example) -> str | None:
        """Why the example is no validation example, or stands in the test split too."""
        if example.erasure_id is not None:
            return "it was erased"
        if example.split != Split.VALIDATION:
            return f"it is in the {example.split} split"
        found = self.held_out.get(example.content_digest)
        return f"the same text stands in the test split as {found}" if found else None


def _of_validation(
    session: Session, project_id: int, recipe: Recipe, mark_kinds: Collection[str]
) -> _Texts:
    query = (
        select(Example.content_digest, Example.external_id)
        .join(DatasetVersion, DatasetVersion.id == Example.dataset_version_id)
        .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
        .where(Dataset.project_id == project_id, Example.split == Split.TEST)
    )
    of_test = {row.content_digest: row.external_id for row in session.execute(query)}
    guard = _ValidationGuard(project_id, of_test)
    reviews = gather_sources(session, project_id, recipe, guard).reviews
    examples = [
        example
        for version_id in _versions(session, project_id, recipe)
        for example in list_examples(session, version_id, Split.VALIDATION)
        if example.references and guard.reason(example) is None
    ]
    return _texts_of(recipe, reviews, examples, mark_kinds)


def _versions(session: Session, project_id: int, recipe: Recipe) -> list[int]:
    if recipe.dataset is not None:
        return [get_dataset_version(session, project_id, recipe.dataset, recipe.dataset_number).id]
    queues = [find_queue(session, project_id, name) for name in recipe.queues]
    return sorted({queue.generation_run.dataset_version_id for queue in queues})


def _keep_out(texts: _Texts, seed: int) -> tuple[_Texts, _Texts]:
    """Some whole groups of the train split, with what nearly repeats them, by the seed."""
    examples = list({row.example.id: row.example for row in texts.all}.values())
    keys = [(example.group, example.content_digest) for example in examples]
    pairs = near_duplicate_pairs([content_text(example) for example in examples])
    blocks = [[examples[i] for i in block] for block in connected_blocks(keys, pairs)]
    if len(blocks) < 2 * LEAST_GROUPS:
        raise InvalidInput(
            f"The right texts and marked outputs are of {len(blocks)} groups, and "
            f"{2 * LEAST_GROUPS} are needed to keep {LEAST_GROUPS} for measuring the checker.",
            hint="Add references, review more outputs of the train split, or give the dataset a "
            f"validation split of {LEAST_GROUPS} groups.",
        )
    wanted = max(LEAST_GROUPS, round(KEPT_OUT * len(blocks)))
    order = sorted(blocks, key=lambda b: draw(seed, "checker", min(e.content_digest for e in b)))
    out = {example.id for block in order[:wanted] for example in block}
    return texts.within(out, outside=True), texts.within(out)


def _lessons(
    texts: _Texts, *, most: int, seed: int, spread: Spread
) -> list[tuple[Lesson, CandidateRow]]:
    """Lessons with the candidate that each is of; the key is its place."""
    rows = texts.all
    right, marked = _pure(texts)
    taught = teach(right, marked, most=most, seed=seed, spread=spread)
    return [(lesson, rows[lesson.key]) for lesson in taught]


def _pure(texts: _Texts) -> tuple[list[RightText], list[MarkedText]]:
    right = [
        RightText(key, group_of(row.example), _source_of(row.example), row.completion)
        for key, row in enumerate(texts.right)
    ]
    marked = []
    for key, row in enumerate(texts.marked, start=len(right)):
        if row.generation is not None:
            group, source = group_of(row.example), _source_of(row.example)
            marks = texts.marks[row.generation.id]
            marked.append(MarkedText(key, group, source, row.completion, marks))
    return right, marked


def _rows(
    texts: _Texts, form: CheckerForm, fit: Fit, *, most: int, seed: int, spread: Spread
) -> tuple[CheckerForm, list[CandidateRow], list[Lesson]]:
    found = _lessons(texts, most=most, seed=seed, spread=spread)
    asked = [(_source_of(row.example), lesson.sentence) for lesson, row in found]
    form = fit(asked, form)
    rows = [
        CandidateRow(
            SFT,
            row.source if lesson.kind in (None, MARKED) else PLANTED,
            row.example,
            form.answer(lesson.supported),
            generation=row.generation,
            reviews=row.reviews,
            asked=tuple(ask(_source_of(row.example), lesson.sentence, form)),
        )
        for lesson, row in found
    ]
    return form, rows, [lesson for lesson, _ in found]


def _require_enough(rows: Sequence[CandidateRow], texts: _Texts) -> None:
    if len(rows) < LEAST_LESSONS:
        raise InvalidInput(
            f"There are {len(rows)} sentences to learn from, of {len(texts.right)} right texts and "
            f"{len(texts.marked)} outputs with marks that have a source; {LEAST_LESSONS} are the "
            "least.",
            hint="Add references with a context, or say which outputs are right: "
            "--approved faithful=yes",
        )


def _counts(rows: Sequence[CandidateRow], sources: Sources) -> dict[str, Any]:
    reviews = {review.id: review for row in rows for review in row.reviews}
    return {
        "rows_by_kind": {SFT: len(rows)},
        "rows_by_source": dict(Counter(row.source for row in rows)),
        "n_reviews": len(reviews),
        "active_seconds": round(sum(r.active_seconds for r in reviews.values()), 1),
        "n_without_reference": sources.n_without_reference,
        **sources.refusals(),
    }


def _store(
    session: Session,
    project_id: int,
    guard: LeakGuard,
    title: str,
    rows: Sequence[CandidateRow],
    facts: dict[str, Any],
) -> TrainingSet:
    taken = {one.name for one in list_training_sets(session, project_id)}
    number = next(n for n in range(1, len(taken) + 2) if f"{title} {n}" not in taken)
    frozen = TrainingSet(
        project_id=project_id,
        name=f"{title} {number}",
        recipe=facts,
        digest=rows_digest(rows),
        n_rows=len(rows),
        purpose=ModelPurpose.CHECK,
        simulated=any(review.simulated for row in rows for review in row.reviews),
    )
    session.add(frozen)
    session.flush()
    for position, row in enumerate(rows):
        add_row(session, guard, frozen, row, position=position)
    session.flush()
    return frozen


def _held_out(texts: _Texts, seed: int, spread: Spread) -> dict[str, Any]:
    """As `Checker.held_out` keeps it."""
    right, _ = _pure(texts)
    whole = whole_texts(right, seed=seed, spread=spread)[: MOST_HELD_OUT // 4]
    told = ("sentence", "supported", "kind")
    sentences = [
        {"example": row.example.id, **{name: getattr(lesson, name) for name in told}}
        for lesson, row in _lessons(texts, most=MOST_HELD_OUT, seed=seed, spread=spread)
    ]
    both = [
        {"example": texts.right[one.key].example.id, "text": text, "kind": kind}
        for one, wrong, planted in whole
        for text, kind in ((one.text, None), (wrong, planted))
    ]
    return {"sentences": sentences, "texts": both}
