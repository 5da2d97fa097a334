"""The scoring job: every score that the ledger of a score run lacks.

Three phases: what can be told from an output alone, then the checks that ask a model, which an
engine has to hold, then what is computed from the scores of the whole run (a risk).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from backend.db import reading, utc_now
from backend.engines import ELSEWHERE
from backend.errors import Conflict
from backend.executors.worth import map_if_worth
from backend.jobs.checkers import load_model, require_preflight
from backend.jobs.parts import Parts, Workshop
from backend.services import queue
from backend.services.checks.asked import AskedCheck, find_asked_check
from backend.services.checks.asker import EngineAsker
from backend.services.checks.risk import score_run_risks
from backend.services.metric_specs import BUILT_IN
from backend.services.models.versions import register_base, served_model
from backend.services.runs import generation, scoring
from backend.tables.models import ModelKind
from backend.tables.queue import Job, JobState
from backend.tables.runs import IMPORT

if TYPE_CHECKING:
    from evaluators.chunks import ScoreChunk
    from evaluators.metric import Metric

CHUNK = 250
FIRST_CHUNK = 32
ASKED_CHUNK = 32


def score_parts(shop: Workshop, job: Job) -> Parts:
    """Score what the run lacks, a chunk of generations in each part.

    Raises:
        Conflict: the generation run is not finished.
        Forbidden: a metric that the project may not use, whoever named it.
        EngineUnavailable: nobody serves a model that a check asks; what was scored stays.
    """
    with reading(shop.sessions) as session:
        project_id = _require_generations(session, job.subject_id)
        units = scoring.pending_units(session, job.subject_id)
    asked, fitted = _later_names(units)
    yield from _score_alone(shop, job.subject_id, project_id, _without(units, [*asked, *fitted]))
    for name in asked:
        yield from _score_asking(shop, job.subject_id, project_id, _only(units, name))
    for name in fitted:
        yield from _score_fitted(shop, job.subject_id, _only(units, name))
    _finish(shop, job)


def _later_names(units: Sequence[scoring.ScoreUnit]) -> tuple[list[str], list[str]]:
    """The metrics that ask a model, and those that are computed from the scores of the run."""
    from evaluators.registry import is_asked, is_fitted

    names = list(dict.fromkeys(name for unit in units for name in unit.metrics))
    return [n for n in names if is_asked(n)], [n for n in names if is_fitted(n)]


def _without(units: Sequence[scoring.ScoreUnit], names: Sequence[str]) -> list[scoring.ScoreUnit]:
    kept = [tuple(name for name in unit.metrics if name not in names) for unit in units]
    return [
        replace(unit, metrics=metrics) for unit, metrics in zip(units, kept, strict=True) if metrics
    ]


def _only(units: Sequence[scoring.ScoreUnit], name: str) -> list[scoring.ScoreUnit]:
    return [replace(unit, metrics=(name,)) for unit in units if name in unit.metrics]


def _score_alone(
    shop: Workshop, score_run_id: int, project_id: int, units: Sequence[scoring.ScoreUnit]
) -> Parts:
    """What can be told from an output alone: what loads a model here, the rest by the executor."""
    from evaluators.registry import loads_model

    allowed = scoring.allowed_metrics(shop.settings, project_id)
    names = list(dict.fromkeys(name for unit in units for name in unit.metrics))
    loading = [name for name in names if loads_model(name)]
    yield from _score_pure(shop, score_run_id, allowed.made_of(names), _without(units, loading))
    for name in loading:
        yield from _score_chunks(shop, score_run_id, _only(units, name), CHUNK, allowed.resolve)


def _score_pure(
    shop: Workshop,
    score_run_id: int,
    made_of: Mapping[str, str],
    units: Sequence[scoring.ScoreUnit],
) -> Parts:
    """Have the executor compute while this process alone reads the database and writes to it."""
    from evaluators.chunks import score_chunk

    chunks = (_load_chunk(shop, some, made_of) for some in _growing(units))
    scored = map_if_worth(
        shop.executor(), score_chunk, chunks, size=lambda c: len(c.outputs), total=len(units)
    )
    with closing(scored):
        for rows in scored:
            with shop.sessions.begin() as session:
                scoring.save_scores(session, score_run_id, rows)
            yield


def _load_chunk(
    shop: Workshop, units: Sequence[scoring.ScoreUnit], made_of: Mapping[str, str]
) -> ScoreChunk:
    with reading(shop.sessions) as session:
        written = scoring.load_generations(session, [unit.generation_id for unit in units])
        others = scoring.load_others(session, written) if _reads_others(units) else {}
        return scoring.chunk_of(units, written, made_of=made_of, others=others)


def _growing(units: Sequence[scoring.ScoreUnit]) -> Iterator[Sequence[scoring.ScoreUnit]]:
    """Chunks of which the first are small: they tell soon whether the rest is worth a pool."""
    start, size = 0, FIRST_CHUNK
    while start < len(units):
        yield units[start : start + size]
        start, size = start + size, min(2 * size, CHUNK)


def _score_asking(
    shop: Workshop, score_run_id: int, project_id: int, units: Sequence[scoring.ScoreUnit]
) -> Parts:
    """One check, with the engine that holds the model it asks."""
    (name,) = units[0].metrics
    with reading(shop.sessions) as session:
        check = find_asked_check(session, project_id, name)
        engine_name = _engine_of(shop, session, score_run_id, check)
        base = register_base(session, project_id)
    engine = load_model(shop, engine_name, base, check.model)
    yield  # loading takes minutes, in which a person may have cancelled
    if check.probes:
        require_preflight(shop, engine, base, check.model, check.probes)
        yield
    metric = check.open(EngineAsker(engine, served_model(check.model)))
    yield from _score_chunks(shop, score_run_id, units, ASKED_CHUNK, lambda names: [metric])


def _score_fitted(shop: Workshop, score_run_id: int, units: Sequence[scoring.ScoreUnit]) -> Parts:
    """One risk, from the other scores of the whole run: each output is held against the others."""
    (name,) = units[0].metrics
    with reading(shop.sessions) as session:
        scores, signature = score_run_risks(session, score_run_id, name)
    for start in range(0, len(units), CHUNK):
        some = units[start : start + CHUNK]
        rows = scoring.fitted_rows(some, scores, resolve=BUILT_IN.resolve, signature=signature)
        with shop.sessions.begin() as session:
            scoring.save_scores(session, score_run_id, rows)
        yield


def _engine_of(shop: Workshop, session: Session, score_run_id: int, check: AskedCheck) -> str:
    """The engine of the run, if it can hold the model; of imported outputs that of the settings."""
    if check.model.kind == ModelKind.SERVED:
        return ELSEWHERE
    name = scoring.get_score_run(session, score_run_id).generation_run.engine
    return shop.settings.engine if name in (IMPORT, ELSEWHERE) else name


def _score_chunks(
    shop: Workshop,
    score_run_id: int,
    units: Sequence[scoring.ScoreUnit],
    size: int,
    resolve: Callable[[Sequence[str]], list[Metric]],
) -> Parts:
    for start in range(0, len(units), size):
        some = units[start : start + size]
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


def _require_generations(session: Session, score_run_id: int) -> int:
    """The project of a score run whose generations are all there. Raises Conflict."""
    run = scoring.get_score_run(session, score_run_id).generation_run
    run_id = run.id
    progress = generation.run_progress(session, run_id)
    if progress.missing:
        raise Conflict(
            f"Run {run_id} lacks {progress.missing} of {progress.total} generations, "
            "so it cannot be scored.",
            hint=f"Finish it first: strop run --resume {run_id}",
        )
    return run.project_id


def _finish(shop: Workshop, job: Job) -> None:
    """Check that nothing is missing and mark the job done."""
    with shop.sessions.begin() as session:
        missing = scoring.pending_units(session, job.subject_id)
        if missing:
            raise Conflict(
                f"{len(missing)} generations of score run {job.subject_id} came in meanwhile.",
                hint="Score it again.",
            )
        queue.finish_job(session, job.id, job.attempt, JobState.DONE, now=utc_now(), exit_code=0)
