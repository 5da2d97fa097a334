"""Training runs: a frozen set and a configuration under a bar that was set before.

What the trainer reads is written by `files` beside it; the trainer itself is a process of its own
(`python -m training.sft`), started by backend/jobs/train.py. Knows nothing of torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.engines.adapters.folders import read_json_object, unserved_by_vllm
from backend.errors import Conflict, Forbidden, InvalidInput, NotFound, raised_as
from backend.services import projects
from backend.services.curation.recipes import prompt_of_set
from backend.services.curation.sets import erased_rows
from backend.services.datasets.health.reports import set_warning
from backend.services.derivation import say_synthetic
from backend.services.models.adapter_files import project_artifacts
from backend.services.models.cards import write_card
from backend.services.models.seen import SeenAdapter, SeenModel, see_adapter, see_model
from backend.services.models.versions import (
    check_name,
    refuse_name_of_outputs,
    refuse_name_on_other_base,
    register_adapter,
    register_full_model,
)
from backend.services.training.files import run_files, write_run_files
from backend.services.training.start import (
    base_of_training,
    require_known_start,
    resolve_start,
    resolve_start_from,
)
from backend.services.training.validation import SHARE
from backend.settings import Settings
from backend.tables.curation import TrainingSet
from backend.tables.models import BASE, ModelPurpose, ModelVersion
from backend.tables.projects import Project, SuccessManifest
from backend.tables.training import TrainingRun
from training.config import (
    METHODS,
    RESULT_NAME,
    ConfigError,
    Method,
    Reporter,
    TrainingConfig,
    Weights,
    parse_config,
    progress_file,
)

OURS = (
    "base_model",
    "train_file",
    "validation_file",
    "earlier_file",
    "output_dir",
    "manifest_digest",
    "training_set_digest",
    "prompt",
    "check",
)

_WATCHING = ("early_stopping_patience", "search", "validation_share")
_BY_PREFERENCE = tuple(name for name, one in METHODS.items() if one.by_preference)


def create_training_run(
    session: Session,
    *,
    project_id: int,
    training_set_id: int,
    adapter_name: str,
    config: Mapping[str, Any],
    settings: Settings,
    start: str | None = None,
    base: str | None = None,
    purpose: str = ModelPurpose.ANSWER,
    created_by_id: int | None = None,
) -> TrainingRun:
    """Lay down a training run and write what its trainer reads.

    Args:
        config: keys of `training.config.TrainingConfig`, without those that Strop fills in.
        start: the model to go on from (`champion`, `v1`, `v1@2`); None begins from the base.
        base: label of another base of the project to train on; None is the base of `start`, or
            the project's.
        purpose: what the set has to teach.

    Raises:
        Conflict: no success manifest is set, or rows of the set were erased.
        InvalidInput: the configuration is not valid, the name is that of imported outputs or of
            adapters on another base, the start is on another base, or the set has no row to train
            on or is for another purpose.
        NotFound: the project has no such training set, base, or model to start from.
        Forbidden: `start_from` is not the folder of a model of this project.
    """
    check_name(adapter_name, purpose)
    refuse_name_of_outputs(session, project_id, adapter_name)
    manifest = _require_manifest(session, project_id)
    projects.lock_project(session, project_id)  # what is erased meanwhile is erased before
    _require_set(session, project_id, training_set_id, purpose)
    _refuse_ours(config)
    if start is None:
        begin, resolved = resolve_start_from(session, project_id, config)
    else:
        begin, resolved = resolve_start(session, project_id, start, config)
    base_id = base_of_training(session, project_id, begin, resolved, asked=base)
    base_name = BASE if base_id is None else session.get_one(ModelVersion, base_id).name
    refuse_name_on_other_base(session, project_id, adapter_name, base_name)
    run = TrainingRun(
        project_id=project_id,
        training_set_id=training_set_id,
        start_model_id=None if begin is None else begin.id,
        manifest_id=manifest.id,
        base_id=base_id,
        adapter_name=adapter_name,
        config=resolved,
        output_dir="",
        created_by_id=created_by_id,
    )
    session.add(run)
    session.flush()
    run.output_dir = str(project_artifacts(settings, project_id) / f"{adapter_name}-run-{run.id}")
    write_run_files(session, run, resolve_config(session, run, settings), settings)
    session.flush()
    return run


def _require_set(session: Session, project_id: int, training_set_id: int, purpose: str) -> None:
    training_set = session.get(TrainingSet, training_set_id)
    if training_set is None or training_set.project_id != project_id:
        raise NotFound(f"The project has no training set {training_set_id}.")
    if n := erased_rows(session, training_set_id):
        raise Conflict(
            f"{n} rows of the set {training_set.name!r} were erased.",
            hint="Freeze a set anew by its recipe; it is without them.",
        )
    if training_set.purpose != purpose:
        raise InvalidInput(
            f"The set {training_set.name!r} is to teach a model to {training_set.purpose}, not to "
            f"{purpose}.",
            hint="A checker is trained by strop check train, which freezes a set of its own.",
        )


def check_training_config(config: Mapping[str, Any]) -> None:
    """Check the keys of a configuration that a plan gives, before there is a set to train on.

    Raises:
        InvalidInput: a key is unknown or Strop's own, or a value is wrong.
    """
    _refuse_ours(config)
    later = {
        **dict.fromkeys(("base_model", "train_file", "output_dir"), "later"),
        "manifest_digest": "0" * 64,
        "validation_file": "later" if _is_watched(config) else None,
    }
    _parsed({**_shared(config), **config, **later})


def refuse_reporters(config: Mapping[str, Any]) -> None:
    """Refuse a configuration out of a request that would have the server send figures elsewhere.

    The packages report under the accounts and to the addresses of the server's own environment.

    Raises:
        Forbidden: it names a reporter other than TensorBoard, which writes beside the adapter.
    """
    named = config.get("report_to") or ()
    told = named if isinstance(named, list | tuple) else [named]
    if away := [str(name)[:40] for name in told if name != Reporter.TENSORBOARD]:
        raise Forbidden(
            f"A request may not have the loss sent to {away[0]!r}.",
            hint="Leave report_to out, or start the training at the server's command line.",
        )


def _refuse_ours(config: Mapping[str, Any]) -> None:
    if given := sorted(set(config) & set(OURS)):
        raise InvalidInput(f"Strop fills in {', '.join(given)} itself.", hint="Leave it out.")


def _is_watched(config: Mapping[str, Any]) -> bool:
    return any(config.get(key) for key in _WATCHING)


def _shared(config: Mapping[str, Any]) -> dict[str, Any]:
    """The share of preferences that validates a training which is watched, where none is named."""
    by_preference = config.get("method") in _BY_PREFERENCE
    unsaid = config.get("validation_share") is None
    return {"validation_share": SHARE} if _is_watched(config) and by_preference and unsaid else {}


def _parsed(values: Mapping[str, Any]) -> TrainingConfig:
    with raised_as(InvalidInput, ConfigError):
        return parse_config(values, source="the training configuration")


def _require_manifest(session: Session, project_id: int) -> SuccessManifest:
    try:
        return projects.current_manifest(session, project_id)
    except Conflict as error:
        raise Conflict(
            "Training refuses to start: no success manifest is set.",
            hint="Set the bar first: strop manifest set FILE",
        ) from error


def resolve_config(session: Session, run: TrainingRun, settings: Settings) -> TrainingConfig:
    """The whole configuration of a run, checked.

    Raises:
        InvalidInput: a key is unknown or a value is wrong.
    """
    frozen = session.get_one(TrainingSet, run.training_set_id)
    files = run_files(run, settings)
    base_model = base_model_of(session, run)
    folder = Path(base_model)
    values = {
        "threads": settings.torch_threads,
        "price_per_hour": settings.price_per_hour,
        **run.config,
        **_shared(run.config),
        # absolute, since the trainer may have another working directory
        "base_model": str(folder.resolve()) if folder.is_dir() else base_model,
        "train_file": str(files.train),
        "validation_file": str(files.validation) if _is_watched(run.config) else None,
        "earlier_file": str(files.earlier),
        "output_dir": run.output_dir,
        "manifest_digest": session.get_one(SuccessManifest, run.manifest_id).digest,
        "training_set_digest": frozen.digest,
        "prompt": prompt_of_set(frozen) or None,
        "check": (frozen.recipe.get("check") or {}).get("form"),
    }
    return _parsed(values)


def base_model_of(session: Session, run: TrainingRun) -> str:
    """Folder or hub name of the base that a run trains on."""
    if run.base_id is None:
        return session.get_one(Project, run.project_id).base_model
    return session.get_one(ModelVersion, run.base_id).base_model


def data_notes(session: Session, run: TrainingRun) -> list[str]:
    """What is to be known of the rows that a run learns from, in sentences."""
    facts = session.get_one(TrainingSet, run.training_set_id).recipe.get("synthetic")
    said = [say_synthetic(facts)] if facts and facts["rows"] else []
    warning = set_warning(session, run.training_set_id)
    return said if warning is None else [*said, warning]


def serving_notes(run: TrainingRun) -> list[str]:
    """What vLLM will not serve of the adapter that a run trains, in sentences, known before."""
    lora = run.config.get("lora") or {}
    space = run.config.get("search") or {}
    ranks = [lora.get("rank") or 0, *(space.get("rank") or ())]
    return unserved_by_vllm(
        rank=max(int(rank) for rank in ranks),
        dora=bool(lora.get("dora")),
        soft_prompt=run.config.get("weights") == Weights.PROMPT_TUNING,
    )


def get_training_run(
    session: Session, run_id: int, *, project_id: int | None = None
) -> TrainingRun:
    """A training run by its id, of one project if one is named.

    Raises:
        NotFound: there is none.
    """
    run = session.get(TrainingRun, run_id)
    if run is None or (project_id is not None and run.project_id != project_id):
        raise NotFound(f"There is no training run {run_id}.")
    return run


def list_training_runs(session: Session, project_id: int) -> list[TrainingRun]:
    """The training runs of a project, newest first."""
    query = select(TrainingRun).where(TrainingRun.project_id == project_id)
    return list(session.scalars(query.order_by(TrainingRun.id.desc())))


def trained_model(session: Session, run_id: int) -> ModelVersion | None:
    """The adapter that a training run gave, if it has."""
    return session.scalar(select(ModelVersion).where(ModelVersion.training_run_id == run_id))


def training_progress(run: TrainingRun) -> list[dict[str, Any]]:
    """The loss curve so far: {"step", "epoch", "loss" or "eval_loss", "learning_rate", "time"}.

    A last line that is half written is left out.
    """
    if curve := run.result.get("loss_curve"):
        return list(curve)
    file = progress_file(Path(run.output_dir))
    if not file.is_file():
        return []
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


@dataclass(frozen=True, slots=True)
class TrainedWeights:
    """What a trainer left: its record, and its weights as they were read."""

    result: dict[str, Any]
    seen: SeenAdapter | SeenModel


def read_result(run: TrainingRun, base_model: str) -> TrainedWeights:
    """Read what the trainer of a run has left; no transaction should be open.

    Raises:
        NotFound: the trainer has left no result.
        InvalidInput: its weights are not finite, or do not fit the base.
    """
    folder = Path(run.output_dir)
    if not (folder / RESULT_NAME).is_file():
        raise NotFound(f"Training run {run.id} has left no adapter.", hint="See its log.")
    result = read_json_object(folder / RESULT_NAME)
    full = bool(result.get("model_sha256"))
    return TrainedWeights(result, see_model(folder) if full else see_adapter(folder, base_model))


def finish_training_run(
    session: Session,
    run_id: int,
    *,
    settings: Settings,
    now: datetime,
    weights: TrainedWeights | None = None,
) -> ModelVersion:
    """Register the finished adapter, once however often this is called, and keep its record.

    Args:
        weights: what `read_result` read before this transaction; None reads it now.

    Raises:
        NotFound: the trainer has left no result.
        Forbidden: it went on from other weights than the run names.
    """
    run = get_training_run(session, run_id)
    model = trained_model(session, run_id)
    if model is None or not run.result:
        base_model = base_model_of(session, run)
        weights = weights or read_result(run, base_model)
        require_known_start(session, run, weights.result)
        model = model or _register(session, run, weights.seen, settings)
        run.result = weights.result
    run.finished_at = run.finished_at or now
    session.flush()
    write_card(session, model)
    return model


def _register(
    session: Session, run: TrainingRun, seen: SeenAdapter | SeenModel, settings: Settings
) -> ModelVersion:
    named = (session, run.project_id, run.adapter_name, Path(run.output_dir))
    asked: dict[str, Any] = {"settings": settings, "training_run_id": run.id}
    if isinstance(seen, SeenModel):
        return register_full_model(*named, seen=seen, **asked)
    asked["purpose"] = session.get_one(TrainingSet, run.training_set_id).purpose
    return register_adapter(*named, seen=seen, base_id=run.base_id, **asked)


def planned_epochs(run: TrainingRun) -> float:
    """How many passes over the rows a run was asked for."""
    return float(run.config.get("epochs", TrainingConfig.model_fields["epochs"].default))


def planned_method(run: TrainingRun) -> Method:
    """The method that a run was asked for."""
    return Method(run.config.get("method", TrainingConfig.model_fields["method"].default))


def find_training_set(session: Session, project_id: int, name: str) -> TrainingSet:
    """A frozen training set by its name.

    Raises:
        NotFound: the project has none of that name; the message lists those it has.
    """
    query = select(TrainingSet).where(TrainingSet.project_id == project_id)
    sets = {row.name: row for row in session.scalars(query)}
    if name not in sets:
        raise NotFound(
            f"There is no training set named {name!r}.",
            hint=f"Known: {', '.join(sorted(sets)) or 'none; freeze one with strop set freeze'}.",
        )
    return sets[name]
