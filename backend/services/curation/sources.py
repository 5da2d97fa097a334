"""Where the rows of a training set may come from, and what is set aside because it is held out.

What a recipe names one by one (a review, an output, an example) is refused outright when it is held
out. What comes in with a queue is quarantined: set aside, counted, and written on the set. Where an
adjudication decided, its verdict is taken and the reviews that it decided between are not; a review
that is named by its id is taken all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session, selectinload

from backend.errors import InvalidInput, LeakRefused, NotFound
from backend.rubrics import Control
from backend.services.curation.drafts import UNAPPROVED
from backend.services.curation.leaks import LeakGuard
from backend.services.curation.recipes import Recipe, Rule, fixed_metric
from backend.services.datasets.versions import get_dataset_version, list_examples
from backend.services.review import find_queue, rubric_of, stands
from backend.services.review.quality.adjudication import overruled
from backend.tables.datasets import Example, Split
from backend.tables.review import Purpose, QueueKind, Review, ReviewItem, ReviewQueue
from backend.tables.runs import Generation

SHOWN = 50


@dataclass(frozen=True, slots=True)
class Refused:
    """Something that was set aside, and why."""

    what: str
    example: str
    reason: str


@dataclass(frozen=True, slots=True)
class Sources:
    """What may be used, and what may not.

    Attributes:
        named: examples that the recipe names by id.
        replayable: train examples with a reference that may be replayed.
        n_without_reference: train examples of the dataset that have none.
        n_not_adjudicated: reviews left out because only verdicts were asked for.
        drafted: reviews of what models drafted, in the queues that may let it in.
    """

    reviews: tuple[Review, ...]
    named: tuple[Example, ...]
    replayable: tuple[Example, ...]
    n_without_reference: int
    refused: tuple[Refused, ...]
    n_not_adjudicated: int = 0
    drafted: tuple[Review, ...] = ()

    def refusals(self) -> dict[str, Any]:
        """The count, the reasons, and the first SHOWN by name."""
        return {
            "n_refused": len(self.refused),
            "reasons": dict(Counter(refusal.reason for refusal in self.refused)),
            "refused": [asdict(refusal) for refusal in self.refused[:SHOWN]],
        }


def gather_sources(session: Session, project_id: int, recipe: Recipe, guard: LeakGuard) -> Sources:
    """Read everything that the recipe names.

    Raises:
        LeakRefused: a review, output or example that is named by its id is held out, or a model
            drafted the example and no expert let it in.
        NotFound: a name or an id is not in this project.
        InvalidInput: a named review is no finished one, a rule does not fit a rubric, or the
            metric of `fixed_when` is unknown.
    """
    fixed_metric(recipe.fixed_when)
    queues = [find_queue(session, project_id, name) for name in recipe.queues]
    reviews = {review.id: review for review in _named_reviews(session, recipe, guard)}
    refused: list[Refused] = []
    in_queues = ReviewItem.queue_id.in_([queue.id for queue in queues])
    for review in _reviews(session, in_queues, ~overruled()):
        example = review.item.generation_a.example
        reason = guard.reason(example)
        if reason is None:
            reviews[review.id] = review
        elif review.id not in reviews:
            refused.append(Refused(f"review {review.id}", example.external_id, reason))
    judged = [*queues, *(review.item.queue for review in reviews.values())]
    _check_rules(recipe, [queue for queue in judged if queue.id not in guard.drafts.rules])
    named = _named_examples(session, recipe, guard)
    train = _replay_pool(session, project_id, recipe, queues)
    replayable = []
    edited = guard.drafts.edited(train)
    for example in train:
        reason = guard.reason(example) or guard.drafts.reason(example) or edited.get(example.id)
        if reason is not None and (example.references or example.origin is None):
            refused.append(Refused("reference", example.external_id, reason))
        elif reason is None and example.references:
            replayable.append(example)
    taken = [review for review in reviews.values() if _is_asked_for(review, recipe)]
    ours, others = _by_queue(taken, guard, refused)
    return Sources(
        reviews=tuple(others),
        named=named,
        replayable=tuple(replayable),
        n_without_reference=sum(not example.references for example in train),
        refused=tuple(refused),
        n_not_adjudicated=len(reviews) - len(taken),
        drafted=tuple(ours),
    )


def _by_queue(
    reviews: Iterable[Review], guard: LeakGuard, refused: list[Refused]
) -> tuple[list[Review], list[Review]]:
    """Reviews in the queues of drafts, and all others but those of what models drafted."""
    ours, others = [], []
    for review in reviews:
        output = review.item.generation_a
        texts = [*filter(None, (output.text,)), *(fix.text for fix in review.corrections)]
        if guard.drafts.is_of_a_queue(review):
            ours.append(review)
        elif guard.drafts.is_drafted(output.example, texts):
            refused.append(Refused(f"review {review.id}", output.example.external_id, UNAPPROVED))
        else:
            others.append(review)
    return ours, others


def _is_asked_for(review: Review, recipe: Recipe) -> bool:
    """A late answer to an adjudication decides nothing, so it is no verdict."""
    verdict = review.purpose == Purpose.ADJUDICATION and not review.extra
    return verdict or not recipe.adjudicated_only


def _reviews(session: Session, *conditions: ColumnElement[bool]) -> Sequence[Review]:
    item = selectinload(Review.item)
    query = (
        select(Review)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .where(*stands(), Review.purpose != Purpose.GOLD, *conditions)
        .options(
            selectinload(Review.ratings),
            selectinload(Review.corrections),
            selectinload(Review.preferences),
            item.selectinload(ReviewItem.queue),
            item.selectinload(ReviewItem.generation_a).selectinload(Generation.example),
            item.selectinload(ReviewItem.generation_b).selectinload(Generation.example),
        )
        .order_by(Review.id)
        .execution_options(populate_existing=True)
    )
    return session.scalars(query).all()


def _named_reviews(session: Session, recipe: Recipe, guard: LeakGuard) -> list[Review]:
    for generation_id in recipe.generations:
        output = session.get(Generation, generation_id)
        if output is None:
            raise NotFound(f"There is no output {generation_id}.")
        guard.check(output.example, f"Output {generation_id}")
    for review_id in recipe.reviews:
        review = session.get(Review, review_id)
        if review is None:
            raise NotFound(f"There is no review {review_id}.")
        guard.check(review.item.generation_a.example, f"Review {review_id}")
    found = [
        *_reviews(session, Review.id.in_(recipe.reviews)),
        *_reviews(session, ReviewItem.generation_a_id.in_(recipe.generations), ~overruled()),
        *_reviews(session, ReviewItem.generation_b_id.in_(recipe.generations), ~overruled()),
    ]
    missing = set(recipe.reviews) - {review.id for review in found}
    if missing:
        raise InvalidInput(
            f"Review {min(missing)} was not submitted, or was withdrawn.", hint="Leave it out."
        )
    return found


def _named_examples(session: Session, recipe: Recipe, guard: LeakGuard) -> tuple[Example, ...]:
    examples = []
    for example_id in recipe.examples:
        example = session.get(Example, example_id, populate_existing=True)
        if example is None:
            raise NotFound(f"There is no example {example_id}.")
        guard.check(example, f"Example {example_id}")
        reason = guard.drafts.reason(example) or guard.drafts.edited([example]).get(example.id)
        if reason is not None:
            raise LeakRefused(
                f"Example {example_id} is refused: {reason}.",
                hint="Have an expert look at it (strop synthetic open), and name that queue.",
            )
        if not example.references:
            raise InvalidInput(f"Example {example.external_id!r} has no reference to train on.")
        examples.append(example)
    return tuple(examples)


def _replay_pool(
    session: Session, project_id: int, recipe: Recipe, queues: Iterable[ReviewQueue]
) -> list[Example]:
    """Train examples of the named dataset, else of those that the queues were drawn from."""
    if recipe.references is None:
        return []
    if recipe.dataset is not None:
        version = get_dataset_version(session, project_id, recipe.dataset, recipe.dataset_number)
        return list_examples(session, version.id, Split.TRAIN)
    version_ids = {queue.generation_run.dataset_version_id for queue in queues}
    if not version_ids:
        raise InvalidInput("Which references? No queue says it.", hint="Name a dataset.")
    return [e for v in sorted(version_ids) for e in list_examples(session, v, Split.TRAIN)]


def _check_rules(recipe: Recipe, queues: Iterable[ReviewQueue]) -> None:
    """A misspelt criterion would silently approve nothing."""
    single = {queue.id: queue for queue in queues if queue.kind == QueueKind.SINGLE}
    rules = (recipe.approved, recipe.kto, recipe.minimum, recipe.negatives)
    for rule, queue in product(filter(None, rules), single.values()):
        _check_rule(rule, queue)


def _check_rule(rule: Rule, queue: ReviewQueue) -> None:
    criterion = rubric_of(queue).criterion(rule.criterion)
    if rule.at_least is not None and not criterion.has_number:
        raise InvalidInput(f"{rule.criterion!r} has no number to compare in {str(rule)!r}.")
    if rule.equals is None:
        return
    known = {str(choice.value) for choice in criterion.choices()}
    listed = known and criterion.control is not Control.OPTIONS
    if listed and rule.equals not in known:
        raise InvalidInput(
            f"{rule.equals!r} is no answer to {rule.criterion!r}.",
            hint=f"Answers: {', '.join(sorted(known))}.",
        )
