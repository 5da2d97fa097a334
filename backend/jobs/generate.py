"""The generation job: preflight, then every answer that the ledger of the run lacks.

The run is laid down in chunks of examples, which any worker of the queue may take; each opens an
engine of its own and checks the models there before it takes the first.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from sqlalchemy.orm import Session

from backend.db import reading, utc_now
from backend.engines import ELSEWHERE
from backend.engines.base import Engine, GenerationRequest, GenerationResult, SamplingParams
from backend.errors import EngineError, EngineUnavailable, InvalidInput
from backend.jobs.preflight import refuse_models
from backend.jobs.running.parts import Parts, Workshop
from backend.jobs.running.sharing import Leases, all_done, chunk_sizes, is_wanted_elsewhere, lead
from backend.services import chunks, queue
from backend.services.chunks import LeasedChunk
from backend.services.datasets.prompts.prompts import prompt_spec
from backend.services.models.adapter_files import project_artifacts
from backend.services.models.versions import register_base, served_model, serving_groups
from backend.services.runs import generation
from backend.tables.models import ModelKind, ModelVersion
from backend.tables.queue import Job, JobState
from backend.tables.runs import GenerationRun

CHUNK = 256
FIRST_CHUNK = 32
SAVE_AFTER_SECONDS = 1.0


def generate_parts(shop: Workshop, job: Job) -> Parts:
    """Write what the run lacks, a chunk of answers in each part, and lead whoever helps.

    Asks for the scoring of the run when all is there.

    Raises:
        EngineUnavailable: the engine gave no answer; what was saved stays.
        PreflightFailed: a model that is served is not the model meant; nothing was generated.
    """
    try:
        yield from write_missing(shop, job, job.subject_id)
    except EngineUnavailable as error:
        raise EngineUnavailable(
            f"Run {job.subject_id} stopped. {error}",
            hint=f"What was written is kept; go on with: strop run --resume {job.subject_id}",
        ) from error
    _finish(shop, job)


def help_to_generate(shop: Workshop, job: Job) -> Parts:
    """Write what is free of a run that another worker leads, each base after a preflight here.

    Errors as `generate_parts`.
    """
    yield from _write_free(shop, job, _load_writing(shop, job.subject_id), helping=True)
    if all_done(shop, job):
        _finish(shop, job)


@dataclass(frozen=True, slots=True)
class _Writing:
    """A run that is written.

    Attributes:
        groups: models that one engine can hold at once, by the part of the job that is theirs.
        asked: those that answer, by part: of one model each of its prompts.
        shows_shots: a prompt has shots, for which the whole train split is read each time.
        encoders: as of `pending_requests`.
    """

    run: GenerationRun
    params: SamplingParams
    groups: Mapping[str, list[ModelVersion]]
    asked: Mapping[str, list[ModelVersion]]
    shows_shots: bool
    encoders: Path


def write_missing(shop: Workshop, job: Job, run_id: int) -> Parts:
    """Write every answer that the ledger of a run lacks, base by base, each after a preflight."""
    writing = _load_writing(shop, run_id)
    _lay_down(shop, job, writing)
    yield from lead(shop, job, lambda: _write_free(shop, job, writing))


def _load_writing(shop: Workshop, run_id: int) -> _Writing:
    with reading(shop.sessions) as session:
        run = generation.get_run(session, run_id)
        base = register_base(session, run.project_id)
        groups = {f"{run_id}:{g[0].id}": g for g in serving_groups(base, run.models)}
        asking = [model for model in run.models if not model.only_outputs]
        prompts = [model.prompt for model in asking if model.prompt is not None]
        return _Writing(
            run,
            generation.run_params(run),
            groups,
            {p: [m for m in asking if m.without_prompt in group] for p, group in groups.items()},
            any(prompt_spec(prompt).shots is not None for prompt in prompts),
            project_artifacts(shop.settings, run.project_id),
        )


def _lay_down(shop: Workshop, job: Job, writing: _Writing) -> None:
    """Lay down the parts of which something lacks; all at once, so that none looks like all."""
    with reading(shop.sessions) as session:
        parts = {part: _ranges(session, writing, part) for part in writing.groups}
    with shop.sessions.begin() as session:
        for part, ranges in parts.items():
            chunks.lay_down_chunks(session, job.id, job.attempt, ranges, part=part)


def _ranges(session: Session, writing: _Writing, part: str) -> list[chunks.Range]:
    """The examples of the run in chunks; none where a part lacks nothing."""
    run, asked = writing.run, [model.id for model in writing.asked[part]]
    ids = generation.example_ids_of_run(session, run)
    each = len(asked) * run.samples
    if generation.count_written(session, run.id, asked) == each * len(ids):
        return []
    sizes = chunk_sizes(each * len(ids), least=FIRST_CHUNK, most=CHUNK)
    return list(chunks.ranges_of(ids, sizes, weight=each))


def _write_free(shop: Workshop, job: Job, writing: _Writing, *, helping: bool = False) -> Parts:
    """Write chunks while any are free, base by base; a helper leaves where it is wanted."""

    def leave() -> bool:
        return helping and is_wanted_elsewhere(shop, job)

    while not leave():
        with reading(shop.sessions) as session:
            part = chunks.free_part(session, job.id, job.attempt, now=utc_now())
        if part is None:
            return
        with Leases(shop, job) as leases:
            line = _Line(shop, writing, part, leases, until=leave)
            with shop.spending.holding_engine(job.id, _engine_of(writing, part)):
                yield from _write_part(shop, writing, part, line, load_first=helping)


@dataclass(slots=True)
class _Line:
    """The requests of one part as an engine takes them: chunk by chunk, each leased when the engine
    has taken those before it, so that it never runs dry and holds little more than it asks.

    Attributes:
        until: no more chunks are leased once this is so.
    """

    shop: Workshop
    writing: _Writing
    part: str
    leases: Leases
    until: Callable[[], bool]
    _of_key: dict[str, LeasedChunk] = field(default_factory=dict)
    _unanswered: Counter[int] = field(default_factory=Counter)
    _all: list[GenerationRequest] | None = None

    def __iter__(self) -> Iterator[GenerationRequest]:
        while requests := self.next_chunk():
            yield from requests

    def next_chunk(self) -> list[GenerationRequest]:
        """The requests of the next free chunk of which something lacks; none where none is free."""
        while not self.until() and (chunk := self.leases.lease(self.part)) is not None:
            requests = self._lacking(chunk)
            if requests:
                self._of_key |= {request.key: chunk for request in requests}
                self._unanswered[chunk.id] = len(requests)
                return requests
            with self.shop.sessions.begin() as session:
                self.leases.finish(session, chunk)
        return []

    def settle(self, session: Session, answers: Iterable[GenerationResult]) -> None:
        """Mark chunks done of which these answers, which the session saves, are the last."""
        for answer in answers:
            if (chunk := self._of_key.pop(answer.key, None)) is not None:
                self._unanswered[chunk.id] -= 1
                if self._unanswered[chunk.id] == 0:
                    del self._unanswered[chunk.id]
                    self.leases.finish(session, chunk)

    def end(self) -> None:
        """The engine has ended: whatever it left out, the ledger says so."""
        self.leases.finish_all()

    @property
    def _models(self) -> list[int]:
        return [model.id for model in self.writing.asked[self.part]]

    def _lacking(self, chunk: LeasedChunk) -> list[GenerationRequest]:
        between = (chunk.first, chunk.last)
        with reading(self.shop.sessions) as session:
            if not self.writing.shows_shots:
                return self._pending(session, between)
            if self._all is None:
                self._all = self._pending(session, None)
            there = generation.written_units(session, self.writing.run.id, self._models, between)
        units = ((request, generation.parse_unit_key(request.key)) for request in self._all)
        return [
            request
            for request, unit in units
            if chunk.first <= unit[1] <= chunk.last and unit not in there
        ]

    def _pending(
        self, session: Session, between: tuple[int, int] | None
    ) -> list[GenerationRequest]:
        return generation.pending_requests(
            session,
            self.writing.run,
            encoders=self.writing.encoders,
            models=self._models,
            between=between,
        )


def _write_part(
    shop: Workshop, writing: _Writing, part: str, line: _Line, *, load_first: bool
) -> Parts:
    """Check the models that one engine holds, then have it answer.

    Args:
        load_first: load them before anything is leased, which others would wait for; else nothing
            is loaded where nothing lacks.
    """
    requests = [] if load_first else line.next_chunk()
    if not (requests or load_first):
        return
    engine = _open_loaded(shop, writing, part)
    yield  # loading takes minutes, in which a person may have cancelled
    if not requests and not (requests := line.next_chunk()):
        return
    base = writing.groups[part][0]
    of_base = {} if base.engine_base is None else {"base_id": base.id}
    begun: list[Iterator[GenerationResult]] = []

    def begin() -> None:
        # Servers are asked for what is read ahead; nothing is saved before the verdict.
        begun.append(engine.generate(chain(requests, line), writing.params))

    try:
        shop.preflight(shop.sessions, engine, writing.run.id, begin=begin, **of_base)
        yield
        if not begun:
            begin()
        for some in chunks_of(begun[0], size=CHUNK, seconds=SAVE_AFTER_SECONDS):
            with shop.sessions.begin() as session:
                generation.save_generations(session, writing.run.id, some)
                line.settle(session, some)
            yield
    finally:
        for answers in begun:
            if hasattr(answers, "close"):
                answers.close()
    line.end()


def _engine_of(writing: _Writing, part: str) -> str:
    return ELSEWHERE if writing.groups[part][0].kind == ModelKind.SERVED else writing.run.engine


def _open_loaded(shop: Workshop, writing: _Writing, part: str) -> Engine:
    """The engine with the models of a part; where it does not take them, the run keeps why."""
    run, group, name = writing.run, writing.groups[part], _engine_of(writing, part)
    try:
        return shop.engine_for(name, list(dict.fromkeys(map(served_model, group))))
    except EngineUnavailable:
        raise
    except (EngineError, InvalidInput) as error:  # not taken: a finding that the run keeps
        models = list(dict.fromkeys([*group, *writing.asked[part]]))
        raise refuse_models(shop.sessions, name, models, error, run_id=run.id) from error


def chunks_of(
    answers: Iterable[GenerationResult], *, size: int, seconds: float
) -> Iterator[list[GenerationResult]]:
    """Answers in lists of up to `size`, handed on after `seconds` even if shorter.

    When the engine fails, what had arrived is handed on before the error.
    """
    chunk: list[GenerationResult] = []
    due = time.monotonic() + seconds
    try:
        for answer in answers:
            chunk.append(answer)
            if len(chunk) >= size or time.monotonic() >= due:
                yield chunk
                chunk, due = [], time.monotonic() + seconds
    except EngineError:
        if chunk:
            yield chunk
        raise
    if chunk:
        yield chunk


def _finish(shop: Workshop, job: Job) -> None:
    """Check that nothing is missing, mark the job done and queue its scoring, all or nothing."""
    with shop.sessions.begin() as session:
        missing = generation.run_progress(session, job.subject_id).missing
        if missing:
            raise EngineError(
                f"The engine left out {missing} answers of run {job.subject_id}.",
                hint=f"Try again: strop run --resume {job.subject_id}",
            )
        if not queue.finish_job(
            session, job.id, job.attempt, JobState.DONE, now=utc_now(), exit_code=0
        ):
            return  # cancelled, or taken over: the scoring is not ours to ask for
        for score_run_id in queue.get_job(session, job.id).arguments.get("then_score", ()):
            asked = queue.enqueue_job(session, queue.JobKind.SCORE, score_run_id)
            queue.resume_job(session, asked.id)
