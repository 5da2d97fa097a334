"""Going on from a model that is there: which weights a training begins with, and whether it may.

An adapter is taken up in its own shape: rank, alpha, variant and modules are its, and a
configuration that says otherwise is refused. A fully trained model is taken up by a full training.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from backend.errors import InvalidInput
from backend.services.adapter_files import CONFIG
from backend.services.model_versions import alias_target, find_model, register_base
from backend.tables.model_versions import BASE, ModelVersion
from training.config import Weights

CHAMPION = "champion"
_SHAPE = {"rank": "r", "alpha": "lora_alpha", "rslora": "use_rslora", "dora": "use_dora"}


def standing_start(session: Session, project_id: int, label: str | None) -> str | None:
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
    model = find_model(session, project_id, label)
    if model.name == BASE:
        return None, dict(config)
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
        return model, {**config, "start_from": model.base_model}
    _check_base(model, register_base(session, project_id))
    return model, _take_up(model, config)


def _check_base(model: ModelVersion, base: ModelVersion) -> None:
    if model.base_sha256 != base.base_sha256:
        raise InvalidInput(
            f"{model.label} is an adapter of another base (sha256 {model.base_sha256[:12]}; the "
            f"project's base is {base.base_sha256[:12]}).",
            hint="Start from an adapter of this base, or from base.",
        )


def _take_up(model: ModelVersion, config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with the adapter's own shape."""
    path = Path(str(model.adapter_path))
    found = json.loads((path / CONFIG).read_text(encoding="utf-8"))
    lora = dict(config.get("lora") or {})
    if (config.get("search") or {}).get("rank"):
        raise InvalidInput(
            f"{model.label} has rank {found['r']}, and its rank cannot be searched.",
            hint="Leave rank out of the search, or start from base.",
        )
    for ours, theirs in _SHAPE.items():
        if ours in lora and lora[ours] != found.get(theirs, False):
            raise InvalidInput(
                f"{model.label} has {ours} {found.get(theirs, False)}, the configuration says "
                f"{lora[ours]}.",
                hint="Leave lora's shape out: it is taken over from the adapter.",
            )
        lora[ours] = found.get(theirs, False)
    modules = found["target_modules"]
    lora["target_modules"] = modules if isinstance(modules, str) else sorted(modules)
    return {**config, "lora": lora, "start_from": str(path)}
