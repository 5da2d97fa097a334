"""From an interval to a verdict: PASS, FAIL or INCONCLUSIVE, never from the point alone.

A line passes when its whole interval lies on the good side of its bar, fails when all of it lies on
the bad side, and is inconclusive between. A line without a figure can neither pass nor fail.

Was it shown, before a run, that its models are the models that were meant? For the gate.

A run may have several preflights: one for each base that takes part, and again when it is taken
up. The newest one of a model counts. None is as little a pass as a failed one. Of imported outputs
there can be none: a baseline that is nothing but texts is said to be so, and what is to be better
than these texts still has to be shown; a candidate of which nothing can be shown never passes.

Did the bar move after training began? Compared are the manifest under which a candidate was
trained and the one by which it is judged.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.schemas.projects import Direction, ManifestLine
from backend.schemas.verdicts import BarOut
from backend.tables.models import ModelVersion, Preflight
from backend.tables.projects import SuccessManifest
from backend.tables.training import TrainingRun
from backend.tables.verdicts import Comparison


class Verdict(StrEnum):
    """The three states of a line and of a candidate."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


EXIT_CODES = {Verdict.PASS: 0, Verdict.FAIL: 2, Verdict.INCONCLUSIVE: 3}


@dataclass(frozen=True, slots=True)
class Evidence:
    """A figure with its interval, in the metric's own units and direction.

    For a margin line or a guardrail it is the difference candidate minus baseline.

    Attributes:
        unit: what n counts, and what more of it would settle the line: examples or votes.
        n_votes, n_simulated: the votes that it rests on, and those by a script among them.
        more, forecast: how many more would settle it, and that in words, where it was worked out
            by another rule than the square root law.
    """

    value: float
    low: float
    high: float
    n: int
    failed: int
    signature: str
    baseline: float | None = None
    candidate: float | None = None
    p: float | None = None
    unit: str = "examples"
    more: int | None = None
    forecast: str | None = None
    n_votes: int = 0
    n_simulated: int = 0


@dataclass(frozen=True, slots=True)
class CandidateLine:
    """A line of the bar, of whom it is asked, and the level of the interval that it wants."""

    line: ManifestLine
    score_run_id: int
    baseline: ModelVersion
    candidate: ModelVersion
    level: float


@dataclass(frozen=True, slots=True)
class LineVerdict:
    """What became of one line of the manifest.

    Attributes:
        more: about how many further examples or votes would settle an inconclusive line, if the
            value stays where it is; None when none is needed or none can be told.
    """

    line: ManifestLine
    verdict: Verdict
    reason: str
    evidence: Evidence | None = None
    more: int | None = None


def judge_line(line: ManifestLine, evidence: Evidence | None, *, missing: str = "") -> LineVerdict:
    """Judge one line by its evidence; `missing` says why there is none."""
    if evidence is None:
        return LineVerdict(line, Verdict.INCONCLUSIVE, f"no figure: {missing or 'not measured'}")
    if line.by is not None and evidence.n_simulated:
        reason = f"{_shown(evidence)}: the line demands votes by people"
        return LineVerdict(line, Verdict.INCONCLUSIVE, reason, evidence)
    bar, sign = _bar(line), 1 if line.direction == Direction.HIGHER else -1
    low, high = sorted((sign * evidence.low, sign * evidence.high))
    shown = f"by a judge: {_shown(evidence)}" if line.is_judged else _shown(evidence)
    if low >= bar:
        return LineVerdict(line, Verdict.PASS, f"{shown} clears {sign * bar:g}", evidence)
    if high < bar:
        return LineVerdict(line, Verdict.FAIL, f"{shown} misses {sign * bar:g}", evidence)
    more, wanted = _wanted(evidence, sign * bar)
    reason = f"{shown} contains {sign * bar:g}; {wanted}"
    return LineVerdict(line, Verdict.INCONCLUSIVE, reason, evidence, more)


ROUNDING = 1e-6


def _shown(evidence: Evidence) -> str:
    figure = f"{evidence.value:.3f} [{evidence.low:.3f}, {evidence.high:.3f}], n={evidence.n}"
    low, high = evidence.low - ROUNDING, evidence.high + ROUNDING
    if evidence.unit == "votes" and not low <= evidence.value <= high:
        figure += ", the value outside its interval: votes changed on the way"
    if not evidence.n_simulated:
        return figure
    return f"{figure} ({evidence.n_simulated} of {evidence.n_votes} votes simulated)"


def _wanted(evidence: Evidence, bar: float) -> tuple[int | None, str]:
    """How many more would settle the line, and that in words."""
    if evidence.forecast is not None:
        return evidence.more, evidence.forecast
    more = examples_to_settle(evidence, bar)
    if more is None:
        return None, "the value lies on the bar, so no number of them would settle it"
    return more, f"about {more} more {evidence.unit} would settle it, if the value stays"


def _bar(line: ManifestLine) -> float:
    """The least value, in terms of higher is better, that the interval must clear."""
    if (least := line.least_improvement) is not None:
        return least
    threshold = 0.0 if line.threshold is None else line.threshold
    return threshold if line.direction == Direction.HIGHER else -threshold


def examples_to_settle(evidence: Evidence, bar: float) -> int | None:
    """How many more examples would take the bar out of the interval if the value stays.

    The half-width on the side of the bar shrinks with the square root of n, so n must grow by
    (half-width / distance) squared. None when the value lies on the bar.
    """
    distance = abs(evidence.value - bar)
    half = evidence.value - evidence.low if bar < evidence.value else evidence.high - evidence.value
    if distance <= 1e-12 or evidence.n == 0:
        return None
    return max(1, math.ceil(evidence.n * ((half / distance) ** 2 - 1)))


def judge_all(verdicts: Collection[Verdict]) -> Verdict:
    """One failure fails; else one inconclusive line leaves it open; else it passes."""
    if Verdict.FAIL in verdicts:
        return Verdict.FAIL
    return Verdict.INCONCLUSIVE if Verdict.INCONCLUSIVE in verdicts else Verdict.PASS


@dataclass(frozen=True, slots=True)
class PreflightSummary:
    """What the preflights of a run say of some models.

    Attributes:
        verdict: PASS when every model's newest preflight passed, FAIL when one failed,
            INCONCLUSIVE when a model was never checked. A baseline of imported outputs, of which
            nothing can be checked, changes none of it, and is named.
        checks, notes: how many checks were made, and how many of them decide nothing.
    """

    verdict: Verdict
    reason: str
    preflight_ids: list[int]
    checks: int
    notes: int

    def as_record(self) -> dict[str, Any]:
        """As it is kept with a comparison."""
        return asdict(self)


def preflight_summary(
    session: Session, run_id: int, *, baseline: ModelVersion, candidate: ModelVersion
) -> PreflightSummary:
    """The newest preflights of a run in which the two models were checked."""
    query = select(Preflight).where(Preflight.generation_run_id == run_id)
    rows = list(session.scalars(query.order_by(Preflight.id)))
    models = [baseline, candidate]
    imported = [model.label for model in models if model.only_outputs]
    newest = {
        model.label: next((row for row in reversed(rows) if model.id in row.model_ids), None)
        for model in models
        if not model.only_outputs
    }
    found = {row.id: row for row in newest.values() if row is not None}
    checks = [check for row in found.values() for check in row.checks]
    notes = sum(check["passed"] is None for check in checks)
    verdict, reason = _judge(newest, len(checks), notes)
    if imported:
        said = f"{' and '.join(imported)}: outputs imported, no preflight, so it is not proved what"
        reason = "; ".join([*([reason] if newest else []), f"{said} wrote them"])
    if candidate.only_outputs and verdict == Verdict.PASS:
        verdict = Verdict.INCONCLUSIVE
    return PreflightSummary(verdict, reason, sorted(found), len(checks), notes)


def _judge(newest: dict[str, Preflight | None], checks: int, notes: int) -> tuple[Verdict, str]:
    failed = [row for row in newest.values() if row is not None and not row.passed]
    if failed:
        said = [c["detail"] for c in failed[0].checks if c["passed"] is False]
        return Verdict.FAIL, f"preflight {failed[0].id} failed: " + " ".join(said)
    missing = [label for label, row in newest.items() if row is None]
    if missing:
        return (
            Verdict.INCONCLUSIVE,
            f"no preflight of {', '.join(missing)} before this run: it was not shown that what "
            "was served is what was meant",
        )
    passed = f"checks passed: {checks - notes}"
    return Verdict.PASS, passed + (f"; noted without a verdict: {notes}" if notes else "")


def change_since_training(session: Session, comparison: Comparison) -> BarOut:
    """What changed in the manifest between the start of training and the judgement."""
    candidate = session.get_one(ModelVersion, comparison.candidate_id)
    judged = session.get_one(SuccessManifest, comparison.manifest_id)
    training_run_id = candidate.without_prompt.training_run_id
    if training_run_id is None:
        why = "so it cannot be told which bar stood before its training."
        sentence = f"{candidate.label} was not trained here, {why}"
        return BarOut(changed=None, sentence=sentence, diff=[])
    run = session.get_one(TrainingRun, training_run_id)
    before = session.get_one(SuccessManifest, run.manifest_id)
    baseline = session.get_one(ModelVersion, comparison.baseline_id)
    said = []
    if before.digest != judged.digest:
        said.append(
            f"THE BAR CHANGED after training began: trained under version {before.version} "
            f"({run.created_at:%Y-%m-%d %H:%M} UTC), judged by version {judged.version} "
            f"(set {judged.created_at:%Y-%m-%d %H:%M} UTC)."
        )
    if baseline.prompt is not None and baseline.prompt.created_at > run.created_at:
        said.append(
            f"THE BASELINE CHANGED after training began ({run.created_at:%Y-%m-%d %H:%M} UTC): "
            f"the prompt of {baseline.label} was added {baseline.prompt.created_at:%Y-%m-%d %H:%M} "
            "UTC."
        )
    if said:
        return BarOut(changed=True, sentence=" ".join(said), diff=_diff(before, judged))
    sentence = f"The bar (version {judged.version}) is the one that stood before training."
    return BarOut(changed=False, sentence=sentence, diff=[])


def _diff(before: SuccessManifest, judged: SuccessManifest) -> list[str]:
    return list(
        difflib.unified_diff(
            before.source.splitlines(),
            judged.source.splitlines(),
            f"version {before.version}",
            f"version {judged.version}",
            lineterm="",
        )
    )
