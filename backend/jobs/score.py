"""The scoring job: every score that the ledger of a score run lacks.

Three phases: what can be told from an output alone, then the checks that ask a model, which an
engine has to hold, then what is computed from the scores of the whole run (a risk).
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from backend.db import portions, reading, utc_now
from backend.engines import ELSEWHERE
from backend.errors import Conflict
from backend.executors.worth import map_if_worth
from backend.jobs.checkers import load_model, require_preflight
from backend.jobs.running.parts import Parts, Workshop
from backend.jobs.running.sharing import Leases, all_done, chunk_sizes, is_wanted_elsewhere, lead
from backend.services import chunks, queue
from backend.services.checks.asker import EngineAsker, first_questions
from backend.services.checks.model_checks import ModelCheck, find_model_check
from backend.services.checks.risk import score_run_risks
from backend.services.chunks import LeasedChunk
from backend.services.metric_specs import BUILT_IN, allowed_metrics, get_score_run, metric_specs
from backend.services.models.versions import register_base, served_model
from backend.services.runs import generation, scoring
from backend.tables.models import ModelKind
from backend.tables.queue import Job, JobState
from backend.tables.runs import IMPORT

if TYPE_CHECKING:
    from evaluators.checks.models.interface import Asker, Prompt
    from evaluators.chunks import ScoreChunk
    from evaluators.metric import Metric

log = logging.getLogger(__name__)
CHUNK = 250
FIRST_CHUNK = 32
ASKED_CHUNK = 32


@dataclass(frozen=True, slots=True)
class _ScorePlan:
    """How the metrics of a score run are computed.

    Attributes:
        alone: what can be told from an output alone, in chunks that workers share.
        loading: those of them that load a model, which uses every processor by itself: they stay
            in this process.
        asked, fitted: what the leader does when all else is done.
        made_of: as `AllowedMetrics.made_of`.
    """

    project_id: int
    alone: tuple[str, ...]
    loading: frozenset[str]
    asked: tuple[str, ...]
    fitted: tuple[str, ...]
    made_of: Mapping[str, str]

    @property
    def later(self) -> frozenset[str]:
        return frozenset(self.asked + self.fitted)


def score_parts(shop: Workshop, job: Job) -> Parts:
    """Score what the run lacks, a chunk of generations in each part, and lead whoever helps.

    What can be told from an output alone is shared; the checks that ask a model and what is
    computed from the whole run are done by whoever leads, when all else is there.

    Raises:
        Conflict: the generation run is not finished.
        Forbidden: a metric that the project may not use, whoever named it.
        EngineUnavailable: nobody serves a model that a check asks; what was scored stays.
    """
    with reading(shop.sessions) as session:
        _require_generations(session, job.subject_id)
        plan = _plan(shop, session, job.subject_id)
    if plan.alone:
        _lay_down(shop, job)
        yield from lead(shop, job, lambda: _score_free(shop, job, plan))
    if plan.later:
        yield from _score_later(shop, job, plan)
    _finish(shop, job)


def help_to_score(shop: Workshop, job: Job) -> Parts:
    """Score what is free of a run that another worker leads; errors as `score_parts`."""
    with reading(shop.sessions) as session:
        plan = _plan(shop, session, job.subject_id)
    yield from _score_free(shop, job, plan, helping=True)
    if not plan.later and all_done(shop, job):
        _finish(shop, job)


def _plan(shop: Workshop, session: Session, score_run_id: int) -> _ScorePlan:
    from evaluators.registry import asks_model, is_fitted, loads_model

    run = get_score_run(session, score_run_id)
    project_id = run.generation_run.project_id
    names = list(dict.fromkeys(spec.metric for spec in metric_specs(run)))
    asked = tuple(name for name in names if asks_model(name))
    fitted = tuple(name for name in names if is_fitted(name))
    alone = tuple(name for name in names if name not in asked + fitted)
    return _ScorePlan(
        project_id,
        alone,
        frozenset(name for name in alone if loads_model(name)),
        asked,
        fitted,
        allowed_metrics(shop.settings, project_id).made_of(alone) if alone else {},
    )


def _lay_down(shop: Workshop, job: Job) -> None:
    with reading(shop.sessions) as session:
        total = scoring.count_generations(session, job.subject_id)
        sizes = chunk_sizes(total, least=FIRST_CHUNK, most=CHUNK)
        ids = scoring.generation_ids(session, job.subject_id)
        ranges = list(chunks.ranges_of(ids, sizes))
    with shop.sessions.begin() as session:
        chunks.lay_down_chunks(session, job.id, job.attempt, ranges)


def _score_later(shop: Workshop, job: Job, plan: _ScorePlan) -> Parts:
    score_run_id = job.subject_id
    with reading(shop.sessions) as session:
        units = scoring.pending_units(session, score_run_id)
    named = {name for unit in units for name in unit.metrics}
    for name in plan.asked:
        if name in named:
            yield from _score_asking(shop, job, plan.project_id, _only(units, name))
    for name in plan.fitted:
        if name in named:
            yield from _score_fitted(shop, score_run_id, _only(units, name))


def _without(units: Sequence[scoring.ScoreUnit], names: Collection[str]) -> list[scoring.ScoreUnit]:
    """The units with other metrics than these, as far as they have any."""
    kept = [tuple(name for name in unit.metrics if name not in names) for unit in units]
    return [
        replace(unit, metrics=metrics) for unit, metrics in zip(units, kept, strict=True) if metrics
    ]


def _only(units: Sequence[scoring.ScoreUnit], name: str) -> list[scoring.ScoreUnit]:
    return [replace(unit, metrics=(name,)) for unit in units if name in unit.metrics]


@dataclass(frozen=True, slots=True)
class _LeasedChunk:
    """A chunk that this worker has leased, with what is to be computed of it, and where."""

    lease: LeasedChunk
    pure: ScoreChunk
    loading: ScoreChunk


def _score_free(shop: Workshop, job: Job, plan: _ScorePlan, *, helping: bool = False) -> Parts:
    """Score chunks while any are free; a helper leaves where it is wanted elsewhere.

    The executor computes, while this process alone reads the database and writes to it.
    """
    from evaluators.chunks import Timing, score_chunk, this_process

    with reading(shop.sessions) as session:
        left = chunks.chunk_progress(session, job.id, job.attempt).left
    window: deque[_LeasedChunk] = deque()
    with Leases(shop, job) as leases:

        def pure_chunks() -> Iterator[ScoreChunk]:
            while not (helping and is_wanted_elsewhere(shop, job)):
                taken = _next_chunk(shop, job, plan, leases)
                if taken is None:
                    return
                window.append(taken)
                yield taken.pure

        scored = map_if_worth(
            shop.executor(),
            Timing(score_chunk),
            pure_chunks(),
            size=lambda chunk: len(chunk.outputs),
            total=left,
        )
        with closing(scored):
            for timed in scored:
                taken = window.popleft()
                if timed.process != this_process():
                    shop.spending.add_processor(job.id, timed.processor_s)
                rows = timed.rows + _score_loading(shop, job, taken.loading)
                with shop.sessions.begin() as session:
                    scoring.save_scores(session, job.subject_id, rows)
                    leases.finish(session, taken.lease)
                yield


def _score_loading(shop: Workshop, job: Job, chunk: ScoreChunk) -> list[dict[str, Any]]:
    """Scores by models of this process, which may be on its GPU."""
    from evaluators.chunks import score_chunk

    begun = time.monotonic()
    rows = score_chunk(chunk)
    shop.spending.add_gpu(job.id, time.monotonic() - begun)
    return rows


def _next_chunk(shop: Workshop, job: Job, plan: _ScorePlan, leases: Leases) -> _LeasedChunk | None:
    """The next free chunk of which something lacks; None where none is free."""
    while (lease := leases.lease()) is not None:
        taken = _load_chunk(shop, job.subject_id, plan, lease)
        if taken is not None:
            return taken
        with shop.sessions.begin() as session:
            leases.finish(session, lease)
    return None


def _load_chunk(
    shop: Workshop, score_run_id: int, plan: _ScorePlan, lease: LeasedChunk
) -> _LeasedChunk | None:
    with reading(shop.sessions) as session:
        units = scoring.pending_units(session, score_run_id, between=(lease.first, lease.last))
        units = _without(units, plan.later)
        if not units:
            return None
        written = scoring.load_generations(session, [unit.generation_id for unit in units])
        others = scoring.load_others(session, written) if _reads_others(units) else {}
        named = {name for unit in units for name in unit.metrics}
        pure, loading = (
            scoring.chunk_of(
                _without(units, left_out), written, made_of=plan.made_of, others=others
            )
            for left_out in (plan.loading, named - plan.loading)
        )
    return _LeasedChunk(lease, pure, loading)


def _score_asking(
    shop: Workshop, job: Job, project_id: int, units: Sequence[scoring.ScoreUnit]
) -> Parts:
    """One check, with the engine that holds the model it asks."""
    score_run_id = job.subject_id
    (name,) = units[0].metrics
    with reading(shop.sessions) as session:
        check = find_model_check(session, project_id, name)
        engine_name = _engine_of(shop, session, score_run_id, check)
        base = register_base(session, project_id)
    with shop.spending.holding_engine(job.id, engine_name):
        engine = load_model(shop, engine_name, base, check.model)
        yield  # loading takes minutes, in which a person may have cancelled
        if probes := check.probes or _questions(shop, check, units):
            require_preflight(shop, engine, check.model.engine_base or base, check.model, probes)
            yield
        metric = check.open(EngineAsker(engine, served_model(check.model)))
        yield from _score_chunks(shop, score_run_id, units, ASKED_CHUNK, lambda names: [metric])


def _questions(
    shop: Workshop, check: ModelCheck, units: Sequence[scoring.ScoreUnit]
) -> list[Prompt]:
    """What a check would ask an adapter of the first outputs; the base is what any run checks.

    None where it asks nothing of any output: then no score rests on the adapter.
    """

    def ask(some: Sequence[scoring.ScoreUnit], asker: Asker) -> None:
        with reading(shop.sessions) as session:
            written = scoring.load_generations(session, [unit.generation_id for unit in some])
        scoring.score_units(some, written, resolve=lambda names: [check.open(asker)])

    if check.model.without_prompt.adapter_path is None:
        return []
    found = first_questions(units, ask)
    if not found:
        what = (units[0].metrics[0], len(units), check.model.label)
        log.warning("%s asks nothing of any of %d outputs: %s has no preflight.", *what)
    return found


def _score_fitted(shop: Workshop, score_run_id: int, units: Sequence[scoring.ScoreUnit]) -> Parts:
    """One risk, from the other scores of the whole run: each output is held against the others."""
    (name,) = units[0].metrics
    with reading(shop.sessions) as session:
        scores, signature = score_run_risks(session, score_run_id, name)
    for some in portions(units, CHUNK):
        rows = scoring.fitted_rows(some, scores, resolve=BUILT_IN.resolve, signature=signature)
        with shop.sessions.begin() as session:
            scoring.save_scores(session, score_run_id, rows)
        yield


def _engine_of(shop: Workshop, session: Session, score_run_id: int, check: ModelCheck) -> str:
    """The engine of the run, if it can hold the model; of imported outputs that of the settings."""
    if check.model.kind == ModelKind.SERVED:
        return ELSEWHERE
    name = get_score_run(session, score_run_id).generation_run.engine
    return shop.settings.engine if name in (IMPORT, ELSEWHERE) else name


def _score_chunks(
    shop: Workshop,
    score_run_id: int,
    units: Sequence[scoring.ScoreUnit],
    size: int,
    resolve: Callable[[Sequence[str]], list[Metric]],
) -> Parts:
    for some in portions(units, size):
        with reading(shop.sessions) as session:
            written = scoring.load_generations(session, [unit.generation_id for unit in some])
            others = scoring.load_others(session, written) if _reads_others(some) else {}
        rows = scoring.score_units(some, written, resolve=resolve, others=others)
        with shop.sessions.begin() as session:
            scoring.save_scores(session, score_run_id, rows)
        yield


def _reads_others(units: Sequence[scoring.ScoreUnit]) -> bool:
    """Whether a metric looks at what the other models of the run answered."""
    from evaluators.registry import METRICS

    names = {name for unit in units for name in unit.metrics}
    return any(METRICS[name].reads_others for name in names if name in METRICS)


def _require_generations(session: Session, score_run_id: int) -> None:
    """Raise Conflict where generations of a score run are not there."""
    run_id = get_score_run(session, score_run_id).generation_run_id
    progress = generation.run_progress(session, run_id)
    if progress.missing:
        raise Conflict(
            f"Run {run_id} lacks {progress.missing} of {progress.total} generations, "
            "so it cannot be scored.",
            hint=f"Finish it first: strop run --resume {run_id}",
        )


def _finish(shop: Workshop, job: Job) -> None:
    """Check that nothing is missing and mark the job done."""
    with shop.sessions.begin() as session:
        missing = _count_missing(session, job.subject_id)
        if missing:
            raise Conflict(
                f"{missing} generations of score run {job.subject_id} came in meanwhile.",
                hint="Score it again.",
            )
        queue.finish_job(session, job.id, job.attempt, JobState.DONE, now=utc_now(), exit_code=0)


def _count_missing(session: Session, score_run_id: int) -> int:
    """How many generations lack a score; by two counts, unless one does."""
    progress = scoring.score_progress(session, score_run_id)
    if progress.done == progress.total:
        return 0
    return len(scoring.pending_units(session, score_run_id))
