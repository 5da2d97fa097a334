"""The check of a run's models before anything is generated, and its record."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session, sessionmaker

from backend.db import reading
from backend.engines.base import Engine, Message
from backend.services import generation, preflight
from backend.services.model_versions import register_base, served_model
from backend.services.preflight_checks import Digests
from backend.tables.model_versions import ModelVersion, Preflight


def check_models(sessions: sessionmaker[Session], engine: Engine, run_id: int) -> None:
    """Check the models of a run, which the engine has loaded, and keep the checks as a row.

    Raises:
        PreflightFailed: a model that is served is not shown to be the model that was meant.
    """
    with reading(sessions) as session:
        run = generation.get_run(session, run_id)
        base = register_base(session, run.project_id)
        models = list(run.models)
        probes = [request.messages for request in generation.pending_requests(session, run_id)]
    report = check_and_record(sessions, engine, base, models, probes, run_id=run_id)
    preflight.require_passed(report)


def check_and_record(
    sessions: sessionmaker[Session],
    engine: Engine,
    base: ModelVersion,
    models: Sequence[ModelVersion],
    probes: Sequence[Sequence[Message]],
    *,
    run_id: int | None = None,
) -> preflight.PreflightReport:
    """Check models that the engine has loaded, and keep the checks as a row."""
    adapters = [model_facts(model) for model in models if model.adapter_path is not None]
    report = preflight.run_preflight(engine, model_facts(base), adapters, probes)
    with sessions.begin() as session:
        session.add(
            Preflight(
                project_id=base.project_id,
                generation_run_id=run_id,
                engine=engine.name,
                model_ids=[model.id for model in models],
                passed=report.passed,
                checks=report.as_rows(),
            )
        )
    return report


def model_facts(model: ModelVersion) -> preflight.ModelFacts:
    """A model with the digests that registration and training recorded."""
    registered = Digests(
        base=model.base_sha256,
        tokenizer=model.tokenizer_sha256,
        template=model.template_sha256,
        adapter=model.adapter_sha256,
    )
    trained = preflight.trained_digests(model.training_facts)
    return preflight.ModelFacts(served_model(model), registered, trained)
