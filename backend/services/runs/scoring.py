"""Score runs: which metrics on which slices of a generation run, and the scores themselves.

The ledger is the table: one row for each (score run, generation, metric). A generation that failed
gets a score with an error, so that nothing is dropped. The figures made of them are computed in
`figures` beside it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, cast, func, select
from sqlalchemy.orm import Session, selectinload

from backend.db import portions
from backend.errors import InvalidInput
from backend.schemas.runs import RunProgress
from backend.services.datasets.erased import erased_outputs
from backend.services.ledger import add_to_run, counts_of, text_ids
from backend.services.metric_specs import (
    BUILT_IN,
    AllowedMetrics,
    MetricSpec,
    get_score_run,
    metric_specs,
    parse_metric_specs,
)
from backend.services.runs.generation import get_run, slices_of_run
from backend.services.runs.risks import name_risks
from backend.tables.datasets import Example
from backend.tables.runs import (
    Generation,
    GenerationRun,
    GenerationRunModel,
    Score,
    ScoreRun,
    ScoreSignature,
    annotator_kind,
)

if TYPE_CHECKING:
    from evaluators.chunks import OutputToScore, ScoreChunk
    from evaluators.metric import Metric
    from evaluators.types import Sample
    from evaluators.types import Score as Scored

DEFAULT_SEED = 7


@dataclass(frozen=True, slots=True)
class ScoreUnit:
    """A generation with the metrics that the ledger lacks of it."""

    generation_id: int
    metrics: tuple[str, ...]


def create_score_run(
    session: Session,
    *,
    generation_run_id: int,
    metrics: Sequence[str],
    seed: int = DEFAULT_SEED,
    allowed: AllowedMetrics = BUILT_IN,
) -> ScoreRun:
    """Lay down the scoring of a run.

    Args:
        metrics: `name` or `name@key=value`; `risk` is the newest version of the project's.
        seed: of the bootstrap of every figure.

    Raises:
        Forbidden: a metric that the project may not use.
        NotFound, Conflict: as `name_risks`.
        InvalidInput: a metric is unknown, or a slice has no example in the run.
    """
    run = get_run(session, generation_run_id)
    specs = parse_metric_specs(name_risks(session, run, metrics), allowed)
    slices = slices_of_run(session, run)
    for spec in specs:
        if not any(map(spec.covers, slices)):
            known = sorted({f"{k}={v}" for found in slices for k, v in found.items()})
            raise InvalidInput(
                f"No example of run {run.id} is in the slice of {spec.label!r}.",
                hint=f"Known slices: {', '.join(known[:20]) or 'none'}.",
            )
    row = ScoreRun(
        generation_run_id=generation_run_id,
        metrics=[
            {
                "metric": spec.metric,
                "slice": dict(spec.slice),
                "version": allowed.resolve([spec.metric])[0].version,
            }
            for spec in specs
        ],
        seed=seed,
        n_due=sum(len(_metrics_for(specs, found)) for found in slices),
    )
    session.add(row)
    session.flush()
    return row


def list_score_runs(session: Session, generation_run_id: int) -> list[ScoreRun]:
    """The scorings of a run, oldest first."""
    query = select(ScoreRun).where(ScoreRun.generation_run_id == generation_run_id)
    return list(session.scalars(query.order_by(ScoreRun.id)))


def pending_units(
    session: Session, score_run_id: int, *, between: tuple[int, int] | None = None
) -> list[ScoreUnit]:
    """What the ledger lacks, by generation, in order of id.

    Args:
        between: of the generations with these ids and those between them only; reads no others.
    """
    run = get_score_run(session, score_run_id)
    there: dict[int, set[str]] = {}
    scored = select(Score.generation_id, Score.metric).where(Score.score_run_id == score_run_id)
    written = (
        select(Generation.id, Generation.example_id)
        .where(Generation.run_id == run.generation_run_id)
        .order_by(Generation.id)
    )
    if between is not None:
        scored = scored.where(Score.generation_id.between(*between))
        written = written.where(Generation.id.between(*between))
    for generation_id, metric in session.execute(scored):
        there.setdefault(generation_id, set()).add(metric)
    found = [(row[0], row[1]) for row in session.execute(written)]
    wanted = _metrics_by_example(session, run, {example_id for _, example_id in found})
    units = []
    for generation_id, example_id in found:
        have = there.get(generation_id, set())
        lacking = tuple(m for m in wanted.get(example_id, ()) if m not in have)
        if lacking:
            units.append(ScoreUnit(generation_id, lacking))
    return units


def generation_ids(session: Session, score_run_id: int) -> Iterator[int]:
    """The ids of what a score run is about, in order; they are read as they are asked for."""
    run = get_score_run(session, score_run_id)
    query = select(Generation.id).where(Generation.run_id == run.generation_run_id)
    yield from session.scalars(query.order_by(Generation.id).execution_options(yield_per=10_000))


def count_generations(session: Session, score_run_id: int) -> int:
    """How many outputs a score run is about."""
    run = get_score_run(session, score_run_id)
    query = select(func.count(Generation.id)).where(Generation.run_id == run.generation_run_id)
    return session.scalar(query) or 0


def _metrics_by_example(
    session: Session, run: ScoreRun, example_ids: Collection[int]
) -> dict[int, tuple[str, ...]]:
    specs = metric_specs(run)
    found = {}
    for some in portions(sorted(example_ids)):
        query = select(Example.id, Example.slices).where(Example.id.in_(some))
        for example_id, slices in session.execute(query):
            found[example_id] = _metrics_for(specs, slices)
    return found


def _metrics_for(specs: Sequence[MetricSpec], slices: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(spec.metric for spec in specs if spec.covers(slices)))


def load_generations(session: Session, ids: Sequence[int]) -> list[Generation]:
    """Generations with their examples and models, in order of id."""
    query = select(Generation).where(Generation.id.in_(ids)).order_by(Generation.id)
    beside = (selectinload(Generation.example), selectinload(Generation.model_version))
    return list(session.scalars(query.options(*beside)))


def load_others(session: Session, generations: Sequence[Generation]) -> dict[int, tuple[str, ...]]:
    """For each generation the other texts that its run has for its example, each once.

    Of many MOST_OTHERS, those that follow it in order of id, around the end if need be.
    """
    from evaluators.checks.grounding.others import some_others

    runs = {generation.run_id for generation in generations}
    examples = {generation.example_id for generation in generations}
    query = (
        select(Generation.run_id, Generation.example_id, Generation.id, Generation.text)
        .where(Generation.run_id.in_(runs), Generation.example_id.in_(examples))
        .where(Generation.error.is_(None))
        .order_by(Generation.id)
    )
    told: dict[tuple[int, int], list[tuple[int, str]]] = {}
    for run_id, example_id, generation_id, text in session.execute(query):
        told.setdefault((run_id, example_id), []).append((generation_id, text or ""))
    return {
        g.id: some_others(g.id, g.text or "", told.get((g.run_id, g.example_id), []))
        for g in generations
    }


def sample_of(generation: Generation, example: Example, *, others: tuple[str, ...] = ()) -> Sample:
    """What an evaluator is shown of a generation.

    Time and tokens that came with no imported output are not known, and not 0.
    """
    from evaluators.types import Sample

    made_here = not generation.model_version.only_outputs
    timed = made_here or generation.latency_s
    counted = generation.completion_tokens or (made_here and generation.prompt_tokens)
    return Sample(
        id=f"{example.external_id}:{generation.sample}",
        prediction=generation.text or "",
        references=tuple(example.references),
        context=example.context,
        input=example.input,
        group=example.group,
        slices={key: str(value) for key, value in example.slices.items()},
        logprobs=tuple(generation.token_logprobs),
        others=others,
        seconds=generation.latency_s if timed else None,
        tokens=generation.completion_tokens if counted else None,
    )


def chunk_of(
    units: Sequence[ScoreUnit],
    generations: Sequence[Generation],
    *,
    made_of: Mapping[str, str] = MappingProxyType({}),
    others: Mapping[int, tuple[str, ...]] = MappingProxyType({}),
) -> ScoreChunk:
    """What a process without a database needs to score the units.

    Args:
        generations: all of theirs, with examples and models (`load_generations`).
        made_of: as `AllowedMetrics.made_of`.
        others: by generation, what `load_others` found, for metrics that read it.
    """
    from evaluators.chunks import ScoreChunk

    outputs = tuple(_outputs_of(units, generations, others))
    named = {name for output in outputs for name in output.metrics}
    return ScoreChunk(outputs, {name: made_of[name] for name in made_of if name in named})


def _outputs_of(
    units: Sequence[ScoreUnit],
    generations: Sequence[Generation],
    others: Mapping[int, tuple[str, ...]],
) -> Iterator[OutputToScore]:
    from evaluators.chunks import OutputToScore

    known = {generation.id: generation for generation in generations}
    for unit in units:
        one = known[unit.generation_id]
        sample = sample_of(one, one.example, others=others.get(one.id, ()))
        yield OutputToScore(one.id, sample, unit.metrics, one.error)


def score_units(
    units: Sequence[ScoreUnit],
    generations: Sequence[Generation],
    *,
    resolve: Callable[[Sequence[str]], Sequence[Metric]] = BUILT_IN.resolve,
    others: Mapping[int, tuple[str, ...]] = MappingProxyType({}),
) -> list[dict[str, Any]]:
    """Ledger rows for the units, made here; arguments as of `chunk_of`. Touches no database.

    Args:
        resolve: gives the metrics of names, as `AllowedMetrics.resolve` does, with its errors;
            one that holds an engine can be given in no chunk.
    """
    from evaluators.chunks import score_outputs

    names = list(dict.fromkeys(name for unit in units for name in unit.metrics))
    return score_outputs(list(_outputs_of(units, generations, others)), resolve(names))


def fitted_rows(
    units: Sequence[ScoreUnit],
    scores: Mapping[int, Scored],
    *,
    resolve: Callable[[Sequence[str]], Sequence[Metric]],
    signature: str,
) -> list[dict[str, Any]]:
    """Ledger rows for units of one metric whose scores were computed from the whole run."""
    from evaluators.chunks import ledger_row

    (metric,) = resolve(units[0].metrics)
    return [
        ledger_row(unit.generation_id, metric, scores[unit.generation_id], signature)
        for unit in units
        if unit.generation_id in scores
    ]


def save_scores(session: Session, score_run_id: int, rows: Sequence[Mapping[str, Any]]) -> int:
    """Write scores into the ledger; what is there already stays. Returns how many were new.

    Of an output that was erased while it was scored the number stays, and no word.
    """
    gone = erased_outputs(session, (row["generation_id"] for row in rows))
    bare: dict[str, Any] = {"explanation": None, "spans": [], "stats": [], "label": None}
    kept = [{**row, **bare} if row["generation_id"] in gone else row for row in rows]
    ids = text_ids(session, ScoreSignature, (row["signature"] for row in kept))
    return add_to_run(session, ScoreRun, score_run_id, [_with_id(row, ids) for row in kept])


def _with_id(row: Mapping[str, Any], ids: Mapping[str, int]) -> dict[str, Any]:
    """A row whose signature is named by its id, and who says by whom the score is."""
    kept = {key: value for key, value in row.items() if key != "signature"}
    by = {"annotator_kind": annotator_kind(row["metric"]), "signature_id": ids[row["signature"]]}
    return {**by, **kept}


def score_progress(session: Session, score_run_id: int) -> RunProgress:
    """How many of the scores are there; the total counts what is generated by now.

    Of a run with slices it is what will be due when all is generated. Two rows are read, and no
    example, but for a scoring that was laid down by a version which did not count what is due.
    """
    run = get_score_run(session, score_run_id)
    found = counts_of(session, ScoreRun, run.id)
    return RunProgress(done=found.done, total=_due(session, run), failed=found.failed)


def _due(session: Session, run: ScoreRun) -> int:
    specs = metric_specs(run)
    if not any(spec.slice for spec in specs):
        written = counts_of(session, GenerationRun, run.generation_run_id).done
        return written * len(_metrics_for(specs, {}))
    if run.n_due is not None:
        models = select(func.count()).where(GenerationRunModel.run_id == run.generation_run_id)
        return run.n_due * run.generation_run.samples * (session.scalar(models) or 0)
    return _due_by_slices(session, run, specs)


def _due_by_slices(session: Session, run: ScoreRun, specs: Sequence[MetricSpec]) -> int:
    slices = cast(Example.slices, Text)  # JSON has no equality on PostgreSQL
    written = (
        select(slices, func.count(Generation.id))
        .join(Example, Example.id == Generation.example_id)
        .where(Generation.run_id == run.generation_run_id)
        .group_by(slices)
    )
    return sum(n * len(_metrics_for(specs, json.loads(s))) for s, n in session.execute(written))
