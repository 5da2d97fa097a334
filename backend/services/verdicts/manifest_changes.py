"""Did the bar move after training began? Compared are the manifest under which a candidate was
trained and the one by which it is judged."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from sqlalchemy.orm import Session

from backend.tables.models import ModelVersion
from backend.tables.projects import SuccessManifest
from backend.tables.training import TrainingRun
from backend.tables.verdicts import Comparison


@dataclass(frozen=True, slots=True)
class BarChange:
    """How the bar of a comparison stands to the bar at the beginning of training.

    Attributes:
        changed: None where it cannot be told.
        diff: lines of a unified diff of the two YAML files.
    """

    changed: bool | None
    sentence: str
    diff: tuple[str, ...] = ()


def change_since_training(session: Session, comparison: Comparison) -> BarChange:
    """What changed in the manifest between the start of training and the judgement."""
    candidate = session.get_one(ModelVersion, comparison.candidate_id)
    judged = session.get_one(SuccessManifest, comparison.manifest_id)
    if candidate.training_run_id is None:
        return BarChange(
            None,
            f"{candidate.label} was not trained here, so it cannot be told which bar stood before "
            "its training.",
        )
    run = session.get_one(TrainingRun, candidate.training_run_id)
    before = session.get_one(SuccessManifest, run.manifest_id)
    if before.digest == judged.digest:
        return BarChange(
            False, f"The bar (version {judged.version}) is the one that stood before training."
        )
    return BarChange(
        True,
        f"THE BAR CHANGED after training began: trained under version {before.version} "
        f"({run.created_at:%Y-%m-%d %H:%M} UTC), judged by version {judged.version} "
        f"(set {judged.created_at:%Y-%m-%d %H:%M} UTC).",
        _diff(before, judged),
    )


def _diff(before: SuccessManifest, judged: SuccessManifest) -> tuple[str, ...]:
    return tuple(
        difflib.unified_diff(
            before.source.splitlines(),
            judged.source.splitlines(),
            f"version {before.version}",
            f"version {judged.version}",
            lineterm="",
        )
    )
