"""Model versions: the base of a project and its adapters, with the digests that prove them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.db import reading
from backend.engines.adapters.folders import AdapterFolder
from backend.engines.base import ServedModel
from backend.errors import Forbidden, InvalidInput, NotFound, raised_as
from backend.schemas.common import row_number
from backend.services.datasets.prompts.prompts import BEST_PROMPT, find_prompt
from backend.services.derivation import is_of_weights, recorded_parents
from backend.services.models.adapter_files import NamedBy, own_folder
from backend.services.models.candidates import require_answers, with_prompt
from backend.services.models.seen import (
    SeenAdapter,
    SeenBase,
    SeenModel,
    see_adapter,
    see_base,
    see_model,
)
from backend.settings import Settings
from backend.tables.models import (
    BASE,
    CHECKER_PREFIX,
    WITH,
    ModelKind,
    ModelPurpose,
    ModelVersion,
    Prompt,
)
from backend.tables.projects import Project
from backend.tables.verdicts import Promotion, PromotionAction
from training.config import TrainingError, check_adapter_name


def ensure_base(sessions: sessionmaker[Session], project_id: int) -> None:
    """Register a project's base the first time, reading its files in no transaction."""
    with reading(sessions) as session:
        if _find_base(session, project_id) is not None:
            return
        base_model = _project(session, project_id).base_model
    seen = see_base(base_model)
    with sessions.begin() as session:
        register_base(session, project_id, seen=seen)


def register_base(
    session: Session, project_id: int, *, seen: SeenBase | None = None
) -> ModelVersion:
    """The project's base model, registered with its digests the first time.

    Args:
        seen: what was read of it before this transaction; None reads it now.
    """
    if (found := _find_base(session, project_id)) is not None:
        return found
    base_model = _project(session, project_id).base_model
    columns = (seen or see_base(base_model)).as_columns()
    named = {"project_id": project_id, "name": BASE, "revision": 1}
    return add_model(session, ModelVersion(**named, base_model=base_model, **columns))


def base_of(session: Session, project_id: int, base_id: int | None) -> ModelVersion:
    """The base that a column `base_id` means: None is the project's own."""
    if base_id is None:
        return register_base(session, project_id)
    return session.get_one(ModelVersion, base_id)


def _find_base(session: Session, project_id: int) -> ModelVersion | None:
    return session.scalar(
        select(ModelVersion).where(ModelVersion.project_id == project_id, ModelVersion.name == BASE)
    )


def look_at_adapter(
    sessions: sessionmaker[Session],
    project_id: int,
    name: str,
    path: Path,
    *,
    settings: Settings,
    named_by: NamedBy = NamedBy.PERSON,
    base_id: int | None = None,
) -> SeenAdapter:
    """Read an adapter that a project is about to register, in no transaction.

    Args:
        base_id: the other base that it is on; None for the project's.

    Raises:
        Forbidden: its folder is not the project's to name.
        InvalidInput: the name cannot be one, or the adapter is damaged or of another base.
    """
    check_name(name)
    ensure_base(sessions, project_id)
    with reading(sessions) as session:
        folder = own_folder(session, project_id, path, settings=settings, named_by=named_by)
        base_model = base_of(session, project_id, base_id).base_model
    return see_adapter(folder, base_model)


def register_adapter(
    session: Session,
    project_id: int,
    name: str,
    path: Path,
    *,
    settings: Settings,
    training_run_id: int | None = None,
    purpose: str = ModelPurpose.ANSWER,
    seen: SeenAdapter | None = None,
    base_id: int | None = None,
) -> ModelVersion:
    """Register an adapter folder as the next revision of `name`.

    The same files again are the revision that stands, unless they come with another record of
    their training than it has; so is the same training run.

    Args:
        seen: what `look_at_adapter` read before this transaction; None reads it now.
        base_id: as in `look_at_adapter`.

    Raises:
        Forbidden: its folder is not the project's, or its weights were trained in another.
        InvalidInput: damaged, holding what could run code, made for another base model, of a name
            that stands for adapters on another one, or the weights of a checker that are to answer.
    """
    check_name(name, purpose)
    refuse_name_of_outputs(session, project_id, name)
    base = base_of(session, project_id, base_id)
    refuse_name_on_other_base(session, project_id, name, base.name)
    if seen is None:
        folder = own_folder(session, project_id, path, settings=settings)
        seen = see_adapter(folder, base.base_model)
    adapter = seen.folder
    _check_base(session, adapter, base)
    refuse_foreign(session, project_id, seen.digest, adapter.facts)
    if purpose != ModelPurpose.CHECK:
        _refuse_checker(session, seen.digest, adapter.facts)
    found = _find_same(session, project_id, name, seen, training_run_id)
    if found is not None and found.base_id == base_id:
        return found
    model = ModelVersion(
        project_id=project_id,
        name=name,
        revision=next_revision(session, project_id, name),
        base=None if base_id is None else base,
        purpose=purpose,
        base_model=base.base_model,
        base_sha256=base.base_sha256,
        tokenizer_sha256=base.tokenizer_sha256,
        template_sha256=base.template_sha256,
        adapter_path=str(adapter.path),
        adapter_sha256=seen.digest,
        adapter_rank=adapter.rank,
        training_facts=adapter.facts,
        training_run_id=training_run_id,
    )
    return add_model(session, model)


def register_full_model(
    session: Session,
    project_id: int,
    name: str,
    path: Path,
    *,
    settings: Settings,
    training_run_id: int | None = None,
    seen: SeenModel | None = None,
) -> ModelVersion:
    """Register a fully trained model, a base of its own, as the next revision of `name`.

    The same training run again is the revision that stands.

    Raises:
        Forbidden: its folder is not the project's, or its weights were trained in another.
        InvalidInput: damaged, holding what could run code, or with another tokeniser or chat
            template than the project's base.
    """
    check_name(name)
    refuse_name_of_outputs(session, project_id, name)
    base = register_base(session, project_id)
    if seen is None:
        seen = see_model(own_folder(session, project_id, path, settings=settings))
    model, digests = seen.folder, seen.digests.as_columns()
    for part in ("tokenizer_sha256", "template_sha256"):
        if digests[part] != getattr(base, part):
            raise InvalidInput(
                f"The model {path.name} has another {_PARTS[part]} than this project's base.",
                hint="Register it in a project of its own.",
            )
    refuse_foreign(session, project_id, digests["base_sha256"], model.facts)
    if (found := _find_same(session, project_id, name, None, training_run_id)) is not None:
        return found
    row = ModelVersion(
        project_id=project_id,
        name=name,
        revision=next_revision(session, project_id, name),
        base_model=str(model.path),
        training_facts=model.facts,
        training_run_id=training_run_id,
        **digests,
    )
    return add_model(session, row)


_PARTS = {"tokenizer_sha256": "tokeniser", "template_sha256": "chat template"}


def check_name(name: str, purpose: str = ModelPurpose.ANSWER) -> None:
    """Raise InvalidInput for what cannot name an adapter or a fully trained model.

    Names of checkers, and they alone, begin with CHECKER_PREFIX.
    """
    with raised_as(InvalidInput, TrainingError):
        check_adapter_name(name)
    if name.startswith(CHECKER_PREFIX) and purpose != ModelPurpose.CHECK:
        raise InvalidInput(
            f"Names that begin with {CHECKER_PREFIX} are those of checkers, and {name!r} is none.",
            hint="Take another name.",
        )


def refuse_outputs(model: ModelVersion, verb: str, *, hint: str | None = None) -> None:
    """Raise InvalidInput where only outputs are known of a model, not even who served it."""
    if model.only_outputs:
        raise InvalidInput(
            f"Of {model.label} only outputs were imported: there is nothing to {verb}.", hint=hint
        )


def refuse_name_of_outputs(session: Session, project_id: int, name: str) -> None:
    """Raise InvalidInput for a name under which outputs were imported, for weights to have."""
    query = select(ModelVersion.id).where(
        ModelVersion.project_id == project_id,
        ModelVersion.name == name,
        ModelVersion.kind == ModelKind.OUTPUTS,
    )
    if session.scalar(query.limit(1)) is not None:
        raise InvalidInput(
            f"{name!r} names outputs that were imported, and no weights.",
            hint="Take another name, so that nobody mixes them up.",
        )


def refuse_name_on_other_base(session: Session, project_id: int, name: str, base_name: str) -> None:
    """Raise InvalidInput for a name under which there are adapters on a base of another name."""
    latest = latest_revision(session, project_id, name)
    if latest is not None and latest.adapter_path and latest.base_name != base_name:
        raise InvalidInput(
            f"The name {name} stands for adapters on {latest.base_name}, and this one is on "
            f"{base_name}.",
            hint="Take another name, so that nobody mixes them up.",
        )


def _check_base(session: Session, adapter: AdapterFolder, base: ModelVersion) -> None:
    recorded = adapter.facts.get("base_sha256")
    if recorded is None or recorded == base.base_sha256:
        return
    query = select(ModelVersion).where(
        ModelVersion.project_id == base.project_id,
        ModelVersion.base_sha256 == recorded,
        ModelVersion.adapter_path.is_(None),
        ModelVersion.bare_id.is_(None),
    )
    known = session.scalar(query.order_by(ModelVersion.id).limit(1))
    trained_on = "another base model" if known is None else known.label
    raise InvalidInput(
        f"The adapter {adapter.path.name} was trained on {trained_on} (sha256 {recorded[:12]}), "
        f"and not on {base.label} (sha256 {base.base_sha256[:12]}).",
        hint=f"It names {adapter.config.base_model_name_or_path}; register that base (strop model "
        "add NAME --base FOLDER), and name it with --base."
        if known is None
        else f"Name its base: --base {known.label}",
    )


def refuse_foreign(
    session: Session, project_id: int, digest: str, facts: Mapping[str, Any]
) -> None:
    """Refuse weights that another project trained, or that went on from such: what is a test row
    here may have been a training row there."""
    behind = [(sha256, "come from") for sha256 in recorded_parents(facts)]
    for sha256, what in ((digest, "are"), *behind):
        known = models_of_weights(session, sha256)
        elsewhere = all(model.project_id != project_id for model in known)
        if elsewhere and any(model.training_run_id is not None for model in known):
            raise Forbidden(
                f"These weights {what} weights that were trained in another project "
                f"(sha256 {sha256[:12]}), whose training rows may be test rows here.",
                hint="Train them here, from this project's own set.",
            )


def _refuse_checker(session: Session, digest: str, facts: Mapping[str, Any]) -> None:
    """The weights of a checker under another name would be a candidate after all."""
    known = [model for model in models_of_weights(session, digest) if model.is_checker]
    if known or (facts.get("config") or {}).get("check"):
        what = known[0].label if known else "a checker"
        raise InvalidInput(
            f"These weights are those of {what}, which answers yes or no.",
            hint="Train a checker of this project: strop check train",
        )


def models_of_weights(session: Session, sha256: str) -> list[ModelVersion]:
    """The adapters and fully trained models, of any project, that are these weights."""
    query = select(ModelVersion).where(is_of_weights([sha256]))
    return list(session.scalars(query.order_by(ModelVersion.id)))


def _find_same(
    session: Session,
    project_id: int,
    name: str,
    seen: SeenAdapter | None,
    training_run_id: int | None,
) -> ModelVersion | None:
    if training_run_id is not None:
        of_project = select(ModelVersion).where(ModelVersion.project_id == project_id)
        return session.scalar(of_project.where(ModelVersion.training_run_id == training_run_id))
    if seen is None:
        return None
    found = latest_revision(session, project_id, name)
    if found is None or found.adapter_sha256 != seen.digest:
        return None
    says_more = seen.folder.facts and seen.folder.facts != found.training_facts
    return None if says_more else found


def next_revision(
    session: Session, project_id: int, name: str, *, kind: ModelKind = ModelKind.WEIGHTS
) -> int:
    """The number after the last revision of a name, all of which are of one kind."""
    latest = latest_revision(session, project_id, name)
    if latest is not None and latest.kind != kind:
        raise InvalidInput(
            f"The name {name} already stands for {_KINDS[ModelKind(latest.kind)]}.",
            hint="Choose another name.",
        )
    return 1 if latest is None else latest.revision + 1


def latest_revision(session: Session, project_id: int, name: str) -> ModelVersion | None:
    query = select(ModelVersion).where(
        ModelVersion.project_id == project_id, ModelVersion.name == name
    )
    return session.scalar(query.order_by(ModelVersion.revision.desc()).limit(1))


_KINDS = {
    ModelKind.WEIGHTS: "a model whose weights are here",
    ModelKind.SERVED: "a model served elsewhere",
    ModelKind.OUTPUTS: "outputs made elsewhere",
}


NO_FILES = dict.fromkeys(("base_sha256", "tokenizer_sha256", "template_sha256"), "")
"""The digests of a model that has no files here."""


def add_model(session: Session, model: ModelVersion) -> ModelVersion:
    session.add(model)
    session.flush()
    return model


def _project(session: Session, project_id: int) -> Project:
    project = session.get(Project, project_id)
    if project is None:
        raise NotFound(f"There is no project {project_id}.")
    return project


def find_model(
    session: Session, project_id: int, label: str, *, checkers: bool = False
) -> ModelVersion:
    """The model that people mean by `base`, `v1`, `v1@2`, `base:v1@2`, `large:v3` or
    an alias.

    A name without a revision is its newest one. With a prompt (`v1+brief@2`, `champion+brief`) it
    is a candidate, which is made the first time; errors as of `find_prompt` and `with_prompt`.
    `best-prompt` is the base with the prompt that `strop prompt search` chose.

    Args:
        checkers: a checker may be meant; without it, naming one is InvalidInput.
    """
    if (promoted := alias_target(session, project_id, label)) is not None:
        return promoted
    model_label, plus, prompt_label = label.partition(WITH)
    if plus:
        bare = find_model(session, project_id, model_label)
        return with_prompt(session, bare, find_prompt(session, project_id, prompt_label))
    prefix, _, rest = label.rpartition(":")
    name, _, revision = rest.partition("@")
    query = select(ModelVersion).where(
        ModelVersion.project_id == project_id, ModelVersion.name == name
    )
    if revision:
        number = row_number(revision)
        query = query.where(ModelVersion.revision == (-1 if number is None else number))
    model = session.scalar(query.order_by(ModelVersion.revision.desc()).limit(1))
    if model is None and name == BEST_PROMPT:
        return find_model(session, project_id, f"{BASE}{WITH}{label}")
    if model is None:
        known = sorted({model.label for model in list_models(session, project_id, tried=False)})
        raise NotFound(f"There is no model {label!r}.", hint=f"Known: {', '.join(known)}.")
    # what people wrote before the colon names the base of the model
    if prefix and prefix not in ((model.base.name, model.base.label) if model.base else (BASE,)):
        raise NotFound(f"There is no model {label!r}.", hint=f"{rest} is {model.label}.")
    if not checkers:
        require_answers(model, "run, review, compare or train from")
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


def list_models(session: Session, project_id: int, *, tried: bool = True) -> list[ModelVersion]:
    """All models and candidates of a project, the base first.

    Args:
        tried: False leaves out candidates whose prompt a search tried and nobody added, but for
            those of which a promotion speaks.
    """
    query = select(ModelVersion).where(ModelVersion.project_id == project_id)
    if not tried:
        only_tried = select(Prompt.id).where(Prompt.project_id == project_id, Prompt.tried)
        decided = select(Promotion.model_version_id).where(Promotion.project_id == project_id)
        query = query.where(
            ModelVersion.prompt_id.is_(None)
            | ModelVersion.prompt_id.not_in(only_tried)
            | ModelVersion.id.in_(decided)
        )
    return list(session.scalars(query.order_by(ModelVersion.id)))


def serving_groups(
    base: ModelVersion, models: Collection[ModelVersion]
) -> list[list[ModelVersion]]:
    """Models that one engine can hold at once: each base with its adapters, the project's first.

    A base stands first in its group, asked for or not, since adapters are checked against it. A
    model served elsewhere is a group of its own. A candidate stands where its model does. Those of
    which only outputs are known are in none.

    Args:
        base: the project's.
    """
    chosen = dict.fromkeys(model.without_prompt for model in models if not model.only_outputs)
    groups: dict[ModelVersion, dict[ModelVersion, None]] = {}
    for model in chosen or [base]:
        first = model.engine_base or base
        groups.setdefault(first, {first: None})[model] = None
    own_first = sorted(groups, key=lambda first: first is not base)
    return [list(groups[first]) for first in own_first]


def require_weights(model: ModelVersion, act: str) -> None:
    """Raise InvalidInput where there are no weights to do something with.

    Args:
        act: what was to be done, such as "train from".
    """
    if model.kind != ModelKind.WEIGHTS:
        raise InvalidInput(
            f"There are no weights of {model.label} here to {act}.",
            hint="Name the base, an adapter or a fully trained model.",
        )


def served_model(model: ModelVersion) -> ServedModel:
    """The model as an engine is asked to serve it."""
    return ServedModel(
        name=model.serving_name,
        base_model=model.base_model,
        adapter_path=Path(model.adapter_path) if model.adapter_path else None,
        adapter_sha256=model.adapter_sha256,
        elsewhere=model.kind == ModelKind.SERVED,
    )
