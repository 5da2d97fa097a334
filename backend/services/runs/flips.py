"""Flips: examples on which the candidate is better, or worse, than the baseline, to be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import CannotCompute
from backend.services.metric_specs import MetricSpec, get_score_run, metric_specs
from backend.tables.datasets import Example
from backend.tables.runs import Generation
from backend.tables.scoring import Score, ScoreRun

Change = Literal["better", "worse"]


@dataclass(frozen=True, slots=True)
class Flip:
    """One example with what both models wrote and how each scored; the higher gap first."""

    change: Change
    example_id: int
    external_id: str
    input: str
    context: str | None
    references: list[str]
    sample: int
    baseline_text: str
    candidate_text: str
    baseline_score: float
    candidate_score: float


@dataclass(frozen=True, slots=True)
class Flips:
    """What flipped on one metric.

    Attributes:
        better, worse, same: how many examples; `n` is their sum.
        examples: of each kind at most as many as were asked for.
    """

    metric: str
    slice: dict[str, str]
    better: int
    worse: int
    same: int
    examples: list[Flip]

    @property
    def n(self) -> int:
        """Pairs in which both sides have a value of their own."""
        return self.better + self.worse + self.same


@dataclass(frozen=True, slots=True)
class _Pair:
    example_id: int
    sample: int
    baseline: tuple[int, float]  # generation, value
    candidate: tuple[int, float]
    gain: float


def find_flips(
    session: Session,
    score_run_id: int,
    baseline_id: int,
    candidate_id: int,
    *,
    metric: str | None = None,
    limit: int = 5,
) -> Flips:
    """The examples that flipped, the largest gaps first.

    Args:
        metric: `name` or `name@key=value` as the score run has it; default: its first one.
        limit: examples of each kind.

    Raises:
        CannotCompute: the metric was not scored, or gives no value to a single example.
    """
    from evaluators.registry import resolve_metrics

    run = get_score_run(session, score_run_id)
    spec = _chosen(run, metric)
    higher = resolve_metrics([spec.metric])[0].higher_is_better
    pairs = _pairs(session, run, (baseline_id, candidate_id), spec, higher=higher)
    if not pairs:
        raise CannotCompute(
            f"{spec.label} gives no value to a single example of both models.",
            hint="Name another metric: " + ", ".join(s.label for s in metric_specs(run)) + ".",
        )
    better = sorted((p for p in pairs if p.gain > 0), key=lambda p: (-p.gain, p.example_id))
    worse = sorted((p for p in pairs if p.gain < 0), key=lambda p: (p.gain, p.example_id))
    same = len(pairs) - len(better) - len(worse)
    shown = [_flip(session, pair, "worse") for pair in worse[:limit]]
    shown += [_flip(session, pair, "better") for pair in better[:limit]]
    return Flips(spec.metric, dict(spec.slice), len(better), len(worse), same, shown)


def _chosen(run: ScoreRun, metric: str | None) -> MetricSpec:
    specs = metric_specs(run)
    found = next((s for s in specs if metric in (None, s.label)), None)
    if found is None:
        raise CannotCompute(
            f"{metric} was not scored." if metric else "Nothing was scored.",
            hint=f"Scored: {', '.join(s.label for s in specs)}." if specs else None,
        )
    return found


def _pairs(
    session: Session, run: ScoreRun, models: tuple[int, int], spec: MetricSpec, *, higher: bool
) -> list[_Pair]:
    query = (
        select(
            Generation.id,
            Generation.model_version_id,
            Generation.example_id,
            Generation.sample,
            Example.slices,
            Score.value,
        )
        .join(Score, Score.generation_id == Generation.id)
        .join(Example, Example.id == Generation.example_id)
        .where(Score.score_run_id == run.id, Score.metric == spec.metric)
        .where(Generation.model_version_id.in_(models), Score.value.is_not(None))
    )
    found: dict[tuple[int, int], dict[int, tuple[int, float]]] = {}
    for generation, model, example, sample, slices, value in session.execute(query):
        if spec.covers(slices):
            found.setdefault((example, sample), {})[model] = (generation, value)
    sign = 1 if higher else -1
    return [
        _Pair(example, sample, old, new, sign * (new[1] - old[1]))
        for (example, sample), sides in found.items()
        if (old := sides.get(models[0])) and (new := sides.get(models[1]))
    ]


def _flip(session: Session, pair: _Pair, change: Change) -> Flip:
    example = session.get_one(Example, pair.example_id)
    old = session.get_one(Generation, pair.baseline[0])
    new = session.get_one(Generation, pair.candidate[0])
    return Flip(
        change=change,
        example_id=example.id,
        external_id=example.external_id,
        input=example.input,
        context=example.context,
        references=[str(text) for text in example.references],
        sample=pair.sample,
        baseline_text=old.text or "",
        candidate_text=new.text or "",
        baseline_score=pair.baseline[1],
        candidate_score=pair.candidate[1],
    )
