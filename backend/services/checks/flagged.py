"""Findings in the data before experts: a queue on flagged references, and how many are confirmed.

The references of the flagged examples are outputs that were written elsewhere, under one name; what
the finding says is told with the item, before the answer, since nobody can confirm what they are
not told. The share confirmed is therefore that of people who knew what to look for. Corrections of
held-out examples stay out of training, here as everywhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import InvalidInput
from backend.rubrics.wrong import check_wrong, default_wrong, parse_wrong
from backend.schemas.review.reports import Measured
from backend.services import audit, review
from backend.services.checks.wrong import ReviewedOutput, wrong_outputs
from backend.services.datasets.health.kinds import KINDS, check_kinds
from backend.services.datasets.health.reports import findings_of, finished_report
from backend.services.metric_specs import AllowedMetrics
from backend.services.review.counted import counts
from backend.services.review.desk.item_view import TELLS_WHY
from backend.services.review.opening.checks import default_reviewers, requested_rubric
from backend.services.review.opening.design import Drawn
from backend.services.review.opening.plan import warnings_of
from backend.services.review.reports.measured import share_of
from backend.services.runs.importing.imported import Imported, import_outputs, queue_scoring
from backend.services.runs.importing.output_rows import ImportedOutput, ImportedOutputs
from backend.settings import LEASE_SECONDS
from backend.tables.datasets import Example, Split
from backend.tables.health import HealthFinding, HealthQueue, HealthReport
from backend.tables.review import QueueKind, Rating, Review, ReviewItem, ReviewQueue
from backend.tables.runs import Generation

if TYPE_CHECKING:
    from backend.rubrics import Rubric
    from backend.services.review import QueuePlan

MODEL = "references"
"""The name under which references are outputs."""
RUBRIC = "data_finding"
CONFIRMED, CANNOT_TELL = "finding=right", "cannot_tell"
MARKING = {"unsupported": "invented"}
"""Kinds of which a check marks the places in the output."""
MOST_WHY = 1_000


@dataclass(frozen=True, slots=True)
class FindingsRequest:
    """Which findings experts are to look at.

    Attributes:
        kinds: empty for all of the report.
        split: a queue is of one split.
        n_items: drawn at random among the flagged examples; None: all.
        reviewer_ids: empty for the project's experts.
        rubric: None for `data_finding`, by which findings are confirmed.
    """

    report_id: int
    name: str
    kinds: tuple[str, ...] = ()
    split: str = Split.TRAIN
    n_items: int | None = None
    reviewer_ids: tuple[int, ...] = ()
    rubric: str | None = None
    seed: int = 7
    lease_seconds: int = LEASE_SECONDS


@dataclass(frozen=True, slots=True)
class Sent:
    """The queue that was opened, and what its lead has to know."""

    queue: ReviewQueue
    n_items: int
    notes: tuple[str, ...]


def send_to_review(
    session: Session, asked: FindingsRequest, *, allowed: AllowedMetrics, user_id: int | None = None
) -> Sent:
    """Open a queue on the flagged examples of one split.

    Raises:
        NotFound, Conflict: there is no such report, it is not done, or the queue's name is taken.
        InvalidInput: nothing of these kinds is flagged in the split, or there are no reviewers.
    """
    report = finished_report(session, asked.report_id)
    names = check_kinds(asked.kinds)
    found = findings_of(session, report.id, names, split=asked.split)
    if not found:
        raise InvalidInput(
            f"Report {report.id} flags no {asked.split} example"
            + (f" as {', '.join(asked.kinds)}." if asked.kinds else "."),
            hint="Choose another kind or split.",
        )
    imported = _import(session, report, asked, found, user_id)
    plan = _plan(session, report, asked, imported, names, allowed)
    told: dict[int, list[HealthFinding]] = defaultdict(list)
    for finding, example in found:
        told[example.id].append(finding)
    plan = replace(plan, drawn=tuple(_with_why(plan, d, told) for d in plan.drawn))
    opened = review.store_queue(session, asked.name, plan, review.QueueRules(mask_models=False))
    opened.design = {**opened.design, TELLS_WHY: True, "health_report_id": report.id}
    row = HealthQueue(
        queue_id=opened.id,
        report_id=report.id,
        kinds=sorted({finding.kind for finding, _ in found}),
        confirmed_when=_confirmed_when(review.rubric_of(opened)),
    )
    session.add(row)
    session.flush()
    audit.record(
        session,
        "finding.sent_to_review",
        subject=f"review_queue:{opened.id}",
        project_id=report.project_id,
        detail={"health_report": report.id, "items": len(plan.drawn)},
    )
    return Sent(opened, len(plan.drawn), tuple(warnings_of(session, plan)))


def _import(
    session: Session,
    report: HealthReport,
    asked: FindingsRequest,
    found: Sequence[tuple[HealthFinding, Example]],
    user_id: int | None,
) -> Imported:
    """The references of the flagged examples as outputs of their own."""
    examples = {example.id: example for _, example in found}
    rows = [
        ImportedOutput(number, one.external_id, MODEL, text=str(next(iter(one.references), "")))
        for number, one in enumerate(examples.values(), start=1)
    ]
    version = report.dataset_version
    return import_outputs(
        session,
        report.project_id,
        ImportedOutputs(f"health report {report.id}", rows, masked=True),  # references of examples
        dataset=version.dataset.name,
        dataset_version=version.number,
        split=asked.split,
        created_by_id=user_id,
    )


def _plan(
    session: Session,
    report: HealthReport,
    asked: FindingsRequest,
    imported: Imported,
    kinds: Sequence[str],
    allowed: AllowedMetrics,
) -> QueuePlan:
    rubric = requested_rubric(session, report.project_id, asked.rubric or RUBRIC, QueueKind.SINGLE)
    marking = [metric for kind, metric in MARKING.items() if kind in kinds and _has(report, kind)]
    jobs = queue_scoring(session, imported, marking, allowed=allowed) if marking else []
    opening = review.Opening(
        project_id=report.project_id,
        kind=QueueKind.SINGLE,
        generation_run_id=imported.run.id,
        rubric_version_id=review.save_rubric(session, report.project_id, rubric).id,
        model_ids=[model.id for model in imported.models],
        reviewer_ids=asked.reviewer_ids or default_reviewers(session, report.project_id),
        seed=asked.seed,
        n_items=asked.n_items,
        score_run_id=next((job.subject_id for job in jobs), None),
        lease_seconds=asked.lease_seconds,
    )
    return review.plan_queue(session, opening)


def _has(report: HealthReport, kind: str) -> bool:
    kinds = [] if report.content is None else report.content["kinds"]
    return any(one["kind"] == kind and one["flagged"] for one in kinds)


def _with_why(plan: QueuePlan, drawn: Drawn, told: Mapping[int, Sequence[HealthFinding]]) -> Drawn:
    findings = told[plan.frame.candidates[drawn.number].example_id]
    said = []
    for one in findings:  # the part where it is, unless that is the reference, which is reviewed
        place = "" if one.part == "reference" else f"In the {one.part}: "
        said.append(f"{KINDS[one.kind].title}. {place}{one.why}")
    why = " ".join(dict.fromkeys(said))
    why = why if len(why) <= MOST_WHY else why[: MOST_WHY - 1] + "…"
    return drawn._replace(why=why, stratum=findings[0].kind)


def _confirmed_when(rubric: Rubric) -> str:
    """Which answers say that a finding is right; by other rubrics, that something is wrong."""
    asks = any(one.name == "finding" for one in rubric.criteria)
    when = parse_wrong(CONFIRMED) if asks else default_wrong(rubric)
    check_wrong(when, rubric)
    return when.text


def confirmed_shares(session: Session, project_id: int) -> dict[str, Measured]:
    """Of each kind, the share of reviewed findings that experts confirmed, in the whole project.

    Findings are drawn at random among those flagged, so that the share is that of all of them;
    groups are clusters. A finding of which nobody could tell is not counted.
    """
    by_kind: dict[str, dict[int, ReviewedOutput]] = defaultdict(dict)
    for kind, example_id, judged in _judged(session, project_id):
        by_kind[kind][example_id] = judged
    return {kind: _share(kind, list(by_kind[kind].values())) for kind in KINDS if kind in by_kind}


def _share(kind: str, judged: Sequence[ReviewedOutput]) -> Measured:
    share = share_of(
        f"confirmed:{kind}", [one.wrong for one in judged], clusters=[one.group for one in judged]
    )
    if simulated := sum(one.simulated for one in judged):
        note = f"{simulated} of the {share.n} by simulated reviews"
        return share.model_copy(update={"note": "; ".join(filter(None, (share.note, note)))})
    return share


def _judged(session: Session, project_id: int) -> Iterator[tuple[str, int, ReviewedOutput]]:
    """Kind, example and what was said of it, for every reviewed finding, queues oldest first."""
    query = (
        select(HealthQueue)
        .join(ReviewQueue, ReviewQueue.id == HealthQueue.queue_id)
        .where(ReviewQueue.project_id == project_id)
        .order_by(HealthQueue.queue_id)
    )
    queues = list(session.scalars(query))
    ids = select(ReviewQueue.id).where(ReviewQueue.project_id == project_id)
    others = set(session.scalars(ids)) - {one.queue_id for one in queues}
    for one in queues:
        elsewhere = {q.queue_id for q in queues} - {one.queue_id} | others
        when = parse_wrong(one.confirmed_when)
        said = wrong_outputs(session, project_id, when, but_queues=elsewhere)
        answered = _unsure(session, one)
        for kind, example_id, generation_id in _findings_in(session, one):
            if generation_id in said and generation_id not in answered:
                yield kind, example_id, said[generation_id]


def _unsure(session: Session, one: HealthQueue) -> set[int]:
    """Outputs of a queue of which every review that stands says that it cannot tell."""
    query = (
        select(ReviewItem.generation_a_id, Rating.value)
        .join(Review, Review.item_id == ReviewItem.id)
        .join(Rating, Rating.review_id == Review.id)
        .where(ReviewItem.queue_id == one.queue_id, Rating.criterion == "finding", *counts())
    )
    told: dict[int, set[str]] = defaultdict(set)
    for generation_id, value in session.execute(query):
        told[generation_id].add(value)
    return {generation_id for generation_id, values in told.items() if values == {CANNOT_TELL}}


def _findings_in(session: Session, one: HealthQueue) -> list[tuple[str, int, int]]:
    """Kind, example and output of each finding that brought an item of a queue."""
    query = (
        select(HealthFinding.kind, HealthFinding.example_id, Generation.id)
        .join(Generation, Generation.example_id == HealthFinding.example_id)
        .join(ReviewItem, ReviewItem.generation_a_id == Generation.id)
        .where(
            ReviewItem.queue_id == one.queue_id,
            HealthFinding.report_id == one.report_id,
            HealthFinding.kind.in_(one.kinds),
        )
        .distinct()
    )
    return [(kind, example, output) for kind, example, output in session.execute(query)]
