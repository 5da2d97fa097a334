"""How far the reviewers of a queue agree, criterion by criterion, on the items that several had.

Agreement as a lead reads it: coefficients, who agrees with whom, and the worst items.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import TYPE_CHECKING, TypeVarTuple

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from backend.rubrics import Criterion
from backend.schemas.review.reports import (
    AgreementNoteOut,
    AgreementOut,
    AgreementReportOut,
    RaterPairOut,
    WorstItemOut,
)
from backend.services.review.counted import counts
from backend.services.review.quality.adjudication import answers_of, compare_answers
from backend.services.review.queues import get_queue, rubric_of
from backend.services.review.reports.measured import of_figure, unknown
from backend.services.review.reports.votes import cluster_name
from backend.tables.accounts import User
from backend.tables.datasets import Example
from backend.tables.review import (
    Adjudication,
    Preference,
    QueueKind,
    Rating,
    Review,
    ReviewItem,
    ReviewQueue,
)
from backend.tables.runs import Generation
from evaluators.spread import cut

if TYPE_CHECKING:
    from evaluators.statistics.agreement.ratings import ItemRating, RatingTable, Scale
    from evaluators.types import Figure

COEFFICIENTS = ("percent", "krippendorff_alpha", "gwet_ac1")
WINNER = "winner"


@dataclass(frozen=True, slots=True)
class CriterionAgreement:
    """One coefficient on one criterion, or the reason why there is none. n counts shared items."""

    criterion: str
    coefficient: str
    figure: Figure | None
    error: str | None = None


def queue_agreement(session: Session, queue_id: int) -> list[CriterionAgreement]:
    """Percent agreement, Krippendorff's alpha and Gwet's AC1 of each criterion of a queue.

    Stars and verdicts are ordinal, numbers interval, other scales nominal (several options agree
    when they are the same options); free text has no agreement. For pairs the vote, in terms of
    the models and not of the sides shown, is a criterion of its own. Percent agreement and AC1 are
    exact on every scale. Items of one group of examples are one cluster.
    """
    return [
        _agree(criterion, name, said)
        for criterion, said in what_was_said(session, get_queue(session, queue_id)).items()
        for name in COEFFICIENTS
    ]


@dataclass(frozen=True, slots=True)
class Said:
    """All counted answers to one criterion, its scale, and the values that the scale allows."""

    given: list[ItemRating]
    scale: Scale
    values: list[float | str]

    def table(self) -> RatingTable:
        """As a table of items and reviewers; InvalidValues where there are no answers."""
        from evaluators.statistics.agreement.ratings import tabulate

        return tabulate(self.given, categories=self.values or None)


def what_was_said(session: Session, queue: ReviewQueue) -> dict[str, Said]:
    """Counted answers by criterion, the vote on pairs first, free text left out."""
    from evaluators.statistics.agreement.ratings import Scale as ScaleName

    scales: dict[str, tuple[Scale, list[float | str]]] = {
        criterion.name: scale
        for criterion in rubric_of(queue).criteria
        if (scale := _scale(criterion)) is not None
    }
    numeric = {name for name, (scale, _) in scales.items() if scale != "nominal"}
    given = _ratings(session, queue.id, numeric)
    if queue.kind == QueueKind.PAIR:
        given[WINNER] = _votes(session, queue.id)
        values = sorted({str(vote.value) for vote in given[WINNER]})
        scales = {WINNER: (ScaleName.NOMINAL, list(values)), **scales}
    return {name: Said(given.get(name, []), *scale) for name, scale in scales.items()}


def _scale(criterion: Criterion) -> tuple[Scale, list[float | str]] | None:
    """The scale and the values that it allows, in order; none when they are what occurs."""
    from evaluators.statistics.agreement.ratings import Scale

    return None if criterion.level is None else (Scale(criterion.level), criterion.values())


def _ratings(session: Session, queue_id: int, numeric: set[str]) -> dict[str, list[ItemRating]]:
    from evaluators.statistics.agreement.ratings import ItemRating

    query = select(
        Rating.criterion,
        ReviewItem.id,
        User.pseudonym,
        Rating.value,
        Rating.number,
        Example.group,
        Example.id.label("example_id"),
    ).join(Review, Review.id == Rating.review_id)
    found: dict[str, list[ItemRating]] = {}
    rows = session.execute(_counted(query, queue_id))
    for criterion, item, rater, value, number, group, example in rows:
        said = number if criterion in numeric and number is not None else value
        given = ItemRating(str(item), rater, said, group=cluster_name(group, example))
        found.setdefault(criterion, []).append(given)
    return found


def _votes(session: Session, queue_id: int) -> list[ItemRating]:
    from evaluators.statistics.agreement.ratings import ItemRating

    query = select(
        ReviewItem.id, User.pseudonym, Preference.winner, Example.group, Example.id
    ).join(Review, Review.id == Preference.review_id)
    return [
        ItemRating(str(item), rater, winner, group=cluster_name(group, example))
        for item, rater, winner, group, example in session.execute(_counted(query, queue_id))
    ]


Columns = TypeVarTuple("Columns")


def _counted(query: Select[*Columns], queue_id: int) -> Select[*Columns]:
    """Of what counts in a queue, with who said it and of which example, in the queue's order."""
    return (
        query.join(ReviewItem, ReviewItem.id == Review.item_id)
        .join(User, User.id == Review.reviewer_id)
        .join(Generation, Generation.id == ReviewItem.generation_a_id)
        .join(Example, Example.id == Generation.example_id)
        .where(ReviewItem.queue_id == queue_id, *counts())
        .order_by(ReviewItem.position, Review.id)
    )


def _agree(criterion: str, name: str, said: Said) -> CriterionAgreement:
    from evaluators.errors import EvaluatorError
    from evaluators.statistics.agreement.coefficients import agreement

    try:
        figure = agreement(name, said.table(), scale=said.scale)
    except EvaluatorError as error:
        return CriterionAgreement(criterion, name, None, error=str(error))
    return CriterionAgreement(criterion, name, figure)


CHUNK = 500
ALPHA = "krippendorff_alpha"
TENTATIVE = 0.667  # Krippendorff 2004, p. 241: below it, no conclusion
SKEWED = 0.8


def agreement_report(session: Session, queue_id: int, *, worst: int = 20) -> AgreementReportOut:
    """Agreement on a queue; `worst` is how many items to list, those that agree left out."""
    said = what_was_said(session, get_queue(session, queue_id))
    coefficients = [_coefficient(row) for row in queue_agreement(session, queue_id)]
    notes = ((name, _note(name, given, coefficients)) for name, given in said.items())
    return AgreementReportOut(
        coefficients=coefficients,
        notes=[
            AgreementNoteOut(criterion=name, sentence=sentence)
            for name, sentence in notes
            if sentence
        ],
        raters=[pair for name, given in said.items() for pair in _pairs(name, given)],
        worst=worst_items(session, queue_id, limit=worst),
    )


def _coefficient(row: CriterionAgreement) -> AgreementOut:
    figure = unknown(row.error or "") if row.figure is None else of_figure(row.figure)
    return AgreementOut(criterion=row.criterion, coefficient=row.coefficient, figure=figure)


def _note(criterion: str, said: Said, coefficients: Sequence[AgreementOut]) -> str:
    """Why a low alpha need not mean unreliable answers; empty where there is nothing to explain.

    Chance agreement is so high where nearly everybody says the same that little is left to agree
    on beyond it (the paradox of Feinstein and Cicchetti 1990, J. Clin. Epidemiol. 43:543); Gwet's
    AC1 was made for that (2008, Br. J. Math. Stat. Psychol. 61:29).
    """
    found = {one.coefficient: one.figure for one in coefficients if one.criterion == criterion}
    alpha, equal, ac1 = (found[name].value for name in (ALPHA, "percent", "gwet_ac1"))
    if alpha is None or alpha >= TENTATIVE or equal is None or ac1 is None:
        return ""
    answers = Counter(given.value for given in said.given)
    share = answers.most_common(1)[0][1] / answers.total()
    sentences = []
    if share >= SKEWED:
        sentences.append(
            f"{share:.0%} of the {answers.total()} answers to {criterion} are one and the same. "
            f"Alpha ({alpha:.2f}) sets aside what such skewed answers agree by chance, which is "
            f"nearly all; {equal:.0%} are equal, and Gwet's AC1, which skew hardly moves, is "
            f"{ac1:.2f}."
        )
    if criterion == WINNER:
        sentences.append(
            "An A/B can be decided while alpha is low: it asks which model is preferred on the "
            "whole, alpha whether people agree on which items."
        )
    return " ".join(sentences)


def _pairs(criterion: str, said: Said) -> list[RaterPairOut]:
    from evaluators.errors import EvaluatorError
    from evaluators.statistics.agreement.raters import pairwise_table

    try:
        rows = pairwise_table(said.table(), scale=said.scale)
    except EvaluatorError:  # no answers yet: the coefficients say so
        return []
    return [RaterPairOut(criterion=criterion, **asdict(row)) for row in rows]


def worst_items(session: Session, queue_id: int, *, limit: int) -> list[WorstItemOut]:
    """Items on which counted reviews differ, the farthest apart first."""
    query = (
        select(Review.id, ReviewItem.id, ReviewItem.position)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .where(ReviewItem.queue_id == queue_id, *counts())
        .order_by(ReviewItem.position, Review.id)
    )
    reviews: dict[tuple[int, int], list[int]] = defaultdict(list)
    for review_id, item_id, position in session.execute(query):
        reviews[item_id, position].append(review_id)
    shared = {item: ids for item, ids in reviews.items() if len(ids) >= 2}
    answers = {}
    for some in cut([*chain.from_iterable(shared.values())], CHUNK):
        answers.update(answers_of(session, some))
    decided = select(Adjudication.item_id).where(
        Adjudication.queue_id == queue_id, Adjudication.decided_at.is_not(None)
    )
    adjudicated = set(session.scalars(decided))
    rubric = rubric_of(get_queue(session, queue_id))
    found = []
    for (item_id, position), ids in shared.items():
        apart = compare_answers(rubric, [answers[review_id] for review_id in ids])
        if apart is not None and apart.value > 0:
            row = WorstItemOut(
                item_id=item_id,
                position=position,
                disagreement=apart.value,
                reason=apart.reason,
                n_reviews=len(ids),
                adjudicated=item_id in adjudicated,
            )
            found.append(row)
    return sorted(found, key=lambda row: (-row.disagreement, row.position))[:limit]
