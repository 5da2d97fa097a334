"""Parity of a project's figures: metrics and checks of a score run, people's ratings of a queue.

Ratings are people's reviews, weighted by the design; scores by a judge are metrics of the score
run, and the two never enter one figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import CannotCompute, InvalidInput, NotFound, raised_as
from backend.schemas.fairness import EqualisedOdds, Parity, ParityReportOut, SliceKeyOut
from backend.services.datasets.queries import rows_for
from backend.services.metric_specs import MetricSpec, get_score_run, metric_specs
from backend.services.review.queues import get_queue, rubric_of
from backend.services.review.reports.estimates import Population, read_populations
from backend.services.runs.figures import metric_of_run
from backend.services.runs.generation import examples_of_run, get_run
from backend.services.runs.score_columns import data_part, read_scores
from backend.tables.datasets import Example
from backend.tables.models import ModelVersion
from backend.tables.review import QueueKind
from backend.tables.runs import Generation, ScoreRun
from evaluators.errors import EvaluatorError, UndefinedFigure

if TYPE_CHECKING:
    from backend.services.runs.score_columns import Read, ScoreReads
    from evaluators.fairness.measures import Measure
    from evaluators.types import Score

MOST_KEYS = 8


@dataclass(frozen=True, slots=True)
class ParityPlan:
    """What is compared, and how.

    Attributes:
        keys: of the examples' slices.
        metrics: of the score run; all of them if none is named.
        labels: of a classifier, whose rates are compared; with `rates`.
        rates: also demographic parity, equal opportunity and equalised odds.
        margin: a gap of no account.
        across_metrics: one level for all metrics at once.
    """

    keys: tuple[str, ...]
    metrics: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    rates: bool = False
    margin: float | None = None
    across_metrics: bool = False
    level: float = 0.95


def run_parity(
    session: Session, score_run_id: int, plan: ParityPlan, *, model_id: int | None = None
) -> list[ParityReportOut]:
    """Of each model of a score run, or of one.

    Raises:
        NotFound: no such score run, or the model takes no part in it.
        InvalidInput: no key, or none that has two to MOST_GROUPS groups.
        CannotCompute: nothing was scored, some outputs are not, or a metric was not.
    """
    run = get_score_run(session, score_run_id)
    models = [m for m in run.generation_run.models if model_id in (None, m.id)]
    if not models:
        raise NotFound(f"Model version {model_id} takes no part in score run {run.id}.")
    names = _metrics(run, plan)
    reads = read_scores(session, run, names)
    return [_of_model(run, reads, names, model, plan) for model in models]


def _metrics(run: ScoreRun, plan: ParityPlan) -> list[str]:
    scored = list(dict.fromkeys(spec.metric for spec in metric_specs(run)))
    if not scored:
        raise CannotCompute(
            f"Score run {run.id} scores nothing, so that there is nothing to compare.",
            hint=f"Score its outputs: strop run --resume {run.generation_run_id} --metrics rougeL.",
        )
    if missing := [name for name in plan.metrics if name not in scored]:
        raise CannotCompute(
            f"{missing[0]} was not scored in score run {run.id}.",
            hint=f"Scored: {', '.join(scored)}.",
        )
    return list(plan.metrics) or scored


def _of_model(
    run: ScoreRun, reads: ScoreReads, names: Sequence[str], model: ModelVersion, plan: ParityPlan
) -> ParityReportOut:
    from evaluators.fairness.measures import ScoredMeasure

    batches: dict[tuple[tuple[int, int], ...], dict[str, _Reads]] = {}
    for name in names:
        own = reads.of_model(model.id, _whole(run, name))
        batches.setdefault(tuple(sorted(own)), {})[name] = own
    found: list[Parity] = []
    for units, by_metric in batches.items():
        groups, keys = _places(by_metric, units, plan)
        measures: list[Measure] = []
        for name, of_units in by_metric.items():
            metric = metric_of_run(MetricSpec(name, {}), run)
            scores = [of_units[unit].score for unit in units]
            measures.append(ScoredMeasure(metric, scores, groups, run.seed))
        found += compare(measures, keys, plan, seed=run.seed)
    rates, odds = _rates(batches, plan, run.seed)
    return ParityReportOut(
        model_version_id=model.id,
        model=model.label,
        of=f"score run {run.id}",
        by="code",
        parities=[replace(p, signature=p.signature + data_part(run)) for p in [*found, *rates]],
        odds=odds,
    )


_Reads = Mapping[tuple[int, int], "Read"]


def _whole(run: ScoreRun, name: str) -> MetricSpec:
    """A metric on what it was scored on: everything, or else its first slice."""
    specs = [spec for spec in metric_specs(run) if spec.metric == name]
    return next((spec for spec in specs if not spec.slice), specs[0])


def _places(
    by_metric: Mapping[str, _Reads], units: Sequence[tuple[int, int]], plan: ParityPlan
) -> tuple[list[str | None], dict[str, list[str | None]]]:
    """Cluster of each unit, and its group by each key."""
    first = next(iter(by_metric.values()))
    reads = [first[unit] for unit in units]
    return [r.group for r in reads], group_columns([r.slices for r in reads], plan.keys)


def group_columns(
    slices: Sequence[Mapping[str, object]], keys: Sequence[str]
) -> dict[str, list[str | None]]:
    """Key -> the group of each unit; an empty value is none.

    Raises:
        InvalidInput: no key, too many, or one that no unit has.
    """
    if not keys or len(keys) > MOST_KEYS:
        raise InvalidInput(
            f"{len(keys)} keys are named.", hint=f"Name one to {MOST_KEYS}: --by language,sex."
        )
    known = sorted({key for found in slices for key in found})
    columns = {}
    for key in dict.fromkeys(keys):
        if key not in known:
            raise InvalidInput(
                f"No example has the slice {key!r}.",
                hint=f"Known: {', '.join(known[:20]) or 'none'}.",
            )
        columns[key] = [_group(found.get(key)) for found in slices]
    return columns


def _group(value: object) -> str | None:
    text = "" if value is None else str(value).strip()
    return text or None


def slice_keys(session: Session, generation_run_id: int) -> list[SliceKeyOut]:
    """Keys of all examples of a run that part them into two to MOST_GROUPS groups, by name."""
    from evaluators.fairness.parity import MOST_GROUPS

    groups: dict[str, set[str]] = {}
    for example in examples_of_run(session, get_run(session, generation_run_id)):
        for key, value in example.slices.items():
            if (named := _group(value)) is not None:
                groups.setdefault(key, set()).add(named)
    return [
        SliceKeyOut(key=key, groups=len(found))
        for key, found in sorted(groups.items())
        if 2 <= len(found) <= MOST_GROUPS
    ]


def compare(
    measures: Sequence[Measure],
    keys: Mapping[str, Sequence[str | None]],
    plan: ParityPlan,
    *,
    seed: int,
) -> list[Parity]:
    """As `compare_groups`, whose errors become ours."""
    from evaluators.fairness.parity import compare_groups

    with raised_as(InvalidInput, EvaluatorError), raised_as(CannotCompute, UndefinedFigure):
        return compare_groups(
            measures,
            keys,
            level=plan.level,
            margin=plan.margin,
            across_metrics=plan.across_metrics,
            seed=seed,
        )


def _rates(
    batches: Mapping[tuple[tuple[int, int], ...], Mapping[str, _Reads]], plan: ParityPlan, seed: int
) -> tuple[list[Parity], list[EqualisedOdds]]:
    """Rates of labels, from the first metric that keeps pairs of labels."""
    if not plan.rates:
        return [], []
    from evaluators.fairness.rates import label_measures

    paired: Sequence[Score] = []
    for units, by_metric in batches.items():
        columns = [[own[unit].score for unit in units] for own in by_metric.values()]
        groups, keys = _places(by_metric, units, plan)
        paired = paired_labels(columns)
        if paired:
            break
    with raised_as(CannotCompute, EvaluatorError):
        measures = label_measures(paired, groups, labels=plan.labels, seed=seed)
    return rates_and_odds(measures, keys, plan, seed=seed)


def paired_labels(columns: Iterable[Sequence[Score]]) -> Sequence[Score]:
    """The scores of the first metric that keeps pairs of labels; none where no metric does."""
    return next((one for one in columns if any(map(_is_pair, one))), [])


def _is_pair(score: Score) -> bool:
    return len(score.stats) == 2 and all(isinstance(part, str) for part in score.stats)


def rates_and_odds(
    measures: Sequence[Measure],
    keys: Mapping[str, Sequence[str | None]],
    plan: ParityPlan,
    *,
    seed: int,
) -> tuple[list[Parity], list[EqualisedOdds]]:
    """The rates of labels in one family, and equalised odds of them."""
    from evaluators.fairness.rates import equalised_odds

    found = compare(measures, keys, replace(plan, across_metrics=True), seed=seed)
    return found, equalised_odds(found)


def queue_parity(session: Session, queue_id: int, plan: ParityPlan) -> list[ParityReportOut]:
    """People's ratings of each model of a queue, by the design's weights.

    Raises:
        InvalidInput: a queue of pairs, whose votes are of no single output.
    """
    from evaluators.fairness.measures import RatedMeasure

    queue = get_queue(session, queue_id)
    if queue.kind == QueueKind.PAIR:
        raise InvalidInput(
            f"Queue {queue.name!r} shows pairs, and parity is of single outputs.",
            hint="Name a queue of single outputs.",
        )
    reports = []
    for population in read_populations(session, queue, None):
        slices = _slices(session, [output.id for output in population.outputs])
        keys = group_columns([slices[output.id] for output in population.outputs], plan.keys)
        measures: list[Measure] = []
        for criterion in rubric_of(queue).criteria:
            for outcome in criterion.outcomes():
                name = criterion.name
                name += f"={outcome.option}" if outcome.option is not None else ""
                given = population.answers.get(criterion.name, {})
                ratings = [
                    fmean(outcome.read(a.answer) for a in given[output.id])
                    if output.id in given
                    else None
                    for output in population.outputs
                ]
                chances = [output.probability or 1.0 for output in population.outputs]
                clusters = [output.cluster for output in population.outputs]
                scale = 1.0 if outcome.is_rate else None
                measures.append(
                    RatedMeasure(name, ratings, chances, clusters, outcome.is_rate, scale)
                )
        found = [
            replace(one, signature=f"{one.signature}|queue:{queue.id}")
            for one in compare(measures, keys, plan, seed=queue.id)
        ]
        model = population.model
        reports.append(
            ParityReportOut(
                model_version_id=model.id if model else None,
                model=model.label if model else "",
                of=f"queue {queue.name}",
                by="human",
                n_simulated=_simulated(population),
                parities=found,
            )
        )
    return reports


def _simulated(population: Population) -> int:
    """Reviewed outputs of which an answer is by a script."""
    here = {output.id for output in population.outputs}
    return len(
        {
            unit
            for given in population.answers.values()
            for unit, answers in given.items()
            if unit in here and any(one.simulated for one in answers)
        }
    )


def _slices(session: Session, generation_ids: Sequence[int]) -> dict[int, Mapping[str, object]]:
    query = select(Generation.id, Example.slices)
    query = query.join(Example, Example.id == Generation.example_id)
    return {row[0]: row[1] for row in rows_for(session, query, Generation.id, generation_ids)}
