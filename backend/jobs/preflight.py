"""The check of models that an engine has loaded, before they answer, and its record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy.orm import Session, sessionmaker

from backend.db import reading
from backend.engines import open_reference_engine
from backend.engines.base import Engine, Message, SamplingParams
from backend.errors import PreflightFailed, StropError
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
from backend.services.models.versions import base_of, served_model
from backend.services.runs import generation
from backend.settings import Settings
from backend.tables.models import ModelKind, ModelVersion, Preflight
from backend.tables.runs import GenerationRun


def check_models(
    sessions: sessionmaker[Session],
    engine: Engine,
    run_id: int,
    *,
    settings: Settings,
    base_id: int | None = None,
    begin: Callable[[], None] | None = None,
) -> None:
    """Check the models of a run, which the engine has loaded, and keep the checks as a row.

    Args:
        base_id: what the engine holds now with its adapters where that is not the project's base:
            another base, a fully trained model or one served elsewhere.
        begin: as in `run_preflight`.

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
        sessions,
        engine,
        base,
        models,
        probes,
        settings=settings,
        run_id=run_id,
        params=params,
        begin=begin,
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
    begin: Callable[[], None] | None = None,
) -> preflight.PreflightReport:
    """Check candidates whose models the engine has loaded, and keep the checks as a row.

    Args:
        params: how a model served elsewhere is asked, which may take no others.
        begin: as in `run_preflight`.
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
            begin=begin,
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
        with open_reference_engine(settings) as local:
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
    # Models of another base, which have an engine of their own, may have written.
    kept = f" with {labels}; what other models wrote is kept. When an engine takes them, go on with"
    hint = "." if run_id is None else f"{kept}: strop run --resume {run_id}"
    return PreflightFailed(f"Preflight failed: {said}", hint=f"Nothing was generated{hint}")


def _record(
    sessions: sessionmaker[Session],
    engine: str,
    models: Sequence[ModelVersion],
    report: preflight.PreflightReport,
    *,
    run_id: int | None,
) -> None:
    row = Preflight(
        project_id=models[0].project_id,
        generation_run_id=run_id,
        engine=engine,
        model_ids=[model.id for model in models],
        passed=report.passed,
        checks=report.as_rows(),
        fingerprint=report.fingerprint,
    )
    with sessions.begin() as session:
        session.add(row)


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
    facts, here = model.training_facts, model.training_run_id is not None
    return preflight.ModelFacts(
        served_model(model),
        registered,
        preflight.trained_digests(facts),
        rank=model.adapter_rank,
        prompts=read_training_prompts(facts, trained_here=here),
    )
