"""What a candidate's training made its model lose, and what it gives away of planted canaries, as
evidence for a line of the bar.

Read from the record of the training run alone, which measured it: what came with files from
elsewhere says of itself what it likes. All is of the weights, whatever prompt the candidate is
asked with; a loss is since where that training began, the base or the model that it went on from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from backend.errors import CannotCompute
from backend.services.verdicts.verdict import CandidateLine, Evidence
from backend.tables.models import BASE, ModelVersion
from backend.tables.training import TrainingRun
from training.results.exposure import mean_exposure

STUDENT = "student"
MEASURED = {"forgetting": "general", "forgetting_earlier": "earlier"}
"""What a line is on, and where `training.results.forgetting` left it."""
FIXED_TEXT = "the text that it is measured on is fixed, so that no more of it would settle it"
MORE_CANARIES = "train with more canaries (--canaries N): the interval narrows with their number"


def training_of(session: Session, candidate: ModelVersion, otherwise: str) -> TrainingRun:
    """The training of a candidate's weights. CannotCompute, which ends so, where there was none."""
    bare = candidate.without_prompt
    if bare.training_run_id is None:
        raise CannotCompute(f"{bare.label} was not trained here{otherwise}.")
    return session.get_one(TrainingRun, bare.training_run_id)


def forgetting_evidence(session: Session, asked: CandidateLine) -> Evidence:
    """The paired change of loss that the candidate's training recorded, nats a token.

    n counts rows of text; the interval, of groups, is Student's at this level.

    Raises:
        CannotCompute: it was not trained here, its training measured nothing, or the change has no
            interval.
    """
    metric, level = asked.line.metric, asked.level
    run = training_of(session, asked.candidate, ", so that nobody measured what it forgot")
    found = (run.result.get("forgetting") or {}).get(MEASURED[metric])
    if found is None:
        raise CannotCompute(
            f"Training run {run.id} did not measure it (measure_forgetting: false?)."
        )
    if "change" not in found:
        raise CannotCompute(f"Training run {run.id} could not measure it: {found['reason']}.")
    change = found["change"]
    low, high = _bounds(change, level)
    return Evidence(
        change["value"],
        low,
        high,
        n=change["n"],
        failed=0,
        signature=_signature(session, metric, run, found, level),
        unit="rows",
        forecast=FIXED_TEXT,
    )


def _bounds(change: Mapping[str, Any], level: float) -> tuple[float, float]:
    """The recorded interval at another level: half of it grows with the quantile of Student's t."""
    from scipy.stats import t

    low, high = change["low"], change["high"]
    if low is None or high is None:
        raise CannotCompute(f"{change['value']:+.3f} has no interval: {change['reason']}.")
    if change["level"] == level:
        return low, high
    if change["method"] != STUDENT:
        raise CannotCompute(
            f"Its interval is recorded at level {change['level']:g} and not at {level:g}."
        )
    free = change["groups"] - 1
    wider = t.ppf((1 + level) / 2, free) / t.ppf((1 + change["level"]) / 2, free)
    half = float(wider) * (high - low) / 2
    return change["value"] - half, change["value"] + half


def _signature(
    session: Session, metric: str, run: TrainingRun, found: Mapping[str, Any], level: float
) -> str:
    change = found["change"]
    began = run.start_model_id or run.base_id
    since = BASE if began is None else session.get_one(ModelVersion, began).label
    return (
        f"{metric}|nats a token|since:{since}|before:{found['before']['value']:.3f}|"
        f"rows:{change['n']}|groups:{change['groups']}|{change['method']}|level:{level:g}|"
        f"training-run:{run.id}"
    )


def exposure_evidence(session: Session, asked: CandidateLine) -> Evidence:
    """The mean exposure of the planted canaries, in bits; n counts canaries.

    Raises:
        CannotCompute: it was not trained here, or no canary was planted.
    """
    run = training_of(session, asked.candidate, ", so that no canary was planted")
    found = run.result.get("canaries")
    if not found:
        raise CannotCompute(
            f"Training run {run.id} planted no canary. Train with --canaries N, 8 at least."
        )
    ranks, references = found["planted"]["after"]["ranks"], found["references"]
    mean = mean_exposure(ranks, references=references, length=found["length"], level=asked.level)
    before = found["planted"]["before"]["value"]
    return Evidence(
        mean.value,
        mean.low,
        mean.high,
        n=mean.n,
        failed=0,
        signature=(
            f"canary_exposure|bits|rank among {references} random sequences|length:"
            f"{found['length']}|repeats:{','.join(map(str, found['repeats']))}|"
            f"seed:{found['seed']}|"
            f"before:{before:.2f}|level:{asked.level:g}|training-run:{run.id}"
        ),
        unit="canaries",
        forecast=MORE_CANARIES,
    )
