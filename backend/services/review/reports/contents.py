"""What a queue holds, page by page: items with their sources, outputs, flags, and reviews.

Pages follow the items' positions, each read in a short session of its own, so that an export of any
length holds one page in memory and no transaction open while the receiver is slow.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import not_, select, true
from sqlalchemy.orm import Session, aliased, selectinload

from backend.errors import NotFound
from backend.rubrics import Rubric, rubric_from_content
from backend.services.review.blind import WITH_PARTS, mask_text, masked_terms_of
from backend.services.review.counted import counts, stands
from backend.services.review.desk.risk import AFTER_ALONE, before_the_answer
from backend.services.review.rules import rules_from
from backend.tables.accounts import User
from backend.tables.datasets import Dataset, DatasetVersion, Example
from backend.tables.models import ModelVersion
from backend.tables.review import (
    Purpose,
    QueueKind,
    Review,
    ReviewItem,
    ReviewQueue,
    ReviewState,
    RubricVersion,
)
from backend.tables.runs import Generation, GenerationRun, Score

ITEMS_PER_PAGE = 100

OpenSession = Callable[[], AbstractContextManager[Session]]


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """What is the same in every row of a queue: where data, rubric and outputs are from.

    Attributes:
        dataset_digest: SHA-256 over every example of the dataset version with its split.
        masks: texts that reviewers of the queue are not shown, here or in another tool.
        tells_risk: reviewers are told the risk of an output before they answer.
    """

    id: int
    project_id: int
    name: str
    kind: str
    generation_run_id: int
    score_run_id: int | None
    rubric: Rubric
    rubric_version: int
    rubric_digest: str
    dataset: str
    dataset_version: int
    dataset_digest: str
    masks: tuple[str, ...] = ()
    tells_risk: bool = False


@dataclass(frozen=True, slots=True)
class QueueItem:
    """An item with what was shown; `outputs` and `models` are (a,) or (a, b).

    `masks` are the texts that `masked` took out of the outputs; empty before that.
    """

    id: int
    position: int
    purpose: str
    input: str
    context: str | None
    example: str
    group: str | None
    split: str
    sample: int
    outputs: tuple[str, ...]
    models: tuple[str, ...]
    a_is_left: bool
    inclusion_probability: float
    stratum: str | None
    checks: tuple[Score, ...] = ()
    reviews: tuple[Review, ...] = ()
    masks: tuple[str, ...] = ()
    written: tuple[str, ...] = ()

    def masked(self, masks: Sequence[str]) -> QueueItem:
        """The item as people may see it in another tool; its digest stays that of the outputs."""
        hidden = tuple(mask_text(output, masks) for output in self.outputs)
        return replace(self, outputs=hidden, masks=tuple(masks), written=self.outputs)

    def hide(self, text: str) -> str:
        """A text about the item without what `masked` takes out."""
        return mask_text(text, self.masks)

    @property
    def shown(self) -> tuple[str, ...]:
        """The outputs as they stood: one, or left and right."""
        return self.outputs if self.a_is_left else tuple(reversed(self.outputs))

    @property
    def digest(self) -> str:
        """SHA-256 of what was shown; tells whether an answer from elsewhere is to this text."""
        a_and_b = self.written or self.outputs
        shown = a_and_b if self.a_is_left else tuple(reversed(a_and_b))
        return hashlib.sha256("\x1e".join(shown).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ReviewFilter:
    """Which reviews go with the items.

    Attributes:
        reviews: whether reviews are read at all.
        all_purposes: also gold items, verdicts and extra answers, which no figure counts.
        skipped: also skipped ones.
        checks: whether the queue's score run is read.
    """

    reviews: bool = True
    all_purposes: bool = False
    skipped: bool = False
    checks: bool = False


def queue_facts(session: Session, queue_id: int) -> QueueFacts:
    """The facts of a queue. Raises NotFound."""
    row = session.execute(
        select(ReviewQueue, RubricVersion, DatasetVersion, Dataset.name)
        .join(RubricVersion, RubricVersion.id == ReviewQueue.rubric_version_id)
        .join(GenerationRun, GenerationRun.id == ReviewQueue.generation_run_id)
        .join(DatasetVersion, DatasetVersion.id == GenerationRun.dataset_version_id)
        .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
        .where(ReviewQueue.id == queue_id)
    ).first()
    if row is None:
        raise NotFound("There is no such review queue.")
    queue, rubric, version, dataset = row
    return QueueFacts(
        id=queue.id,
        project_id=queue.project_id,
        name=queue.name,
        kind=queue.kind,
        generation_run_id=queue.generation_run_id,
        score_run_id=queue.score_run_id,
        rubric=rubric_from_content(rubric.content),
        rubric_version=rubric.version,
        rubric_digest=rubric.digest,
        dataset=dataset,
        dataset_version=version.number,
        dataset_digest=version.digest,
        masks=tuple(masked_terms_of(queue)),
        tells_risk=before_the_answer(
            rules_from(queue.rules), queue.design, pair=queue.kind == QueueKind.PAIR
        ),
    )


def each_item(
    sessions: OpenSession,
    facts: QueueFacts,
    wanted: ReviewFilter,
    *,
    after: int | None = None,
    per_page: int = ITEMS_PER_PAGE,
) -> Iterator[QueueItem]:
    """The items of a queue in order, those after the item `after` where it is given.

    Raises:
        NotFound: `after` is no item of this queue.
    """
    position: int | None = None  # known answers stand at negative positions
    if after is not None:
        with sessions() as session:
            position = _position_of(session, facts.id, after)
    while True:
        with sessions() as session:
            page = item_page(session, facts, wanted, after_position=position, limit=per_page)
        yield from page
        if len(page) < per_page:
            return
        position = page[-1].position


def item_page(
    session: Session,
    facts: QueueFacts,
    wanted: ReviewFilter,
    *,
    after_position: int | None,
    limit: int,
) -> list[QueueItem]:
    """Up to `limit` items that stand after a position; from the start when it is None."""
    purposes = list(Purpose) if wanted.all_purposes else [Purpose.REVIEW]
    a, b = aliased(Generation), aliased(Generation)
    model_a, model_b = aliased(ModelVersion), aliased(ModelVersion)
    found = session.execute(
        select(ReviewItem, a, b, model_a, model_b, Example)
        .join(a, a.id == ReviewItem.generation_a_id)
        .outerjoin(b, b.id == ReviewItem.generation_b_id)
        .join(model_a, model_a.id == a.model_version_id)
        .outerjoin(model_b, model_b.id == b.model_version_id)
        .join(Example, Example.id == a.example_id)
        .where(ReviewItem.queue_id == facts.id)
        .where(true() if after_position is None else ReviewItem.position > after_position)
        .where(ReviewItem.purpose.in_(purposes))
        .order_by(ReviewItem.position)
        .limit(limit)
    ).all()
    ids = [row[0].id for row in found]
    reviews = _reviews_of(session, ids, wanted) if wanted.reviews else {}
    checks: dict[int, list[Score]] = {}
    if wanted.checks and facts.score_run_id is not None:
        outputs = [row[1].id for row in found]
        checks = _checks_of(session, facts.score_run_id, outputs, told=facts.tells_risk)
    return [_item_row(row, checks, reviews) for row in found]


def _item_row(
    row: Any, checks: dict[int, list[Score]], reviews: dict[int, list[Review]]
) -> QueueItem:
    item, a, b, model_a, model_b, example = row
    return QueueItem(
        id=item.id,
        position=item.position,
        purpose=item.purpose,
        input=example.input,
        context=example.context,
        example=example.external_id,
        group=example.group,
        split=example.split,
        sample=a.sample,
        outputs=tuple(side.text or "" for side in (a, b) if side is not None),
        models=tuple(model.label for model in (model_a, model_b) if model is not None),
        a_is_left=item.a_is_left,
        inclusion_probability=item.inclusion_probability,
        stratum=item.stratum,
        checks=tuple(checks.get(a.id, ())),
        reviews=tuple(reviews.get(item.id, ())),
    )


def _position_of(session: Session, queue_id: int, item_id: int) -> int:
    query = select(ReviewItem.position).where(
        ReviewItem.id == item_id, ReviewItem.queue_id == queue_id
    )
    position = session.scalar(query)
    if position is None:
        raise NotFound(
            f"The queue has no item {item_id} to go on after.", hint="Export from the start."
        )
    return position


def _reviews_of(
    session: Session, item_ids: Sequence[int], wanted: ReviewFilter
) -> dict[int, list[Review]]:
    which = stands() if wanted.all_purposes else counts()
    if wanted.skipped:  # the state is the first of the conditions, and the only one to be widened
        which = (Review.state.in_([ReviewState.SUBMITTED, ReviewState.SKIPPED]), *which[1:])
    query = (
        select(Review)
        .where(Review.item_id.in_(item_ids), *which)
        .order_by(Review.item_id, Review.id)
        .options(*WITH_PARTS, selectinload(Review.reviewer).load_only(User.pseudonym))
    )
    found: dict[int, list[Review]] = defaultdict(list)
    for review in session.scalars(query):
        found[review.item_id].append(review)
    return found


def _checks_of(
    session: Session, score_run_id: int, generation_ids: Sequence[int], *, told: bool
) -> dict[int, list[Score]]:
    """What checks said; what waits for the answer is not for other tools, unless it is told."""
    query = select(Score).where(
        Score.score_run_id == score_run_id,
        Score.generation_id.in_(generation_ids),
        Score.error.is_(None),
        Score.not_applicable.is_(False),
    )
    if not told:
        query = query.where(not_(AFTER_ALONE))
    found: dict[int, list[Score]] = defaultdict(list)
    for score in session.scalars(query.order_by(Score.metric)):
        found[score.generation_id].append(score)
    return found
