"""Model versions: the base of a project and its adapters, with the digests that prove them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.engines.base import ServedModel
from backend.errors import InvalidInput, NotFound
from backend.services.adapter_files import AdapterFolder, check_fits_base, read_adapter, read_model
from backend.settings import Settings
from backend.tables.model_versions import BASE, ModelVersion
from backend.tables.projects import Project
from backend.tables.promotion import Promotion, PromotionAction
from training.digest import adapter_sha256, model_sha256, resolve_model
from training.digest import template_sha256 as digest_of_template
from training.digest import tokenizer_sha256 as digest_of_tokenizer


def register_base(session: Session, project_id: int) -> ModelVersion:
    """The project's base model, registered with its digests the first time."""
    found = session.scalar(
        select(ModelVersion).where(ModelVersion.project_id == project_id, ModelVersion.name == BASE)
    )
    if found is not None:
        return found
    project = _project(session, project_id)
    folder = resolve_model(project.base_model)
    return _add(
        session,
        ModelVersion(
            project_id=project_id,
            name=BASE,
            revision=1,
            base_model=project.base_model,
            base_sha256=model_sha256(folder),
            tokenizer_sha256=digest_of_tokenizer(folder),
            template_sha256=digest_of_template(folder),
        ),
    )


def register_adapter(
    session: Session,
    project_id: int,
    name: str,
    path: Path,
    *,
    settings: Settings,
    training_run_id: int | None = None,
) -> ModelVersion:
    """Register an adapter folder as the next revision of `name`.

    The same files again are the revision that stands; so is the same training run.

    Raises:
        Forbidden: outside the artifact root, or holding a pickle.
        InvalidInput: damaged, or made for another base model.
    """
    _check_name(name)
    base = register_base(session, project_id)
    adapter = read_adapter(path, artifact_root=settings.artifacts)
    _check_base(adapter, base)
    digest = adapter_sha256(adapter.path)
    if (found := _find_same(session, project_id, name, digest, training_run_id)) is not None:
        return found
    return _add(
        session,
        ModelVersion(
            project_id=project_id,
            name=name,
            revision=_next_revision(session, project_id, name),
            base_model=base.base_model,
            base_sha256=base.base_sha256,
            tokenizer_sha256=base.tokenizer_sha256,
            template_sha256=base.template_sha256,
            adapter_path=str(adapter.path),
            adapter_sha256=digest,
            adapter_rank=adapter.rank,
            training_facts=adapter.facts,
            training_run_id=training_run_id,
        ),
    )


def register_full_model(
    session: Session,
    project_id: int,
    name: str,
    path: Path,
    *,
    settings: Settings,
    training_run_id: int | None = None,
) -> ModelVersion:
    """Register a fully trained model, a base of its own, as the next revision of `name`.

    The same training run again is the revision that stands.

    Raises:
        Forbidden: outside the artifact root, or holding a pickle.
        InvalidInput: damaged, or with another tokeniser or chat template than the project's base.
    """
    _check_name(name)
    base = register_base(session, project_id)
    model = read_model(path, artifact_root=settings.artifacts)
    digests = {
        "base_sha256": model_sha256(model.path),
        "tokenizer_sha256": digest_of_tokenizer(model.path),
        "template_sha256": digest_of_template(model.path),
    }
    for part in ("tokenizer_sha256", "template_sha256"):
        if digests[part] != getattr(base, part):
            raise InvalidInput(
                f"The model {path.name} has another {_PARTS[part]} than this project's base.",
                hint="Register it in a project of its own.",
            )
    if (found := _find_same(session, project_id, name, None, training_run_id)) is not None:
        return found
    return _add(
        session,
        ModelVersion(
            project_id=project_id,
            name=name,
            revision=_next_revision(session, project_id, name),
            base_model=str(model.path),
            training_facts=model.facts,
            training_run_id=training_run_id,
            **digests,
        ),
    )


_PARTS = {"tokenizer_sha256": "tokeniser", "template_sha256": "chat template"}


def _check_name(name: str) -> None:
    if name == BASE or not name or set(name) & set(":@/ "):
        raise InvalidInput(
            f"{name!r} cannot name an adapter or a model.", hint="Try a word such as v1."
        )


def _check_base(adapter: AdapterFolder, base: ModelVersion) -> None:
    recorded = adapter.facts.get("base_sha256")
    if recorded is not None and recorded != base.base_sha256:
        raise InvalidInput(
            f"The adapter {adapter.path.name} was trained on another base model "
            f"(sha256 {recorded[:12]}; this project's base is {base.base_sha256[:12]}).",
            hint=f"It names {adapter.base_model}; register it in a project on that base.",
        )
    check_fits_base(adapter, resolve_model(base.base_model))


def _find_same(
    session: Session, project_id: int, name: str, digest: str | None, training_run_id: int | None
) -> ModelVersion | None:
    query = select(ModelVersion).where(ModelVersion.project_id == project_id)
    if training_run_id is not None:
        return session.scalar(query.where(ModelVersion.training_run_id == training_run_id))
    if digest is None:
        return None
    latest = query.where(ModelVersion.name == name).order_by(ModelVersion.revision.desc())
    found = session.scalar(latest.limit(1))
    return found if found is not None and found.adapter_sha256 == digest else None


def _next_revision(session: Session, project_id: int, name: str) -> int:
    query = select(func.max(ModelVersion.revision)).where(
        ModelVersion.project_id == project_id, ModelVersion.name == name
    )
    return (session.scalar(query) or 0) + 1


def _add(session: Session, model: ModelVersion) -> ModelVersion:
    session.add(model)
    session.flush()
    return model


def _project(session: Session, project_id: int) -> Project:
    project = session.get(Project, project_id)
    if project is None:
        raise NotFound(f"There is no project {project_id}.")
    return project


def find_model(session: Session, project_id: int, label: str) -> ModelVersion:
    """The model that people mean by `base`, `v1`, `v1@2`, `base:v1@2` or an alias.

    A name without a revision is its newest one.
    """
    if (promoted := alias_target(session, project_id, label)) is not None:
        return promoted
    name, _, revision = label.removeprefix("base:").partition("@")
    query = select(ModelVersion).where(
        ModelVersion.project_id == project_id, ModelVersion.name == name
    )
    if revision:
        query = query.where(ModelVersion.revision == (int(revision) if revision.isdigit() else -1))
    model = session.scalar(query.order_by(ModelVersion.revision.desc()).limit(1))
    if model is None:
        known = sorted({model.label for model in list_models(session, project_id)})
        raise NotFound(f"There is no model {label!r}.", hint=f"Known: {', '.join(known)}.")
    return model


def alias_target(session: Session, project_id: int, alias: str) -> ModelVersion | None:
    """Where an alias points now: the newest row of it that moved it."""
    query = (
        select(ModelVersion)
        .join(Promotion, Promotion.model_version_id == ModelVersion.id)
        .where(
            Promotion.project_id == project_id,
            Promotion.alias == alias,
            Promotion.action != PromotionAction.HELD,
        )
        .order_by(Promotion.id.desc())
    )
    return session.scalar(query.limit(1))


def list_models(session: Session, project_id: int) -> list[ModelVersion]:
    """All models of a project, the base first."""
    query = select(ModelVersion).where(ModelVersion.project_id == project_id)
    return list(session.scalars(query.order_by(ModelVersion.id)))


def serving_groups(
    base: ModelVersion, models: Collection[ModelVersion]
) -> list[list[ModelVersion]]:
    """Models that one engine can hold at once: the base with its adapters, then each full model.

    The base stands first in its group, asked for or not, since adapters are checked against it.
    """
    chosen = dict.fromkeys(models)
    shared = dict.fromkeys([base, *(model for model in chosen if not model.is_own_base)])
    alone = [[model] for model in chosen if model.is_own_base]
    needed = alone and not any(not model.is_own_base for model in chosen)
    return alone if needed else [list(shared), *alone]


def served_model(model: ModelVersion) -> ServedModel:
    """The model as an engine is asked to serve it."""
    return ServedModel(
        name=model.serving_name,
        base_model=model.base_model,
        adapter_path=Path(model.adapter_path) if model.adapter_path else None,
        adapter_sha256=model.adapter_sha256,
    )
