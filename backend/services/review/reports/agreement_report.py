"""Agreement as a lead reads it: coefficients, who agrees with whom, and the worst items."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.services.review.counted import counts
from backend.services.review.quality.item_agreement import answers_of, compare_answers
from backend.services.review.queues import get_queue, rubric_of
from backend.services.review.reports.agreement import (
    WINNER,
    CriterionAgreement,
    Said,
    queue_agreement,
    what_was_said,
)
from backend.services.review.reports.measured import Measured, of_figure, unknown
from backend.tables.quality import Adjudication
from backend.tables.review import Review, ReviewItem

CHUNK = 500
ALPHA = "krippendorff_alpha"
TENTATIVE = 0.667  # Krippendorff 2004, p. 241: below it, no conclusion
SKEWED = 0.8


@dataclass(frozen=True, slots=True)
class Coefficient:
    """One coefficient on one criterion."""

    criterion: str
    coefficient: str
    figure: Measured


@dataclass(frozen=True, slots=True)
class RaterPair:
    """Two reviewers on the n items that both judged; `note` says why there is no kappa.

    `signature` names the weights of kappa.
    """

    criterion: str
    first: str
    second: str
    n: int
    percent: float | None
    kappa: float | None
    kappa_low: float | None
    kappa_high: float | None
    note: str
    signature: str


@dataclass(frozen=True, slots=True)
class WorstItem:
    """An item whose reviewers are far apart: 0 all alike, 1 as far as can be."""

    item_id: int
    position: int
    disagreement: float
    reason: str
    n_reviews: int
    adjudicated: bool


@dataclass(frozen=True, slots=True)
class AgreementNote:
    """What has to be known beside a low alpha on one criterion, in sentences."""

    criterion: str
    sentence: str


@dataclass(frozen=True, slots=True)
class AgreementReport:
    """How far reviewers agree: by criterion, two by two, and where least."""

    coefficients: tuple[Coefficient, ...]
    notes: tuple[AgreementNote, ...]
    raters: tuple[RaterPair, ...]
    worst: tuple[WorstItem, ...]


def agreement_report(session: Session, queue_id: int, *, worst: int = 20) -> AgreementReport:
    """Agreement on a queue; `worst` is how many items to list, those that agree left out."""
    said = what_was_said(session, get_queue(session, queue_id))
    coefficients = tuple(_coefficient(row) for row in queue_agreement(session, queue_id))
    notes = ((name, _note(name, given, coefficients)) for name, given in said.items())
    return AgreementReport(
        coefficients=coefficients,
        notes=tuple(AgreementNote(name, sentence) for name, sentence in notes if sentence),
        raters=tuple(pair for name, given in said.items() for pair in _pairs(name, given)),
        worst=tuple(worst_items(session, queue_id, limit=worst)),
    )


def _coefficient(row: CriterionAgreement) -> Coefficient:
    figure = unknown(row.error or "") if row.figure is None else of_figure(row.figure)
    return Coefficient(row.criterion, row.coefficient, figure)


def _note(criterion: str, said: Said, coefficients: Sequence[Coefficient]) -> str:
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


def _pairs(criterion: str, said: Said) -> list[RaterPair]:
    from evaluators.errors import EvaluatorError
    from evaluators.statistics.raters import pairwise_table

    try:
        rows = pairwise_table(said.table(), scale=said.scale)
    except EvaluatorError:  # no answers yet: the coefficients say so
        return []
    return [RaterPair(criterion, **asdict(row)) for row in rows]


def worst_items(session: Session, queue_id: int, *, limit: int) -> list[WorstItem]:
    """Items on which counted reviews differ, the farthest apart first."""
    query = (
        select(Review.id, ReviewItem.id, ReviewItem.position)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .where(ReviewItem.queue_id == queue_id, *counts())
        .order_by(ReviewItem.position, Review.id)
    )
    reviews: dict[int, list[int]] = defaultdict(list)
    positions: dict[int, int] = {}
    for review_id, item_id, position in session.execute(query):
        reviews[item_id].append(review_id)
        positions[item_id] = position
    shared = {item_id: ids for item_id, ids in reviews.items() if len(ids) >= 2}
    answers = {}
    every = [review_id for ids in shared.values() for review_id in ids]
    for start in range(0, len(every), CHUNK):
        answers.update(answers_of(session, every[start : start + CHUNK]))
    decided = select(Adjudication.item_id).where(
        Adjudication.queue_id == queue_id, Adjudication.decided_at.is_not(None)
    )
    adjudicated = set(session.scalars(decided))
    rubric = rubric_of(get_queue(session, queue_id))
    found = []
    for item_id, ids in shared.items():
        apart = compare_answers(rubric, [answers[review_id] for review_id in ids])
        if apart is not None and apart.value > 0:
            row = WorstItem(
                item_id,
                positions[item_id],
                apart.value,
                apart.reason,
                len(ids),
                item_id in adjudicated,
            )
            found.append(row)
    return sorted(found, key=lambda row: (-row.disagreement, row.position))[:limit]
