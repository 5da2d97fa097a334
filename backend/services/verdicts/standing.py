"""Was it shown, before a run, that its models are the models that were meant? For the gate.

A run may have several preflights: one for each base that takes part, and again when it is taken
up. The newest one of a model counts. None is as little a pass as a failed one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.services.verdicts.verdict import Verdict
from backend.tables.models import ModelVersion, Preflight


@dataclass(frozen=True, slots=True)
class PreflightStanding:
    """What the preflights of a run say of some models.

    Attributes:
        verdict: PASS when every model's newest preflight passed, FAIL when one failed,
            INCONCLUSIVE when a model was never checked.
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


def preflight_standing(
    session: Session, run_id: int, models: Sequence[ModelVersion]
) -> PreflightStanding:
    """The newest preflights of a run in which the models were checked."""
    query = select(Preflight).where(Preflight.generation_run_id == run_id)
    rows = list(session.scalars(query.order_by(Preflight.id)))
    newest = {
        model.label: next((row for row in reversed(rows) if model.id in row.model_ids), None)
        for model in models
    }
    found = {row.id: row for row in newest.values() if row is not None}
    checks = [check for row in found.values() for check in row.checks]
    notes = sum(check["passed"] is None for check in checks)
    verdict, reason = _judge(newest, len(checks), notes)
    return PreflightStanding(verdict, reason, sorted(found), len(checks), notes)


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
