"""Licences of judges: when one may stand in for one more person, by criterion, and when no more.

The evidence is what people said of outputs that several of them rated and the judge scored: the
alternative annotator test (`evaluators.statistics.agreement.alternative_annotator`). Simulated
reviews are no people and count for nothing here. Each attempt is a row that stays, so that a
licence which was asked for until chance gave it can be told from one that was not.

A licence lapses when later reviews refute it: the agreement of the judge's scores with what people
said since, by a confidence sequence that may be looked at as often as one likes, lies below the
licensed level less MARGIN. That is computed whenever a licence is shown; `audit_judge` writes it
down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.errors import InvalidInput
from backend.rubrics import CheckedAnswer, Criterion, rubric_from_content
from backend.rubrics.scales import number_of
from backend.schemas.checks.judges import LicenceOut
from backend.schemas.review.reports import Measured
from backend.services.checks.judges.judges import criterion_scale
from backend.services.review.counted import counts
from backend.services.review.queues import get_queue, rubric_of
from backend.services.review.reports.measured import unknown
from backend.services.review.reports.votes import cluster_name
from backend.tables.accounts import User
from backend.tables.checks.judges import Judge, JudgeLicence, LicenceState
from backend.tables.datasets import Example
from backend.tables.review import QueueKind, Rating, Review, ReviewItem, ReviewQueue, RubricVersion
from backend.tables.runs import IMPORT, AnnotatorKind, Generation, GenerationRun, Score

if TYPE_CHECKING:
    from evaluators.statistics.agreement.alternative_annotator import (
        Alignment,
        AlternativeAnnotator,
        Item,
    )
    from evaluators.statistics.sequential import ConfidenceSequence

MARGIN = 0.1
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class _Said:
    """One person's answer to a criterion on an output that the judge scored."""

    rating_id: int
    generation_id: int
    rater: str
    answer: CheckedAnswer
    judge: CheckedAnswer | None
    cluster: str


def license_judge(
    session: Session,
    judge: Judge,
    queue: ReviewQueue,
    *,
    annotators: str = "experts",
    epsilon: float | None = None,
) -> list[JudgeLicence]:
    """Ask for a licence by the reviews of a queue, on each criterion that the judge answers.

    A licence that later reviews refute lapses first, so that asking anew does not undo them.

    Args:
        annotators: experts, skilled or crowd, which sets epsilon as the paper advises.
        epsilon: what it costs to be a person, if another.

    Raises:
        InvalidInput: pairs, a criterion that the judge does not answer, no scores by the judge, or
            no such kind of annotators.
    """
    from evaluators.statistics.agreement.alternative_annotator import EPSILON, Annotators

    if annotators not in list(Annotators):
        known = ", ".join(Annotators)
        raise InvalidInput(f"There are no annotators {annotators[:40]!r}.", hint=f"Known: {known}.")
    chosen = EPSILON[Annotators(annotators)] if epsilon is None else epsilon
    if not 0 <= chosen < 1:
        raise InvalidInput(f"Epsilon is {chosen:g}; it lies between 0 and 1.")
    criteria = _criteria(judge, queue)
    audit_judge(session, judge)
    return [
        _license(session, judge, queue, criterion, annotators, chosen) for criterion in criteria
    ]


def _criteria(judge: Judge, queue: ReviewQueue) -> list[Criterion]:
    """The criteria of the queue that the judge answers."""
    if queue.kind == QueueKind.PAIR:
        raise InvalidInput(
            f"{queue.name} is a queue of pairs.",
            hint="A licence rests on ratings of single outputs.",
        )
    every = rubric_of(queue).criteria
    named = [c for c in every if judge.criterion in (None, c.name)]
    found = [c for c in named if _has_answers(c, judge)]
    if not found:
        asked = judge.criterion or "the five steps of a judge without a criterion"
        raise InvalidInput(
            f"No criterion of {queue.name} has the answers of {judge.label}: {asked}.",
            hint=f"It has: {', '.join(c.name for c in every)}. Add a judge with --criterion.",
        )
    return found


def _has_answers(criterion: Criterion, judge: Judge) -> bool:
    """Whether what the judge says is an answer to the criterion."""
    try:
        return criterion_scale(criterion) == judge.scale
    except InvalidInput:  # a scale that no judge answers
        return False


def _license(
    session: Session,
    judge: Judge,
    queue: ReviewQueue,
    criterion: Criterion,
    annotators: str,
    epsilon: float,
) -> JudgeLicence:
    from evaluators.statistics.agreement.alternative_annotator import alternative_annotator_test

    after = _used_up(session, judge, criterion)
    said = _people(session, judge, criterion, queue_id=queue.id, after=after)
    reviewed = _reviewed(session, queue, criterion)
    if not said and reviewed and not after:
        raise InvalidInput(
            f"{judge.metric} has scored none of the {reviewed} reviewed outputs of {queue.name}.",
            hint=_how_to_score(queue, judge),
        )
    alignment, span = alignment_of(criterion)
    found = alternative_annotator_test(
        _items(said, criterion),
        alignment=alignment,
        epsilon=epsilon,
        span=span,
    )
    row = JudgeLicence(
        judge_id=judge.id,
        queue_id=queue.id,
        criterion=criterion.name,
        state=LicenceState.LICENSED if found.licensed else LicenceState.REFUSED,
        reason=found.reason,
        evidence=_evidence(found, said, reviewed, annotators, after),
    )
    session.add(row)
    session.flush()
    return row


def alignment_of(criterion: Criterion) -> tuple[Alignment, float]:
    """By what a judge stands beside people on a scale: of two steps by equal labels, of more by
    distance; and how far its best step is from its worst."""
    from evaluators.statistics.agreement.alternative_annotator import Alignment

    worst, *between, best = criterion.steps()
    width = number_of(criterion.check(best)) - number_of(criterion.check(worst))
    return Alignment.RMSE if between else Alignment.ACCURACY, width


def _how_to_score(queue: ReviewQueue, judge: Judge) -> str:
    if queue.generation_run.engine == IMPORT:
        return f"Import their file again with --metrics {judge.metric}."
    return f"Score them: strop run --resume {queue.generation_run_id} --metrics {judge.metric}"


def _evidence(
    found: AlternativeAnnotator, said: Sequence[_Said], reviewed: int, annotators: str, after: int
) -> dict[str, Any]:
    judged = len({one.generation_id for one in said})
    return {
        **asdict(found),
        "rows": [asdict(row) for row in found.rows],
        "annotators": annotators,
        "reviewed": reviewed,
        "judged": judged,
        "margin": MARGIN,
        "used_up": after,
        "last_rating_id": max((one.rating_id for one in said), default=after),
    }


def _used_up(session: Session, judge: Judge, criterion: Criterion) -> int:
    """After a lapse, the last rating of the licence that lapsed: it is evidence no more."""
    row = _newest(session, judge).get(criterion.name)
    lapsed = row is not None and row.state != LicenceState.LICENSED
    return int(row.evidence.get("used_up", 0)) if row is not None and lapsed else 0


def _reviewed(session: Session, queue: ReviewQueue, criterion: Criterion) -> int:
    query = (
        select(func.count(func.distinct(ReviewItem.id)))
        .select_from(Rating)
        .join(Review, Review.id == Rating.review_id)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .where(ReviewItem.queue_id == queue.id, Rating.criterion == criterion.name, *_by_people())
    )
    return session.scalar(query) or 0


def _by_people() -> tuple[Any, ...]:
    return (*counts(), Review.annotator_kind == AnnotatorKind.HUMAN, Review.simulated.is_(False))


def _people(
    session: Session,
    judge: Judge,
    criterion: Criterion,
    *,
    queue_id: int | None = None,
    after: int = 0,
) -> list[_Said]:
    """What people said of outputs that the judge scored, in the order in which it was stored.

    Args:
        queue_id: of this queue alone; else of all queues of single outputs of the project that ask
            it with the answers of the judge.
        after: id of a rating; those after it alone.
    """
    answer, place = (Rating.value, Rating.number), (Example.group, Example.id)
    query = (
        select(Rating.id, ReviewItem.generation_a_id, User.pseudonym, *answer, *place)
        .join(Review, Review.id == Rating.review_id)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .join(ReviewQueue, ReviewQueue.id == ReviewItem.queue_id)
        .join(User, User.id == Review.reviewer_id)
        .join(Generation, Generation.id == ReviewItem.generation_a_id)
        .join(Example, Example.id == Generation.example_id)
        .where(
            ReviewQueue.project_id == judge.project_id,
            ReviewQueue.kind == QueueKind.SINGLE,
            ReviewQueue.rubric_version_id.in_(_asking(session, judge, criterion.name)),
            Rating.criterion == criterion.name,
            Rating.id > after,
            *_by_people(),
        )
        .order_by(Rating.id)
    )
    if queue_id is not None:
        query = query.where(ReviewItem.queue_id == queue_id)
    rows = session.execute(query).all()
    answers = _judge_answers(session, judge, criterion)
    return [
        _Said(id_, output, rater, CheckedAnswer(value, n), answers[output], cluster_name(of, row))
        for id_, output, rater, value, n, of, row in rows
        if output in answers
    ]


def _asking(session: Session, judge: Judge, name: str) -> list[int]:
    """The project's rubric versions that ask this with the answers that the judge gives."""
    query = select(RubricVersion).where(RubricVersion.project_id == judge.project_id)
    return [
        version.id
        for version in session.scalars(query)
        if any(
            criterion.name == name and _has_answers(criterion, judge)
            for criterion in rubric_from_content(version.content).criteria
        )
    ]


def _judge_answers(
    session: Session, judge: Judge, criterion: Criterion
) -> dict[int, CheckedAnswer | None]:
    """The judge's newest answer to each output; None where it gave none that could be used."""
    query = select(Score.generation_id, Score.label, Score.error).where(
        Score.metric == judge.metric, Score.generation_id.in_(_outputs_of(judge))
    )
    return {
        generation_id: None if error is not None or label is None else criterion.check(label)
        for generation_id, label, error in session.execute(query.order_by(Score.id))
    }


def _outputs_of(judge: Judge) -> Any:
    """Outputs of the judge's project: another project may have a judge of the same name."""
    return (
        select(Generation.id)
        .join(GenerationRun, GenerationRun.id == Generation.run_id)
        .where(GenerationRun.project_id == judge.project_id)
    )


def _items(said: Sequence[_Said], criterion: Criterion) -> list[Item]:
    from evaluators.statistics.agreement.alternative_annotator import Item

    ratings: dict[int, dict[str, float | str]] = {}
    first: dict[int, _Said] = {}
    for one in said:
        ratings.setdefault(one.generation_id, {})[one.rater] = _rated(one.answer)
        first.setdefault(one.generation_id, one)
    return [
        Item(
            ratings[generation_id],
            None if one.judge is None else _rated(one.judge),
            group=one.cluster,
        )
        for generation_id, one in first.items()
    ]


def _rated(answer: CheckedAnswer) -> float | str:
    return answer.value if answer.number is None else answer.number


@dataclass(frozen=True, slots=True)
class LicenceAudit:
    """Agreement of a judge with people since its licence.

    Attributes:
        bar: the licensed level less the margin; the licence lapses when `high` is below.
        n: answers of people; `clusters` of them are independent.
    """

    bar: float
    n: int
    clusters: int
    value: float | None = None
    low: float | None = None
    high: float | None = None
    signature: str = ""

    @property
    def refutes(self) -> bool:
        """Whether the licence does not hold any more."""
        return self.high is not None and self.high < self.bar

    def shown(self) -> Measured:
        """As a figure."""
        if self.value is None:
            return unknown("No person has rated an output of this judge since.", n=self.n)
        return Measured(
            value=self.value,
            low=self.low,
            high=self.high,
            n=self.n,
            level=1 - ALPHA,
            note="anytime-valid",
            signature=self.signature,
        )


def audit_licence(session: Session, row: JudgeLicence) -> LicenceAudit:
    """How a licence stands against what people said since it was given."""
    from evaluators.statistics.sequential import clustered_sequence

    criterion = rubric_of(get_queue(session, row.queue_id)).criterion(row.criterion)
    bar = float(row.evidence["agreement"]) - float(row.evidence["margin"])
    after = int(row.evidence["last_rating_id"])
    said = _people(session, row.judge, criterion, after=after)
    if not said:
        return LicenceAudit(bar, 0, 0)
    clusters = [one.cluster for one in said]
    values = [_agreement(one, criterion) for one in said]
    found: ConfidenceSequence = clustered_sequence(values, clusters, alpha=ALPHA)
    value, low, high = (float(one[-1]) for one in (found.mean, found.low, found.high))
    recipe = f"judge_audit|{found.signature}|margin:{MARGIN:g}"
    return LicenceAudit(bar, len(said), len(set(clusters)), value, low, high, recipe)


def _agreement(one: _Said, criterion: Criterion) -> float:
    """1 where judge and person said the same, 0 where they are as far apart as can be."""
    if one.judge is None:
        return 0.0
    apart = criterion.distance(one.judge, one.answer)
    return 1.0 - (0.0 if apart is None else apart)


def audit_judge(session: Session, judge: Judge) -> list[LicenceOut]:
    """Write down every licence of a judge that later reviews refute; where it stands then."""
    for row in _newest(session, judge).values():
        if row.state != LicenceState.LICENSED:
            continue
        audit = audit_licence(session, row)
        if audit.refutes:
            used = {"licence_id": row.id, "used_up": row.evidence["last_rating_id"]}
            lapse = JudgeLicence(
                judge_id=judge.id,
                queue_id=row.queue_id,
                criterion=row.criterion,
                state=LicenceState.LAPSED,
                reason=_lapse(audit),
                evidence={**asdict(audit), **used},
            )
            session.add(lapse)
    session.flush()
    return licences_of(session, judge)


def _lapse(audit: LicenceAudit) -> str:
    return (
        f"people since: agreement {audit.value:.3f} [{audit.low:.3f}, {audit.high:.3f}], "
        f"n={audit.n}, below the licensed level less the margin, {audit.bar:.3f}"
    )


def _newest(session: Session, judge: Judge) -> dict[str, JudgeLicence]:
    query = select(JudgeLicence).where(JudgeLicence.judge_id == judge.id)
    return {row.criterion: row for row in session.scalars(query.order_by(JudgeLicence.id))}


def licences_of(session: Session, judge: Judge) -> list[LicenceOut]:
    """Where a judge stands on each criterion, later reviews included."""
    attempts = _attempts(session, judge)
    return [
        _show(session, row, attempts.get(row.criterion, 0))
        for row in _newest(session, judge).values()
    ]


def _attempts(session: Session, judge: Judge) -> Mapping[str, int]:
    query = (
        select(JudgeLicence.criterion, func.count(JudgeLicence.id))
        .where(JudgeLicence.judge_id == judge.id, JudgeLicence.state != LicenceState.LAPSED)
        .group_by(JudgeLicence.criterion)
    )
    return {row[0]: row[1] for row in session.execute(query)}


def _show(session: Session, row: JudgeLicence, attempts: int) -> LicenceOut:
    audit = audit_licence(session, row) if row.state == LicenceState.LICENSED else None
    refuted = audit is not None and audit.refutes
    return LicenceOut(
        id=row.id,
        criterion=row.criterion,
        queue=get_queue(session, row.queue_id).name,
        state=LicenceState.LAPSED if refuted else row.state,
        recorded=not refuted,
        reason=_lapse(audit) if refuted and audit is not None else row.reason,
        evidence=row.evidence,
        attempts=attempts,
        audit=None if audit is None else audit.shown(),
        bar=None if audit is None else audit.bar,
        created_at=row.created_at,
    )


def show_licence(session: Session, row: JudgeLicence) -> LicenceOut:
    """One line of the licences, as it stands."""
    return _show(session, row, _attempts(session, row.judge).get(row.criterion, 0))
