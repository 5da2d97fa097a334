"""The generation job: preflight, then every answer that the ledger of the run lacks.

The check of a run's models before anything is generated, and its record.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy.orm import Session, sessionmaker

from backend.db import reading, utc_now
from backend.engines import ELSEWHERE, open_engine
from backend.engines.base import (
    Engine,
    GenerationRequest,
    GenerationResult,
    Message,
    SamplingParams,
)
from backend.errors import EngineError, EngineUnavailable, InvalidInput, PreflightFailed, StropError
from backend.jobs.parts import Parts, Workshop
from backend.services import queue
from backend.services.models.adapter_files import project_artifacts
from backend.services.models.preflight import report as preflight
from backend.services.models.preflight.agreement import Reference
from backend.services.models.preflight.checks import (
    Check,
    Digests,
    check_prompt,
    read_training_prompts,
)
from backend.services.models.preflight.elsewhere import run_served_preflight
from backend.services.models.versions import (
    base_of,
    register_base,
    served_model,
    serving_groups,
)
from backend.services.runs import generation
from backend.settings import Settings
from backend.tables.models import ModelKind, ModelVersion, Preflight
from backend.tables.queue import Job, JobState
from backend.tables.runs import GenerationRun


def check_models(
    sessions: sessionmaker[Session],
    engine: Engine,
    run_id: int,
    *,
    settings: Settings,
    base_id: int | None = None,
) -> None:
    """Check the models of a run, which the engine has loaded, and keep the checks as a row.

    Args:
        base_id: what the engine holds now with its adapters where that is not the project's base:
            another base, a fully trained model or one served elsewhere.

    Raises:
        PreflightFailed: a model that is served is not shown to be the model that was meant.
    """
    with reading(sessions) as session:
        run = generation.get_run(session, run_id)
        base = base_of(session, run.project_id, base_id)
        other = None if base_id is None else base
        models = [m for m in run.models if not m.only_outputs and m.engine_base is other]
        probes, params = _probes(session, run, models, settings), generation.run_params(run)
    report = check_and_record(
        sessions, engine, base, models, probes, settings=settings, run_id=run_id, params=params
    )
    preflight.require_passed(report)


def check_and_record(
    sessions: sessionmaker[Session],
    engine: Engine,
    base: ModelVersion,
    models: Sequence[ModelVersion],
    probes: Sequence[Sequence[Message]],
    *,
    settings: Settings,
    run_id: int | None = None,
    params: SamplingParams = SamplingParams(),
) -> preflight.PreflightReport:
    """Check candidates whose models the engine has loaded, and keep the checks as a row.

    Args:
        params: how a model served elsewhere is asked, which may take no others.
    """
    base = base.without_prompt
    if base.kind == ModelKind.SERVED:
        report = run_served_preflight(engine, served_model(base), probes, params)
        _record(sessions, engine.name, models, report, run_id=run_id)
        return report
    bare = dict.fromkeys(model.without_prompt for model in models)
    adapters = [model_facts(model) for model in bare if model.adapter_path is not None]
    with open_reference(engine, settings) as reference:
        report = preflight.run_preflight(
            engine,
            model_facts(base),
            adapters,
            probes,
            reference=reference,
            prompts=prompt_checks(models),
        )
    _record(sessions, engine.name, models, report, run_id=run_id)
    return report


@contextmanager
def open_reference(engine: Engine, settings: Settings) -> Iterator[Reference]:
    """PEFT in this process, to hold a server against; closed when the block ends."""
    if engine.name != "vllm":
        yield Reference(reason=f"the engine {engine.name} runs in this process itself")
    elif not settings.spot_check:
        yield Reference(reason="the setting spot_check is off")
    else:
        with open_engine("local", settings) as local:
            yield Reference(local)


def refuse_models(
    sessions: sessionmaker[Session],
    engine: str,
    models: Sequence[ModelVersion],
    error: StropError,
    *,
    run_id: int | None = None,
) -> PreflightFailed:
    """Keep as a failed preflight that the engine did not take the models; gives what to raise."""
    bare = dict.fromkeys(model.without_prompt for model in models)
    facts = [model_facts(model) for model in bare if model.kind == ModelKind.WEIGHTS]
    checks = preflight.check_files(facts[0], facts[1:]) if facts else []
    checks.append(Check("loading", False, str(error)))
    report = preflight.PreflightReport(tuple(checks))
    _record(sessions, engine, models, report, run_id=run_id)
    said = " ".join(check.detail for check in report.failures)
    labels = ", ".join(model.label for model in models)
    return PreflightFailed(f"Preflight failed: {said}", hint=_hint(labels, run_id))


def _hint(labels: str, run_id: int | None) -> str:
    """What to do; models of another base, which have an engine of their own, may have written."""
    if run_id is None:
        return "Nothing was generated."
    return (
        f"Nothing was generated with {labels}; what other models wrote is kept. When an engine "
        f"takes them, go on with: strop run --resume {run_id}"
    )


def _record(
    sessions: sessionmaker[Session],
    engine: str,
    models: Sequence[ModelVersion],
    report: preflight.PreflightReport,
    *,
    run_id: int | None,
) -> None:
    with sessions.begin() as session:
        session.add(
            Preflight(
                project_id=models[0].project_id,
                generation_run_id=run_id,
                engine=engine,
                model_ids=[model.id for model in models],
                passed=report.passed,
                checks=report.as_rows(),
                fingerprint=report.fingerprint,
            )
        )


def prompt_checks(models: Sequence[ModelVersion]) -> list[Check]:
    """Whether each candidate is asked with the prompt that its model was trained with."""
    found = []
    for one in models:
        digest = None if one.prompt is None else one.prompt.digest
        model = one.without_prompt
        facts = model.training_facts or {}
        found.append(check_prompt(one.label, model.label, one.prompt_label, digest, facts))
    return [check for check in found if check is not None]


def _probes(
    session: Session, run: GenerationRun, models: Sequence[ModelVersion], settings: Settings
) -> list[Sequence[Message]]:
    """Prompts of the run to check with: of each prompt's own renderings the shortest ones."""
    asked = {model.id: model.prompt_id for model in models}
    requests = generation.pending_requests(
        session,
        run.id,
        encoders=project_artifacts(settings, run.project_id),
        models=asked.keys(),
        most=4 * preflight.PROBES,
    )
    rendered: dict[int | None, dict[int, Sequence[Message]]] = {}
    for request in requests:
        model_id, example_id, _ = generation.parse_unit_key(request.key)
        rendered.setdefault(asked[model_id], {})[example_id] = request.messages
    share = max(1, preflight.PROBES // max(1, len(rendered)))
    chosen = (preflight.choose_probes(list(found.values()), share) for found in rendered.values())
    return [probe for found in chosen for probe in found]


def model_facts(model: ModelVersion) -> preflight.ModelFacts:
    """A model with the digests that registration and training recorded."""
    registered = Digests(
        base=model.base_sha256,
        tokenizer=model.tokenizer_sha256,
        template=model.template_sha256,
        adapter=model.adapter_sha256,
    )
    trained = preflight.trained_digests(model.training_facts)
    return preflight.ModelFacts(
        served_model(model),
        registered,
        trained,
        rank=model.adapter_rank,
        prompts=read_training_prompts(
            model.training_facts, trained_here=model.training_run_id is not None
        ),
    )


CHUNK = 256
SAVE_AFTER_SECONDS = 1.0


def generate_parts(shop: Workshop, job: Job) -> Parts:
    """Write what the run lacks, a chunk of answers in each part; then ask for its scoring.

    Raises:
        EngineUnavailable: the engine gave no answer; what was saved stays.
        PreflightFailed: a model that is served is not the model meant; nothing was generated.
    """
    try:
        yield from write_missing(shop, job.subject_id)
    except EngineUnavailable as error:
        raise EngineUnavailable(
            f"Run {job.subject_id} stopped. {error}",
            hint=f"What was written is kept; go on with: strop run --resume {job.subject_id}",
        ) from error
    _finish(shop, job)


def write_missing(shop: Workshop, run_id: int) -> Parts:
    """Write every answer that the ledger of a run lacks, base by base, each after a preflight."""
    with reading(shop.sessions) as session:
        run = generation.get_run(session, run_id)
        groups = serving_groups(register_base(session, run.project_id), run.models)
        encoders = project_artifacts(shop.settings, run.project_id)
        requests = generation.pending_requests(session, run_id, encoders=encoders)
        params = generation.run_params(run)
    for group in groups:
        names = {model.serving_name for model in group}
        if asked := [request for request in requests if request.model in names]:
            yield from _write_group(shop, run, group, asked, params)


def _write_group(
    shop: Workshop,
    run: GenerationRun,
    group: Sequence[ModelVersion],
    requests: Sequence[GenerationRequest],
    params: SamplingParams,
) -> Parts:
    """Check the models that one engine holds, then have it answer."""
    run_id = run.id
    name = ELSEWHERE if group[0].kind == ModelKind.SERVED else run.engine
    try:
        engine = shop.engine_for(name, list(dict.fromkeys(map(served_model, group))))
    except EngineUnavailable:
        raise
    except (EngineError, InvalidInput) as error:  # not taken: a finding that the run keeps
        asked = [model for model in run.models if model.without_prompt in group]
        models = list(dict.fromkeys([*group, *asked]))
        raise refuse_models(shop.sessions, name, models, error, run_id=run_id) from error
    yield  # loading takes minutes, in which a person may have cancelled
    if group[0].engine_base is None:
        shop.preflight(shop.sessions, engine, run_id)
    else:
        shop.preflight(shop.sessions, engine, run_id, base_id=group[0].id)
    yield
    answers = engine.generate(requests, params)
    try:
        for chunk in chunks_of(answers, size=CHUNK, seconds=SAVE_AFTER_SECONDS):
            with shop.sessions.begin() as session:
                generation.save_generations(session, run_id, chunk)
            yield
    finally:
        if hasattr(answers, "close"):
            answers.close()


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
