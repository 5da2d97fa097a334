"""What the reviewed outputs say of all of them: each criterion of each model, with its interval.

Reviewed items are weighted by the inverse of their inclusion probability (Hajek), clustered by
group. Where the run was scored, the scores of all outputs narrow the estimate (prediction-powered
inference); where they do not, the plain one stands. Items that were drawn and are not reviewed yet
are taken to be missing at random, which the random order of the queue makes so.

What estimates are made of: all outputs of a model, answers to some, scores of all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import Conflict, NotFound
from backend.rubrics import CheckedAnswer
from backend.rubrics.scales import Outcome
from backend.schemas.common import row_number
from backend.schemas.review.reports import EstimateOut, Measured
from backend.services.metric_specs import metric_specs, named_or_newest_scores
from backend.services.review.counted import counts
from backend.services.review.queues import get_queue, rubric_of
from backend.services.review.reports.measured import noted, unknown
from backend.services.review.reports.votes import cluster_name
from backend.services.runs.learned import taught_with
from backend.tables.checks.judges import Judge, JudgeLicence
from backend.tables.checks.triage import SkippedOutput
from backend.tables.datasets import Example
from backend.tables.models import ModelVersion
from backend.tables.review import Purpose, QueueKind, Rating, Review, ReviewItem, ReviewQueue
from backend.tables.runs import JUDGED, Generation, Score, ScoreRun

MEASURED = [Purpose.REVIEW, Purpose.IMPORT]


class RatedItem(NamedTuple):
    answer: CheckedAnswer
    simulated: bool


class FrameItem(NamedTuple):
    """An item of the frame. `probability` is None where the design did not take it."""

    id: int
    cluster: str
    probability: float | None


@dataclass(frozen=True, slots=True)
class Population:
    """All outputs of one model, the answers to those that were reviewed, and their scores."""

    model: ModelVersion | None
    outputs: Sequence[FrameItem]
    answers: Mapping[str, Mapping[int, list[RatedItem]]]  # criterion -> output -> answers
    scores: Mapping[str, Mapping[int, float]] = field(default_factory=dict)


def read_populations(session: Session, queue: ReviewQueue, metric: str | None) -> list[Population]:
    """One population for each model of the queue; for pairs a single one, of the pairs drawn.

    Args:
        metric: read these scores alone.

    Raises:
        NotFound: the run has no scores by that metric.
        Conflict: the metric has learned from the queue's reviews.
    """
    answers = _answers(session, queue.id)
    if queue.kind == QueueKind.PAIR:
        return [Population(None, _drawn_pairs(session, queue.id), answers)]
    reviewed = {i for given in answers.values() for i in given}
    chances = chances_of(session, queue.id, reviewed)
    score_run = named_or_newest_scores(session, queue.score_run_id, queue.generation_run_id)
    found = []
    for model_id in queue.design["model_ids"]:
        outputs = _outputs(session, queue.generation_run_id, int(model_id), chances)
        scores = _scores(session, score_run, outputs, metric)
        scores = _unlearned(session, queue, scores, sorted(reviewed), metric)
        found.append(
            Population(session.get_one(ModelVersion, int(model_id)), outputs, answers, scores)
        )
    return found


def _answers(session: Session, queue_id: int) -> dict[str, dict[int, list[RatedItem]]]:
    """Counted answers by criterion and by the item's first generation."""
    query = (
        select(
            Rating.criterion,
            ReviewItem.generation_a_id,
            ReviewItem.id,
            ReviewQueue.kind,
            Rating.value,
            Rating.number,
            Review.simulated,
        )
        .join(Review, Review.id == Rating.review_id)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .join(ReviewQueue, ReviewQueue.id == ReviewItem.queue_id)
        .where(ReviewItem.queue_id == queue_id, *counts())
        .order_by(Review.id)
    )
    found: dict[str, dict[int, list[RatedItem]]] = {}
    for criterion, generation_id, item_id, kind, value, number, simulated in session.execute(query):
        unit = item_id if kind == QueueKind.PAIR else generation_id
        given = RatedItem(CheckedAnswer(value, number), simulated)
        found.setdefault(criterion, {}).setdefault(unit, []).append(given)
    return found


def chances_of(session: Session, queue_id: int, reviewed: set[int]) -> dict[int, float]:
    """With which chance each output that is up for review is among those `reviewed`."""
    query = select(ReviewItem.generation_a_id, ReviewItem.inclusion_probability).where(
        ReviewItem.queue_id == queue_id, ReviewItem.purpose.in_(MEASURED)
    )
    chances = {row.generation_a_id: row.inclusion_probability for row in session.execute(query)}
    taken = select(SkippedOutput.generation_id, SkippedOutput.chance)
    rows = session.execute(taken.where(SkippedOutput.queue_id == queue_id))
    skipped = {row.generation_id: row.chance for row in rows}
    if not skipped or not set(skipped) <= set(chances):
        return chances
    return _by_class(chances, skipped, reviewed)


def _by_class(
    chances: Mapping[int, float], skipped: Mapping[int, float], reviewed: set[int]
) -> dict[int, float]:
    """Chances once all that skipped is up for review, after the rest of the queue.

    Both classes come in random order, and are not equally far: an item counts by the chance of the
    design and by the share of its class that is reviewed (weighting classes; Little 1986, Int.
    Stat. Rev. 54:139).
    """
    shares = {}
    for is_skipped in (True, False):
        members = [i for i in chances if (i in skipped) is is_skipped]
        done = sum(i in reviewed for i in members)
        shares[is_skipped] = done / len(members) if done else 1.0
    return {i: skipped.get(i, chance) * shares[i in skipped] for i, chance in chances.items()}


def _drawn_pairs(session: Session, queue_id: int) -> list[FrameItem]:
    """Pairs that the design took; of the others nothing is needed, since pairs have no scores."""
    query = (
        select(ReviewItem.id, Example.group, Example.id, ReviewItem.inclusion_probability)
        .join(Generation, Generation.id == ReviewItem.generation_a_id)
        .join(Example, Example.id == Generation.example_id)
        .where(ReviewItem.queue_id == queue_id, ReviewItem.purpose.in_(MEASURED))
        .order_by(ReviewItem.position)
    )
    return [
        FrameItem(item_id, cluster_name(group, example_id), chance)
        for item_id, group, example_id, chance in session.execute(query)
    ]


def _outputs(
    session: Session, run_id: int, model_id: int, chances: Mapping[int, float]
) -> list[FrameItem]:
    query = (
        select(Generation.id, Example.group, Example.id)
        .join(Example, Example.id == Generation.example_id)
        .where(
            Generation.run_id == run_id,
            Generation.model_version_id == model_id,
            Generation.text.is_not(None),
        )
        .order_by(Generation.id)
    )
    return [
        FrameItem(generation_id, cluster_name(group, example_id), chances.get(generation_id))
        for generation_id, group, example_id in session.execute(query)
    ]


def _scores(
    session: Session, run: ScoreRun | None, outputs: Sequence[FrameItem], metric: str | None
) -> dict[str, dict[int, float]]:
    """Scores by metric and output."""
    if run is None:
        if metric is not None:
            raise NotFound(f"This run has no scores by {metric!r}.", hint="Score it first.")
        return {}
    known = [spec.metric for spec in metric_specs(run)]
    if metric is not None and metric not in known:
        raise NotFound(
            f"Score run {run.id} has no {metric!r}.", hint=f"It has: {', '.join(known)}."
        )
    wanted = known if metric is None else [metric]
    query = select(Score.metric, Score.generation_id, Score.value).where(
        Score.score_run_id == run.id, Score.metric.in_(wanted), Score.value.is_not(None)
    )
    ids = {output.id for output in outputs}
    found: dict[str, dict[int, float]] = {}
    for name, generation_id, value in session.execute(query.order_by(Score.metric)):
        if generation_id in ids and value is not None:
            found.setdefault(name, {})[generation_id] = value
    return found


def _unlearned(
    session: Session,
    queue: ReviewQueue,
    scores: dict[str, dict[int, float]],
    reviewed: Sequence[int],
    asked: str | None,
) -> dict[str, dict[int, float]]:
    """The scores without those by metrics that have learned from what was reviewed here.

    On those outputs they are nearer to people's answers than on the others, so that what they say
    of the others could not be corrected by it (Angelopoulos et al. 2023 ask for a fixed predictor).
    """
    learned = {name for name in scores if taught_with(session, queue.project_id, name, reviewed)}
    if asked in learned:
        raise Conflict(
            f"{asked} has learned from outputs that were reviewed here: an estimate by it would "
            "be too sure.",
            hint="Leave the metric out, or fit one on other reviews.",
        )
    return {name: found for name, found in scores.items() if name not in learned}


PAIR = "the pair"


def queue_estimates(
    session: Session, queue_id: int, *, metric: str | None = None
) -> list[EstimateOut]:
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
        _with_judge(session, queue, _estimate(population, criterion.name, outcome, queue))
        for population in populations
        for criterion in rubric_of(queue).criteria
        for outcome in criterion.outcomes()
    ]


def _with_judge(session: Session, queue: ReviewQueue, found: EstimateOut) -> EstimateOut:
    """The estimate, which says so where a judge's ratings narrow it, and what the judge may."""
    if found.method == "plain" or found.metric is None or not found.metric.startswith(JUDGED):
        return found
    licence = _newest_licence(session, queue.project_id, found.metric, found.criterion)
    may = f"not licensed on {found.criterion}"
    if licence is not None:
        may = f"{licence.state} on {licence.criterion} {licence.created_at:%Y-%m-%d}"
    said = f"narrowed by ratings of a judge, {found.metric}, {may}; only people are counted"
    return found.model_copy(update={"figure": noted(found.figure, said)})


def _newest_licence(
    session: Session, project_id: int, metric: str, criterion: str
) -> JudgeLicence | None:
    name, _, version = metric.removeprefix(JUDGED).partition("@")
    query = (
        select(JudgeLicence)
        .join(Judge, Judge.id == JudgeLicence.judge_id)
        .where(
            Judge.project_id == project_id,
            Judge.name == name,
            Judge.version == (row_number(version) or 0),
            JudgeLicence.criterion == criterion,
        )
    )
    return session.scalar(query.order_by(JudgeLicence.id.desc()).limit(1))


def _estimate(
    population: Population, criterion: str, outcome: Outcome, queue: ReviewQueue
) -> EstimateOut:
    given = population.answers.get(criterion, {})
    here = {output.id: given[output.id] for output in population.outputs if output.id in given}
    ratings = {i: fmean(outcome.read(a.answer) for a in answers) for i, answers in here.items()}
    found = _figures(population, ratings, outcome, criterion, queue)
    model = population.model
    return EstimateOut(
        **found._asdict(),
        criterion=criterion,
        option=outcome.option,
        model_version_id=None if model is None else model.id,
        model=PAIR if model is None else model.label,
        n_items=int(queue.design["n_candidates"]) if model is None else len(population.outputs),
        n_drawn=sum(output.probability is not None for output in population.outputs),
        n_reviewed=len(ratings),
        n_reviews=sum(map(len, here.values())),
        n_simulated=sum(answered.simulated for answers in here.values() for answered in answers),
    )


class _Estimated(NamedTuple):
    figure: Measured
    plain: Measured
    method: str = "plain"
    metric: str | None = None
    correlation: float | None = None


def _figures(
    population: Population,
    ratings: Mapping[int, float],
    outcome: Outcome,
    criterion: str,
    queue: ReviewQueue,
) -> _Estimated:
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
        return _Estimated(nothing, nothing)
    name = criterion if outcome.option is None else f"{criterion}={outcome.option}"
    recipe = f"{name}|queue:{queue.id}|metric:{found.metric or 'none'}|{found.signature}"

    def measured(value: float, low: float | None, high: float | None, note: str) -> Measured:
        kept = min(max(value, 0.0), 1.0) if outcome.is_rate else value
        return Measured(
            value=kept,
            low=low,
            high=high,
            n=found.n,
            level=found.level,
            rough=found.rough,
            note=note,
            signature=recipe,
        )

    alone = "" if found.plain_low is not None else found.note
    return _Estimated(
        measured(found.value, found.low, found.high, found.note),
        measured(found.plain_value, found.plain_low, found.plain_high, alone),
        found.method,
        found.metric,
        found.correlation,
    )
