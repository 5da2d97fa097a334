"""A new adapter merged of adapters of one project, by PEFT's weighted merges.

What its parents were trained on, it has learned: its record names their weights, and lineage and
leak checks follow them (`backend.services.derivation`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session, sessionmaker

from backend.db import reading
from backend.engines.adapters.folders import FACTS_FILE, AdapterConfig, read_adapter
from backend.errors import InvalidInput
from backend.services.models.adapter_files import project_artifacts
from backend.services.models.others import id_of_other_base
from backend.services.models.placing import Registered, place_adapter, register_placed
from backend.services.models.versions import (
    base_of,
    check_name,
    ensure_base,
    find_model,
    refuse_name_on_other_base,
)
from backend.settings import Settings
from backend.tables.models import WITH, ModelVersion
from training.weights.digest import adapter_sha256, resolve_model
from training.weights.merging import MERGES, Merge, merge_adapters


@dataclass(frozen=True, slots=True)
class MergePart:
    """An adapter that goes into a merge, as it is registered."""

    label: str
    path: Path
    sha256: str
    weight: float


def parse_parts(text: str) -> dict[str, float]:
    """Weights by name, of `v1=0.7,v2=0.3`.

    Raises:
        InvalidInput: it is not of that form, a weight is no number or 0, or a name stands twice.
    """
    parts: dict[str, float] = {}
    for entry in text.split(","):
        name, _, given = entry.strip().partition("=")
        try:
            weight = float(given)
        except ValueError:
            weight = math.nan
        if not name or name in parts or not math.isfinite(weight) or weight == 0:
            raise InvalidInput(
                f"{entry.strip()[:80]!r} does not name an adapter and its weight.",
                hint="Write each adapter once, for example --of v1=0.7,v2=0.3",
            )
        parts[name] = weight
    if len(parts) < 2:
        raise InvalidInput("A merge needs two adapters.", hint="Write --of v1=0.7,v2=0.3")
    return parts


def check_merge(merge: Merge) -> None:
    """Raise InvalidInput for a method that PEFT does not have, or a density that is no share."""
    if merge.method not in MERGES:
        raise InvalidInput(
            f"There is no merge {merge.method[:40]!r}.", hint=f"Use {', '.join(MERGES)}."
        )
    if not 0 < merge.density < 1:
        raise InvalidInput(f"A density lies between 0 and 1, not at {merge.density}.")


def merge_models(
    sessions: sessionmaker[Session],
    project_id: int,
    name: str,
    weights: dict[str, float],
    *,
    merge: Merge,
    settings: Settings,
) -> Registered:
    """Merge adapters of a project into a new one, and register it as the next revision of `name`.

    Raises:
        NotFound: the project has no such model.
        InvalidInput: one is no adapter that can be merged, or PEFT cannot merge them so.
    """
    check_name(name)
    check_merge(merge)
    ensure_base(sessions, project_id)
    with reading(sessions) as session:
        named = [(find_adapter(session, project_id, label), w) for label, w in weights.items()]
        found = _shared_base(session, project_id, [model for model, _ in named])
        refuse_name_on_other_base(session, project_id, name, found.name)
        parts = [
            MergePart(one.label, Path(str(one.adapter_path)), str(one.adapter_sha256), weight)
            for one, weight in named
        ]
    for part in parts:
        _require_mergeable(part)
    if len({part.sha256 for part in parts}) < len(parts):
        raise InvalidInput("Two of these are the same adapter.", hint="Name each once.")
    base_model, facts = found.base_model, _facts(found, parts, merge)

    def fill(folder: Path) -> None:
        pairs = [(part.path, part.weight) for part in parts]
        merge_adapters(resolve_model(base_model), pairs, folder, merge=merge, named_base=base_model)
        record = {**facts, "adapter_sha256": adapter_sha256(folder)}
        (folder / FACTS_FILE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")

    own = project_artifacts(settings, project_id)
    placed = place_adapter(own, name, base_model, fill, called=name)
    return register_placed(
        sessions, project_id, name, placed, settings=settings, base_id=id_of_other_base(found)
    )


def _shared_base(session: Session, project_id: int, models: Sequence[ModelVersion]) -> ModelVersion:
    """The one base of adapters that are to be merged; InvalidInput where there are several."""
    bases = {model.base_id: model for model in models}
    if len(bases) > 1:
        said = " and ".join(f"{model.label} on {model.base_model}" for model in bases.values())
        raise InvalidInput(
            f"These are adapters on different bases: {said}.", hint="Merge adapters on one base."
        )
    return base_of(session, project_id, *bases)


def find_adapter(session: Session, project_id: int, label: str) -> ModelVersion:
    """The adapter that people mean, whose weights are to be merged.

    Raises:
        NotFound: the project has no such model.
        InvalidInput: it is no adapter, or is named with a prompt.
    """
    if WITH in label:
        raise InvalidInput(
            f"{label[:80]!r} names a prompt, too, and a prompt is in no weights.",
            hint="Name the adapter alone.",
        )
    model = find_model(session, project_id, label)
    if model.adapter_path is None or model.adapter_sha256 is None:
        raise InvalidInput(f"{model.label} is no adapter.", hint="Only adapters can be merged.")
    return model


def _require_mergeable(part: MergePart) -> None:
    """PEFT merges low-rank matrices; what else an adapter holds would be dropped or taken wrong."""
    folder = read_adapter(part.path)
    if adapter_sha256(part.path) != part.sha256:
        raise InvalidInput(
            f"The files of {part.label} changed since it was registered.",
            hint="Register them: strop adapter add",
        )
    if others := _beside_low_rank(folder.config):
        raise InvalidInput(
            f"{part.label} has {', '.join(others)}, which PEFT does not merge.",
            hint="Only plain LoRA adapters can be merged.",
        )


def _beside_low_rank(config: AdapterConfig) -> list[str]:
    found = {
        "a soft prompt (prompt tuning)": config.is_soft_prompt,
        "use_dora (DoRA)": config.use_dora,
        "lora_bias": config.lora_bias,
        f"bias: {config.bias}": config.bias != "none",
        "trainable_token_indices": config.trainable_token_indices,
        "modules_to_save": config.modules_to_save,
    }
    return [name for name, has in found.items() if has]


def _facts(base: ModelVersion, parts: Sequence[MergePart], merge: Merge) -> dict[str, Any]:
    """The record of a merge, as training writes one of a training."""
    used = asdict(merge) if MERGES[merge.method] else {"method": merge.method}
    return {
        **used,
        "merged_from": [
            {"label": part.label, "sha256": part.sha256, "weight": part.weight} for part in parts
        ],
        "base_sha256": base.base_sha256,
        "tokenizer_sha256": base.tokenizer_sha256,
        "template_sha256": base.template_sha256,
    }
