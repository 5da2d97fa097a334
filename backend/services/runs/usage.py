"""Length and cost: what an answer of each model takes, in tokens, seconds and money, paired by
example. The price of tokens is the manifest's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.schemas.manifests import Price
from backend.services.metric_specs import MetricSpec
from backend.services.runs.figures import PairedFigure
from backend.services.runs.kept_figures import KeptFigures, digest_of
from backend.tables.datasets import Example
from backend.tables.runs import Generation
from backend.tables.scoring import ScoreRun

if TYPE_CHECKING:
    from evaluators.metric import Metric
    from evaluators.types import Difference, Score

MILLION = 1_000_000
Unit = tuple[int, int]  # example, sample


class Written(NamedTuple):
    """What one answer took, and the group of its example."""

    group: str | None
    error: str | None
    prompt_tokens: int
    completion_tokens: int
    latency_s: float


def usage_differences(
    session: Session,
    run: ScoreRun,
    baseline_id: int,
    candidate_id: int,
    *,
    price: Price | None,
    kept: KeptFigures | None = None,
) -> list[PairedFigure]:
    """Candidate minus baseline in tokens written, seconds, and money for each answer.

    Args:
        kept: as in `figures.model_figures`.
    """
    old, new = _written(session, run, baseline_id), _written(session, run, candidate_id)
    key = digest_of(run.seed, old, new, price and (price.prompt, price.completion))
    found = []
    for name in _metrics(price):

        def make(name: str = name) -> tuple[Difference | None, str | None]:
            return _compare(name, old, new, seed=run.seed, price=price)

        made, error = make() if kept is None else kept.get(("usage", key, name), make)
        found.append(PairedFigure(baseline_id, candidate_id, MetricSpec(name, {}), made, error))
    return found


def _compare(
    name: str,
    old: Mapping[Unit, Written],
    new: Mapping[Unit, Written],
    *,
    seed: int,
    price: Price | None,
) -> tuple[Difference | None, str | None]:
    """The difference, or the reason why there is none."""
    from evaluators.aggregate import paired_difference
    from evaluators.errors import EvaluatorError

    units = [unit for unit in old if unit in new]
    before = [_score(name, old[unit], price) for unit in units]
    after = [_score(name, new[unit], price) for unit in units]
    groups = [old[unit].group for unit in units]
    try:
        return paired_difference(_metrics(price)[name], before, after, groups, seed=seed), None
    except EvaluatorError as error:
        return None, str(error)


def _metrics(price: Price | None) -> Mapping[str, Metric]:
    from evaluators.metrics.costs import COST, LATENCY, TOKENS

    return {"tokens": TOKENS, "latency": LATENCY, **({"cost": COST} if price else {})}


def _written(session: Session, run: ScoreRun, model_id: int) -> dict[Unit, Written]:
    query = (
        select(
            Generation.example_id,
            Generation.sample,
            Example.group,
            Generation.error,
            Generation.prompt_tokens,
            Generation.completion_tokens,
            Generation.latency_s,
        )
        .join(Example, Example.id == Generation.example_id)
        .where(Generation.run_id == run.generation_run_id)
        .where(Generation.model_version_id == model_id)
        .order_by(Generation.example_id, Generation.sample)
    )
    session.flush()
    found = session.connection().execute(query).all()
    return {(row[0], row[1]): Written(*row[2:]) for row in found}


def _score(name: str, written: Written, price: Price | None) -> Score:
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
