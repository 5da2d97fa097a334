"""Going on from a model that is there: which weights a training begins with, and whether it may.

An adapter is taken up in its own shape: rank, alpha, variant and modules are its, and a
configuration that says otherwise is refused. A fully trained model is taken up by a full training.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from backend.engines.adapters.folders import CONFIG_FILE, read_config
from backend.errors import Forbidden, InvalidInput
from backend.services.models.candidates import require_answers
from backend.services.models.others import find_base, id_of_other_base
from backend.services.models.versions import (
    alias_target,
    base_of,
    find_model,
    list_models,
    register_base,
    require_weights,
)
from backend.tables.models import BASE, ModelKind, ModelVersion
from backend.tables.training import TrainingRun
from training.config import Weights

CHAMPION = "champion"
_SHAPE = {"rank": "r", "alpha": "lora_alpha", "rslora": "use_rslora", "dora": "use_dora"}


def weekly_start(session: Session, project_id: int, label: str | None) -> str | None:
    """What a plan for every week means now: no start while there is no champion yet."""
    if label == CHAMPION and alias_target(session, project_id, CHAMPION) is None:
        return None
    return label


def resolve_start(
    session: Session, project_id: int, label: str, config: Mapping[str, Any]
) -> tuple[ModelVersion | None, dict[str, Any]]:
    """The model that a label means, and the configuration that goes on from it.

    Args:
        label: `champion`, `v1`, `v1@2`; `base` begins anew.
        config: keys of `training.config.TrainingConfig`.

    Returns:
        No model for the base.

    Raises:
        NotFound: the project has no such model.
        InvalidInput: the configuration cannot go on from it; the sentence says why.
    """
    if config.get("start_from"):
        raise InvalidInput("The start is named twice.", hint="Leave start_from out.")
    return _begin_with(session, find_model(session, project_id, label), config)


def resolve_start_from(
    session: Session, project_id: int, config: Mapping[str, Any]
) -> tuple[ModelVersion | None, dict[str, Any]]:
    """The same for a folder in `start_from`: it must be that of a model of this project.

    Raises:
        Forbidden: it is any other folder, whose weights may have learned what is held out here.
        InvalidInput: as of `resolve_start`.
    """
    given = config.get("start_from")
    if not given:
        return None, dict(config)
    folder = _resolved(given)
    for model in list_models(session, project_id):
        if model.kind != ModelKind.WEIGHTS or model.bare_id is not None:
            continue
        known = model.adapter_path or (model.base_model if model.name != BASE else None)
        if folder is not None and known is not None and Path(known).resolve() == folder:
            rest = {key: value for key, value in config.items() if key != "start_from"}
            return _begin_with(session, model, rest)
    raise Forbidden(
        f"start_from names {str(given)[:200]!r}, which is the folder of no model of this project.",
        hint="Register it first (strop adapter add), and start from its name.",
    )


def _resolved(given: object) -> Path | None:
    try:
        return Path(str(given)).resolve()
    except (OSError, ValueError, RuntimeError):  # too long, a zero character, a circle of links
        return None


def require_known_start(session: Session, run: TrainingRun, result: Mapping[str, Any]) -> None:
    """Check that a training went on from the very weights that its run names.

    Raises:
        Forbidden: it went on from others; what those had learned is not known.
    """
    used = result.get("start_from_sha256")
    start = None if run.start_model_id is None else session.get(ModelVersion, run.start_model_id)
    meant = None if start is None else start.adapter_sha256 or start.base_sha256
    if used != meant:
        raise Forbidden(
            f"The training went on from other weights (sha256 {str(used)[:12]}) than "
            f"{'none' if start is None else start.label} (sha256 {str(meant)[:12]}), as its run "
            "says: it is not registered.",
            hint="Somebody changed the folder in between: train again.",
        )


def _begin_with(
    session: Session, model: ModelVersion, config: Mapping[str, Any]
) -> tuple[ModelVersion | None, dict[str, Any]]:
    model = model.without_prompt
    if model.name == BASE:
        return None, dict(config)
    require_answers(model, "train from")
    require_weights(model, "train from")
    full = config.get("weights") == Weights.FULL
    if model.is_own_base != full:
        what = "a fully trained model" if model.is_own_base else "an adapter"
        needed = Weights.FULL if model.is_own_base else Weights.LORA
        raise InvalidInput(
            f"{model.label} is {what}, and this training is of weights: "
            f"{Weights.FULL if full else Weights.LORA}.",
            hint=f"Write weights: {needed}, or start from another model.",
        )
    if full:
        _check_tokenizer(model, register_base(session, model.project_id))
        return model, {**config, "start_from": model.base_model}
    _check_base(model, base_of(session, model.project_id, model.base_id))
    return model, _take_up(model, config)


def _check_tokenizer(model: ModelVersion, base: ModelVersion) -> None:
    """What was trained from another base could not be registered beside this one."""
    digests = [(one.tokenizer_sha256, one.template_sha256) for one in (model, base)]
    if digests[0] != digests[1]:
        raise InvalidInput(
            f"{model.label} has another tokeniser or chat template than this project's base.",
            hint="Train from it in a project of its own.",
        )


def _check_base(model: ModelVersion, base: ModelVersion) -> None:
    if model.base_sha256 != base.base_sha256:
        raise InvalidInput(
            f"{model.label} is an adapter of another base (sha256 {model.base_sha256[:12]}; "
            f"{base.label} is {base.base_sha256[:12]}).",
            hint="Start from an adapter of this base, or from base.",
        )


def base_of_training(
    session: Session,
    project_id: int,
    start: ModelVersion | None,
    config: Mapping[str, Any],
    *,
    asked: str | None,
) -> int | None:
    """The `base_id` of what a training is to make: of the base named, else of the start.

    Args:
        start: the model that it goes on from, if any.
        asked: label of the base that somebody named.

    Raises:
        InvalidInput: the start is on another base than was asked for, or all weights are to be
            trained, which have their base in their start.
    """
    of_start = None if start is None else start.base_id
    if asked is None:
        return of_start
    base = find_base(session, project_id, asked)
    base_id = id_of_other_base(base)
    if base_id is not None and config.get("weights") == Weights.FULL:
        raise InvalidInput(
            "A training of all weights (weights: full) makes a base of its own.",
            hint=f"Name where it begins: --start {base.label}, without --base.",
        )
    if start is not None and of_start != base_id:
        raise InvalidInput(
            f"{start.label} is no adapter on {base.label}.",
            hint="Leave out --base: a training that goes on stays on the base of its start.",
        )
    return base_id


def _take_up(model: ModelVersion, config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with the adapter's own shape."""
    path = Path(str(model.adapter_path))
    found = read_config(path / CONFIG_FILE)
    if found.is_soft_prompt or config.get("weights") == Weights.PROMPT_TUNING:
        raise InvalidInput(
            "A soft prompt (weights: prompt-tuning) is trained from the base alone.",
            hint="Leave out the start, or start from an adapter with weights: lora.",
        )
    lora = dict(config.get("lora") or {})
    if (config.get("search") or {}).get("rank"):
        raise InvalidInput(
            f"{model.label} has rank {found.r}, and its rank cannot be searched.",
            hint="Leave rank out of the search, or start from base.",
        )
    for ours, theirs in _SHAPE.items():
        value = getattr(found, theirs)
        if ours in lora and lora[ours] != value:
            raise InvalidInput(
                f"{model.label} has {ours} {value}, the configuration says {lora[ours]}.",
                hint="Leave lora's shape out: it is taken over from the adapter.",
            )
        lora[ours] = value
    modules = found.target_modules
    if modules is None:
        raise InvalidInput(f"{model.label} does not say which modules it changes.")
    lora["target_modules"] = modules if isinstance(modules, str) else sorted(modules)
    return {**config, "lora": lora, "start_from": str(path)}
