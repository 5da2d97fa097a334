"""Length and cost: what an answer of each model takes, in tokens, seconds and money, paired by
example. The price of tokens is the manifest's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.schemas.manifests import Price
from backend.services.figures import PairedFigure
from backend.services.metric_specs import MetricSpec
from backend.tables.datasets import Example
from backend.tables.generation import Generation
from backend.tables.scoring import ScoreRun

if TYPE_CHECKING:
    from evaluators.metric import Metric
    from evaluators.types import Score

MILLION = 1_000_000
Unit = tuple[int, int]  # example, sample


def usage_differences(
    session: Session,
    run: ScoreRun,
    baseline_id: int,
    candidate_id: int,
    *,
    price: Price | None,
) -> list[PairedFigure]:
    """Candidate minus baseline in tokens written, seconds, and money for each answer."""
    from evaluators.aggregate import paired_difference
    from evaluators.errors import EvaluatorError

    old, groups = _written(session, run, baseline_id)
    new, _ = _written(session, run, candidate_id)
    units = [unit for unit in old if unit in new]
    found = []
    for name, metric in _metrics(price).items():
        before = [_score(name, old[unit], price) for unit in units]
        after = [_score(name, new[unit], price) for unit in units]
        clusters = [groups[unit] for unit in units]
        spec = MetricSpec(name, {})
        try:
            difference = paired_difference(metric, before, after, clusters, seed=run.seed)
        except EvaluatorError as error:
            found.append(PairedFigure(baseline_id, candidate_id, spec, None, str(error)))
        else:
            found.append(PairedFigure(baseline_id, candidate_id, spec, difference))
    return found


def _metrics(price: Price | None) -> Mapping[str, Metric]:
    from evaluators.metrics.costs import COST, LATENCY, TOKENS

    return {"tokens": TOKENS, "latency": LATENCY, **({"cost": COST} if price else {})}


def _written(
    session: Session, run: ScoreRun, model_id: int
) -> tuple[dict[Unit, Generation], dict[Unit, str | None]]:
    query = (
        select(Generation, Example.group)
        .join(Example, Example.id == Generation.example_id)
        .where(Generation.run_id == run.generation_run_id)
        .where(Generation.model_version_id == model_id)
        .order_by(Generation.example_id, Generation.sample)
    )
    rows = session.execute(query).all()
    units = {(row[0].example_id, row[0].sample): row for row in rows}
    return (
        {unit: row[0] for unit, row in units.items()},
        {unit: row[1] for unit, row in units.items()},
    )


def _score(name: str, written: Generation, price: Price | None) -> Score:
    from evaluators.types import Score

    if written.error is not None:
        return Score(None, error=written.error)
    if name == "tokens":
        return Score(float(written.completion_tokens))
    if name == "latency":
        return Score(written.latency_s)
    assert price is not None
    paid = written.prompt_tokens * price.prompt + written.completion_tokens * price.completion
    return Score(paid / MILLION)
