"""Candidate against baseline on parts of the examples: the slices that the manifest names, and
those that the dataset has.

They are for reading, not for the verdict: whoever looks at twenty slices finds one that differs.
Holm's adjusted p-values over all of them say so.

Flips: examples on which the candidate is better, or worse, than the baseline, to be read.

Length and cost: what an answer of each model takes, in tokens, seconds and money, paired by
example. The price of tokens is the manifest's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import CannotCompute
from backend.schemas.projects import Manifest, Price
from backend.schemas.turns import turns_of
from backend.schemas.verdicts import FlipOut, FlipsOut
from backend.services.metric_specs import MetricSpec, get_score_run, metric_specs
from backend.services.runs.figures import KeptFigures, PairedFigure, digest_of, paired_figures
from backend.services.runs.generation import slices_of_run
from backend.tables.datasets import Example
from backend.tables.models import ModelKind, ModelVersion
from backend.tables.runs import Generation, Score, ScoreRun
from evaluators.statistics.testing import holm

if TYPE_CHECKING:
    from evaluators.metric import Metric
    from evaluators.types import Difference
    from evaluators.types import Score as Figure

MOST_VALUES = 12
"""A key with more values than this is no slice but a name of each example."""


@dataclass(frozen=True, slots=True)
class SlicedFigure:
    """A paired difference on one slice; `p_holm` is adjusted over all that have a p-value."""

    figure: PairedFigure
    named: bool
    p_holm: float | None


def sliced_figures(
    session: Session,
    score_run_id: int,
    baseline_id: int,
    candidate_id: int,
    *,
    bar: Manifest,
    kept: KeptFigures | None = None,
) -> list[SlicedFigure]:
    """The manifest's metrics on every slice, those named in the manifest first.

    Args:
        kept: as in `figures.model_figures`.
    """
    run = get_score_run(session, score_run_id)
    known = slices_of_run(session, run.generation_run)
    named = [MetricSpec(line.metric, dict(line.slice)) for line in bar.lines if line.slice]
    scored = [s for s in metric_specs(run) if s.metric in {line.metric for line in bar.lines}]
    metrics = {spec.metric for spec in scored}
    asked = {spec.label: spec for spec in named if spec.metric in metrics}
    of_manifest = set(asked)
    for spec in _of_dataset(scored, known):
        asked.setdefault(spec.label, spec)
    specs = list(asked.values())
    found = paired_figures(session, run.id, baseline_id, candidate_id, specs=specs, kept=kept)
    return _with_holm(found, of_manifest)


def _of_dataset(
    scored: Sequence[MetricSpec], known: Sequence[Mapping[str, Any]]
) -> list[MetricSpec]:
    """Each scored metric on each value of each key, as far as its own slice leaves room."""
    counts = Counter((key, str(value)) for slices in known for key, value in slices.items())
    values = Counter(key for key, _ in counts)
    pairs = sorted(pair for pair, n in counts.items() if n > 1 and values[pair[0]] <= MOST_VALUES)
    return [
        MetricSpec(spec.metric, {**spec.slice, key: value})
        for spec in scored
        for key, value in pairs
        if spec.slice.get(key, value) == value
    ]


def _with_holm(found: Sequence[PairedFigure], named: set[str]) -> list[SlicedFigure]:
    tested = [one for one in found if one.difference is not None]
    ps = [one.difference.p for one in tested if one.difference is not None]
    adjusted = dict(zip(map(id, tested), holm(ps) if ps else [], strict=True))
    return [SlicedFigure(one, one.spec.label in named, adjusted.get(id(one))) for one in found]


Change = Literal["better", "worse"]
READ = {"yield_per": 10_000}


class _Pair(NamedTuple):
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
) -> FlipsOut:
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
    shown = [_flip(session, pair, "worse") for pair in worse[:limit]]
    shown += [_flip(session, pair, "better") for pair in better[:limit]]
    return FlipsOut(
        metric=spec.metric,
        slice=dict(spec.slice),
        better=len(better),
        worse=len(worse),
        same=len(pairs) - len(better) - len(worse),
        n=len(pairs),
        examples=shown,
    )


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
    old = {unit: (output, value) for unit, output, value in _valued(session, run, models[0], spec)}
    sign = 1 if higher else -1
    return [
        _Pair(*unit, old[unit], (output, value), sign * (value - old[unit][1]))
        for unit, output, value in _valued(session, run, models[1], spec)
        if unit in old
    ]


def _valued(
    session: Session, run: ScoreRun, model_id: int, spec: MetricSpec
) -> Iterator[tuple[tuple[int, int], int, float]]:
    """The unit, the output and the value of each score of a model on a slice, where it has one."""
    query = (
        select(Generation.id, Generation.example_id, Generation.sample, Score.value)
        .join(Score, Score.generation_id == Generation.id)
        .where(Score.score_run_id == run.id, Score.metric == spec.metric)
        .where(Generation.model_version_id == model_id, Score.value.is_not(None))
    )
    if spec.slice:  # the texts of a slice are read only where there is one
        query = query.join(Example, Example.id == Generation.example_id).add_columns(Example.slices)
    for row in session.execute(query, execution_options=READ):
        output, example, sample, value, slices = *row[:4], row[4:]
        if value is not None and (not slices or spec.covers(slices[0])):
            yield (example, sample), output, value


def _flip(session: Session, pair: _Pair, change: Change) -> FlipOut:
    example = session.get_one(Example, pair.example_id)
    old = session.get_one(Generation, pair.baseline[0])
    new = session.get_one(Generation, pair.candidate[0])
    return FlipOut(
        change=change,
        example_id=example.id,
        external_id=example.external_id,
        input=example.input,
        turns=turns_of(example.messages),
        context=example.context,
        references=[str(text) for text in example.references],
        sample=pair.sample,
        baseline_text=old.text or "",
        candidate_text=new.text or "",
        baseline_score=pair.baseline[1],
        candidate_score=pair.candidate[1],
    )


MILLION = 1_000_000
PROMPT = "prompt_tokens"
Unit = tuple[int, int]  # example, sample


class AnswerUse(NamedTuple):
    """What one answer took, and the group of its example; 0 of an `imported` one is not known."""

    group: str | None
    error: str | None
    prompt_tokens: int
    completion_tokens: int
    latency_s: float
    imported: bool


def usage_differences(
    session: Session,
    run: ScoreRun,
    baseline_id: int,
    candidate_id: int,
    *,
    price: Price | None,
    kept: KeptFigures | None = None,
) -> list[PairedFigure]:
    """Candidate minus baseline in tokens read and written, seconds, and money for each answer.

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


def usage_scores(
    session: Session, run: ScoreRun, model_id: int, *, price: Price | None
) -> dict[str, tuple[Metric, dict[Unit, Figure]]]:
    """What `usage_differences` compares, of one model: by name, the metric and what each answer
    took, in the order of (example, sample)."""
    written = _written(session, run, model_id)
    return {
        name: (metric, {unit: _score(name, use, price) for unit, use in written.items()})
        for name, metric in _metrics(price).items()
    }


def _compare(
    name: str,
    old: Mapping[Unit, AnswerUse],
    new: Mapping[Unit, AnswerUse],
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
    from evaluators.metrics.edits import COST, LATENCY, PROMPT_TOKENS, TOKENS

    found = {PROMPT: PROMPT_TOKENS, "tokens": TOKENS, "latency": LATENCY}
    return {**found, **({"cost": COST} if price else {})}


def _written(session: Session, run: ScoreRun, model_id: int) -> dict[Unit, AnswerUse]:
    unit = (Generation.example_id, Generation.sample)
    used = (Generation.prompt_tokens, Generation.completion_tokens, Generation.latency_s)
    imported = ModelVersion.kind == ModelKind.OUTPUTS
    query = (
        select(*unit, Example.group, Generation.error, *used, imported)
        .join(Example, Example.id == Generation.example_id)
        .join(ModelVersion, ModelVersion.id == Generation.model_version_id)
        .where(Generation.run_id == run.generation_run_id)
        .where(Generation.model_version_id == model_id)
        .order_by(Generation.example_id, Generation.sample)
    )
    session.flush()
    found = session.connection().execute(query).all()
    return {(row[0], row[1]): AnswerUse._make(row[2:]) for row in found}


_TAKEN: Mapping[str, Callable[[AnswerUse], tuple[float, ...]]] = {
    PROMPT: lambda use: (use.prompt_tokens,),
    "tokens": lambda use: (use.completion_tokens,),
    "latency": lambda use: (use.latency_s,),
    "cost": lambda use: (use.prompt_tokens, use.completion_tokens),
}


def _score(name: str, written: AnswerUse, price: Price | None) -> Figure:
    from evaluators.types import Score as Figure

    if written.error is not None:
        return Figure(None, error=written.error)
    if written.imported and not all(_TAKEN[name](written)):
        return Figure(None, error="the imported output does not say what it took")
    if name != "latency" and not (written.prompt_tokens or written.completion_tokens):
        return Figure(None, error="whoever wrote it reported no token count")
    if name != "cost":
        return Figure(float(_TAKEN[name](written)[0]))
    assert price is not None
    paid = written.prompt_tokens * price.prompt + written.completion_tokens * price.completion
    return Figure(paid / MILLION)
