"""The test bench of a project's checks: on which outputs it is, and what was found on it.

Errors are planted in texts that people hold to be right: the references of a dataset, the
corrections that experts wrote, and the outputs that they approved by a stated rule. The test split
is left out unless it is asked for by name: it is only measured then, nothing is chosen on it but
where a continuous check is read, and nothing is trained on it.

Reading and recording are a transaction each; planting and scoring, which take seconds to minutes,
happen between them.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from backend.errors import InvalidInput, raised_as
from backend.services.curation import parse_rule
from backend.services.curation.candidates import meets
from backend.services.datasets.versions import find_version, list_examples
from backend.services.metric_specs import BUILT_IN, AllowedMetrics
from backend.services.review.counted import stands
from backend.services.review.quality.adjudication import overruled
from backend.tables.checks.benches import CheckBench
from backend.tables.datasets import DatasetVersion, Example, Split
from backend.tables.review import Purpose, QueueKind, Review, ReviewItem, ReviewQueue
from backend.tables.runs import Generation

if TYPE_CHECKING:
    from evaluators.checks.planting.figures import BenchReport
    from evaluators.spread import Spread
    from evaluators.types import Sample

LEARNT_FROM = (Split.TRAIN, Split.VALIDATION)
METRICS = ("invented", "overlap")
MOST = 500


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """What a bench is to measure.

    Attributes:
        dataset: NAME, or NAME@VERSION.
        kinds: of planted errors; empty for all.
        approved: a rule such as `quality>=4`; outputs whose reviews all meet it are right.
        most: so many right outputs, drawn by the seed where there are more.
    """

    dataset: str
    splits: tuple[str, ...] = LEARNT_FROM
    metrics: tuple[str, ...] = METRICS
    kinds: tuple[str, ...] = ()
    approved: str | None = None
    seed: int = 0
    most: int = MOST


@dataclass(frozen=True, slots=True)
class RightOutputs:
    """Texts that people hold to be right, as samples, and where they come from."""

    version_id: int
    samples: tuple[Sample, ...]
    sources: dict[str, int]


def gather_right_outputs(session: Session, project_id: int, plan: BenchPlan) -> RightOutputs:
    """The right outputs of the plan's splits, each text of an example once.

    Raises:
        NotFound: there is no such dataset.
        InvalidInput: no such split, or a rule that is none.
    """
    unknown = [split for split in plan.splits if split not in list(Split)]
    if unknown or not plan.splits:
        raise InvalidInput(
            f"{unknown[0] if unknown else 'nothing'!r} is no split.",
            hint=f"Of: {', '.join(Split)}.",
        )
    version = find_version(session, project_id, plan.dataset)
    examples = [e for split in plan.splits for e in list_examples(session, version.id, split)]
    found = list(_right_texts(session, version, examples, plan))
    distinct = list({(e.id, text): (e, text, why, fake) for e, text, why, fake in found}.values())
    if len(distinct) > plan.most:
        kept = sorted(random.Random(plan.seed).sample(range(len(distinct)), plan.most))
        distinct = [distinct[i] for i in kept]
    sources = {why: sum(row[2] == why for row in distinct) for why in _WHENCE}
    sources["simulated"] = sum(fake for *_, fake in distinct)
    samples = tuple(_sample(example, text, n) for n, (example, text, *_) in enumerate(distinct))
    return RightOutputs(version.id, samples, sources)


_WHENCE = ("references", "corrections", "approved")
_Right = tuple[Example, str, str, bool]


def _right_texts(
    session: Session, version: DatasetVersion, examples: Sequence[Example], plan: BenchPlan
) -> Iterator[_Right]:
    for example in examples:
        for reference in example.references[:1]:
            yield example, str(reference), "references", False
    known = {example.id: example for example in examples}
    rule = None if plan.approved is None else parse_rule(plan.approved)
    by_output: dict[int, list[Review]] = {}
    for review in _reviews(session, version.id, plan.splits):
        by_output.setdefault(review.item.generation_a_id, []).append(review)
    for reviews in by_output.values():
        output, newest = reviews[-1].item.generation_a, reviews[-1]
        corrected = next((r for r in reversed(reviews) if r.corrections), None)
        example = known[output.example_id]
        if corrected is not None:
            yield example, corrected.corrections[0].text, "corrections", corrected.simulated
        elif rule is not None and all(meets(rule, r) is True and not r.spans for r in reviews):
            yield example, output.text or "", "approved", newest.simulated


def _reviews(session: Session, version_id: int, splits: Sequence[str]) -> Sequence[Review]:
    """Reviews of single outputs that stand, oldest first."""
    query = (
        select(Review)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .join(ReviewQueue, ReviewQueue.id == ReviewItem.queue_id)
        .join(Generation, Generation.id == ReviewItem.generation_a_id)
        .join(Example, Example.id == Generation.example_id)
        .where(
            *stands(),
            ~overruled(),
            Review.purpose != Purpose.GOLD,
            ReviewQueue.kind == QueueKind.SINGLE,
            Example.dataset_version_id == version_id,
            Example.split.in_(splits),
        )
        .options(
            selectinload(Review.ratings),
            selectinload(Review.corrections),
            selectinload(Review.spans),
            selectinload(Review.item).selectinload(ReviewItem.generation_a),
        )
        .order_by(Review.id)
    )
    return session.scalars(query).all()


def _sample(example: Example, text: str, number: int) -> Sample:
    """The input counts as source where the example has no document."""
    from evaluators.types import Sample

    return Sample(
        id=f"{example.external_id}:{number}",
        prediction=text,
        context=example.context or example.input,
        input=example.input if example.context else None,
        group=example.group,
        slices={key: str(value) for key, value in example.slices.items()},
    )


def measure_checks(
    right: RightOutputs,
    plan: BenchPlan,
    *,
    allowed: AllowedMetrics = BUILT_IN,
    spread: Spread = map,
) -> BenchReport:
    """Plant errors and score; touches no database and may take minutes.

    Args:
        spread: where errors are planted in blocks of outputs.

    Raises:
        InvalidInput: a check or a kind is unknown, a check asks a model, or no output can be used.
        Forbidden: a check that the project may not name.
    """
    from evaluators.checks.planting.bench import build_bench, refuse_model_checks, run_bench
    from evaluators.checks.planting.plant import KINDS
    from evaluators.errors import EvaluatorError

    metrics = allowed.resolve(plan.metrics)
    kinds = plan.kinds or tuple(KINDS)
    with raised_as(InvalidInput, EvaluatorError):
        refuse_model_checks([metric.name for metric in metrics])
        bench = build_bench(right.samples, kinds=kinds, seed=plan.seed, spread=spread)
        return run_bench(bench, metrics)


def record_bench(
    session: Session, project_id: int, plan: BenchPlan, right: RightOutputs, report: BenchReport
) -> CheckBench:
    """Keep what was found; a bench is never changed, the next one is a row of its own."""
    row = CheckBench(
        project_id=project_id,
        dataset_version_id=right.version_id,
        splits=list(plan.splits),
        checks=[check.check for check in report.checks],
        sources=dict(right.sources),
        seed=plan.seed,
        digest=_digest(right.samples),
        report=report.as_dict(),
    )
    session.add(row)
    session.flush()
    return row


def _digest(samples: Sequence[Sample]) -> str:
    found = hashlib.sha256()
    for sample in samples:
        for part in (sample.id, sample.prediction, sample.context or "", sample.group or ""):
            found.update(part.encode("utf-8", "replace") + b"\0")
    return found.hexdigest()


def list_benches(session: Session, project_id: int, *, most: int = 50) -> list[CheckBench]:
    """Benches of a project, the newest first."""
    version = joinedload(CheckBench.dataset_version).joinedload(DatasetVersion.dataset)
    query = select(CheckBench).where(CheckBench.project_id == project_id).options(version)
    return list(session.scalars(query.order_by(CheckBench.id.desc()).limit(most)))
