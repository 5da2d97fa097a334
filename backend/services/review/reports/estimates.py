"""What the reviewed outputs say of all of them: each criterion of each model, with its interval.

Reviewed items are weighted by the inverse of their inclusion probability (Hajek), clustered by
group. Where the run was scored, the scores of all outputs narrow the estimate (prediction-powered
inference); where they do not, the plain one stands. Items that were drawn and are not reviewed yet
are taken to be missing at random, which the random order of the queue makes so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple, assert_never

from sqlalchemy.orm import Session

from backend.errors import CannotCompute
from backend.rubrics import (
    VERDICTS,
    Category,
    CheckedAnswer,
    Criterion,
    Multi,
    Number,
    Stars,
    Text,
    Verdict,
    YesNo,
    chosen_options,
)
from backend.services.review.queues import get_queue, rubric_of
from backend.services.review.reports.measured import Measured, unknown
from backend.services.review.reports.populations import Population, read_populations
from backend.tables.review import ReviewQueue

PAIR = "the pair"


@dataclass(frozen=True, slots=True)
class CriterionEstimate:
    """One criterion (or one option of it) of one model, for all of its outputs in the run.

    Attributes:
        figure: the estimate to go by; `plain` is that of the reviews alone.
        method: "ppi++" where the scores of `metric` narrow it, else "plain".
        n_items: outputs that the figure speaks of; n_drawn: those that the design took;
            n_reviewed: those with a counted answer; n_reviews: the answers.
    """

    criterion: str
    option: str | None
    model_version_id: int | None
    model: str
    figure: Measured
    plain: Measured
    method: str
    metric: str | None
    correlation: float | None
    n_items: int
    n_drawn: int
    n_reviewed: int
    n_reviews: int
    n_simulated: int


class _Outcome(NamedTuple):
    """What is averaged: a number for each answer; `is_rate` where it is 0 or 1."""

    option: str | None
    read: Callable[[CheckedAnswer], float]
    is_rate: bool


def queue_estimates(
    session: Session, queue_id: int, *, metric: str | None = None
) -> list[CriterionEstimate]:
    """Every criterion of every model of a queue.

    Args:
        metric: go by these scores alone; by default by those of the queue's score run (else of the
            run's newest) that tell most, chosen for each reviewed output on the other ones.

    Raises:
        NotFound: the run has no scores by that metric.
    """
    queue = get_queue(session, queue_id)
    populations = read_populations(session, queue, metric)
    return [
        _estimate(population, criterion.name, outcome, queue)
        for population in populations
        for criterion in rubric_of(queue).criteria
        for outcome in _outcomes(criterion)
    ]


def _outcomes(criterion: Criterion) -> list[_Outcome]:
    match criterion:
        case YesNo():
            return [_Outcome(None, _number, True)]
        case Stars() | Number():
            return [_Outcome(None, _number, False)]
        case Verdict():
            return [_Outcome(name, _is_option(name), True) for name in VERDICTS]
        case Category():
            return [_Outcome(o.name, _is_option(o.name), True) for o in criterion.options]
        case Multi():
            return [_Outcome(o.name, _has_option(o.name), True) for o in criterion.options]
        case Text():
            return []
        case _:
            assert_never(criterion)


def _number(answer: CheckedAnswer) -> float:
    if answer.number is None:
        raise CannotCompute(f"The answer {answer.value!r} has no number.")
    return answer.number


def _is_option(name: str) -> Callable[[CheckedAnswer], float]:
    return lambda answer: float(answer.value == name)


def _has_option(name: str) -> Callable[[CheckedAnswer], float]:
    return lambda answer: float(name in (chosen_options(answer.value) or []))


def _estimate(
    population: Population, criterion: str, outcome: _Outcome, queue: ReviewQueue
) -> CriterionEstimate:
    given = population.answers.get(criterion, {})
    here = {output.id: given[output.id] for output in population.outputs if output.id in given}
    ratings = {i: fmean(outcome.read(a.answer) for a in answers) for i, answers in here.items()}
    found = _figures(population, ratings, outcome, criterion, queue)
    model = population.model
    return CriterionEstimate(
        criterion=criterion,
        option=outcome.option,
        model_version_id=None if model is None else model.id,
        model=PAIR if model is None else model.label,
        figure=found.figure,
        plain=found.plain,
        method=found.method,
        metric=found.metric,
        correlation=found.correlation,
        n_items=int(queue.design["n_candidates"]) if model is None else len(population.outputs),
        n_drawn=sum(output.probability is not None for output in population.outputs),
        n_reviewed=len(ratings),
        n_reviews=sum(map(len, here.values())),
        n_simulated=sum(answered.simulated for answers in here.values() for answered in answers),
    )


class _Found(NamedTuple):
    figure: Measured
    plain: Measured
    method: str = "plain"
    metric: str | None = None
    correlation: float | None = None


def _figures(
    population: Population,
    ratings: Mapping[int, float],
    outcome: _Outcome,
    criterion: str,
    queue: ReviewQueue,
) -> _Found:
    """The estimate, and the plain one."""
    from evaluators.errors import EvaluatorError
    from evaluators.statistics.prediction_powered import estimate_mean

    outputs = population.outputs
    try:
        found = estimate_mean(
            [ratings.get(output.id) for output in outputs],
            {
                name: [values.get(output.id) for output in outputs]
                for name, values in population.scores.items()
            },
            probabilities=[output.probability or 1.0 for output in outputs],
            groups=[output.cluster for output in outputs],
            rate=outcome.is_rate,
        )
    except EvaluatorError as error:
        nothing = unknown(str(error), n=len(ratings))
        return _Found(nothing, nothing)
    name = criterion if outcome.option is None else f"{criterion}={outcome.option}"
    recipe = f"{name}|queue:{queue.id}|metric:{found.metric or 'none'}|{found.signature}"

    def measured(value: float, low: float | None, high: float | None, note: str) -> Measured:
        kept = min(max(value, 0.0), 1.0) if outcome.is_rate else value
        return Measured(
            kept,
            low,
            high,
            n=found.n,
            level=found.level,
            rough=found.rough,
            note=note,
            signature=recipe,
        )

    alone = "" if found.plain_low is not None else found.note
    return _Found(
        measured(found.value, found.low, found.high, found.note),
        measured(found.plain_value, found.plain_low, found.plain_high, alone),
        found.method,
        found.metric,
        found.correlation,
    )
