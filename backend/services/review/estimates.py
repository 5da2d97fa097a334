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
from backend.services.review.measured import Measured, unknown
from backend.services.review.populations import Population, read_populations
from backend.services.review.queues import get_queue, rubric_of
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
        metric: go by these scores alone; by default by the metric of the queue's score run (else
            of the run's newest) that goes most closely with the ratings.

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
    metric, correlation = _closest(ratings, population.scores)
    figure, plain, method = _figures(population, ratings, metric, outcome, criterion, queue)
    model = population.model
    return CriterionEstimate(
        criterion=criterion,
        option=outcome.option,
        model_version_id=None if model is None else model.id,
        model=PAIR if model is None else model.label,
        figure=figure,
        plain=plain,
        method=method,
        metric=metric,
        correlation=correlation,
        n_items=int(queue.design["n_candidates"]) if model is None else len(population.outputs),
        n_drawn=sum(output.probability is not None for output in population.outputs),
        n_reviewed=len(ratings),
        n_reviews=sum(map(len, here.values())),
        n_simulated=sum(answered.simulated for answers in here.values() for answered in answers),
    )


def _closest(
    ratings: Mapping[int, float], scores: Mapping[str, Mapping[int, float]]
) -> tuple[str | None, float | None]:
    """The metric with the largest correlation with the ratings, and that correlation."""
    import numpy as np

    best: tuple[str | None, float | None] = None, None
    for name, values in scores.items():
        both = [(ratings[i], values[i]) for i in ratings if i in values]
        if len(both) < 3:
            continue
        y, f = np.array(both).T
        if y.std() > 0 and f.std() > 0:
            found = float(np.corrcoef(y, f)[0, 1])
            if best[1] is None or abs(found) > abs(best[1]):
                best = name, found
    return best


def _figures(
    population: Population,
    ratings: Mapping[int, float],
    metric: str | None,
    outcome: _Outcome,
    criterion: str,
    queue: ReviewQueue,
) -> tuple[Measured, Measured, str]:
    """The estimate, the plain one, and the method of the first."""
    from evaluators.errors import EvaluatorError
    from evaluators.statistics.prediction_powered import estimate_mean

    outputs = population.outputs
    values = population.scores[metric] if metric is not None else {}
    # An output without a score stands in with the mean: any value known for all is allowed here.
    stand_in = fmean(values.values()) if values else 0.0
    try:
        found = estimate_mean(
            [ratings.get(output.id) for output in outputs],
            [values.get(output.id, stand_in) for output in outputs],
            probabilities=[output.probability or 1.0 for output in outputs],
            groups=[output.cluster for output in outputs],
            rate=outcome.is_rate,
        )
    except EvaluatorError as error:
        nothing = unknown(str(error), n=len(ratings))
        return nothing, nothing, "plain"
    name = criterion if outcome.option is None else f"{criterion}={outcome.option}"
    recipe = f"{name}|queue:{queue.id}|metric:{metric or 'none'}|{found.signature}"

    def measured(value: float, low: float, high: float) -> Measured:
        kept = min(max(value, 0.0), 1.0) if outcome.is_rate else value
        return Measured(
            kept, low, high, n=found.n, level=found.level, rough=found.rough, signature=recipe
        )

    plain = measured(found.plain_value, found.plain_low, found.plain_high)
    return measured(found.value, found.low, found.high), plain, found.method
