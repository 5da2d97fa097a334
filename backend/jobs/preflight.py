"""The check of a run's models before anything is generated, and its record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy.orm import Session, sessionmaker

from backend.db import reading
from backend.engines import open_engine
from backend.engines.base import Engine, Message
from backend.errors import PreflightFailed, StropError
from backend.services.models.preflight import report as preflight
from backend.services.models.preflight.agreement import Reference
from backend.services.models.preflight.checks import Check, Digests, read_training_prompts
from backend.services.models.versions import register_base, served_model
from backend.services.runs import generation
from backend.settings import Settings
from backend.tables.models import ModelVersion, Preflight


def check_models(
    sessions: sessionmaker[Session],
    engine: Engine,
    run_id: int,
    *,
    settings: Settings,
    alone: int | None = None,
) -> None:
    """Check the models of a run, which the engine has loaded, and keep the checks as a row.

    Args:
        alone: the fully trained model that the engine holds now, a base of its own; default: the
            project's base with the adapters of the run.

    Raises:
        PreflightFailed: a model that is served is not shown to be the model that was meant.
    """
    with reading(sessions) as session:
        run = generation.get_run(session, run_id)
        base = register_base(session, run.project_id)
        models = [model for model in run.models if not model.is_own_base]
        if alone is not None:
            base = session.get_one(ModelVersion, alone)
            models = [base]
        probes = [request.messages for request in generation.pending_requests(session, run_id)]
    report = check_and_record(
        sessions, engine, base, models, probes, settings=settings, run_id=run_id
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
) -> preflight.PreflightReport:
    """Check models that the engine has loaded, and keep the checks as a row."""
    adapters = [model_facts(model) for model in models if model.adapter_path is not None]
    with open_reference(engine, settings) as reference:
        report = preflight.run_preflight(
            engine, model_facts(base), adapters, probes, reference=reference
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
    base, *adapters = [model_facts(model) for model in models]
    checks = preflight.check_files(base, adapters)
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
