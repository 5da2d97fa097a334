"""Risks among the metrics of a run: which version is meant, and whether it may judge these outputs.

What a risk is and how it is fitted is of `services.checks.risk`; here a run is asked for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import Conflict, NotFound
from backend.schemas.common import row_number
from backend.tables.checks.risk import RiskVersion
from backend.tables.datasets import Example
from backend.tables.runs import Generation, GenerationRun

RISK = "risk"
TEST = "test"


def name_risks(session: Session, run: GenerationRun, metrics: Sequence[str]) -> list[str]:
    """The metrics with `risk` as the newest version of the project, `risk:3`.

    Raises:
        NotFound: the project has no risk, or none of that version.
        Conflict: the risk has learned from reviews of test outputs, and the run has some.
    """
    return [_named(session, run, metric) for metric in metrics]


def _named(session: Session, run: GenerationRun, metric: str) -> str:
    name, at, where = metric.strip().partition("@")
    kind, _, version = name.partition(":")
    if kind != RISK:
        return metric
    row = find_risk(session, run.project_id, version)
    if TEST in row.splits and _has_test_outputs(session, run):
        raise Conflict(
            f"{row.metric} has learned from reviews of test outputs: to judge test outputs by it "
            "would be to judge them by what was said of them.",
            hint="Fit one on other splits: strop risk fit --splits train,validation",
        )
    return f"{row.metric}{at}{where}"


def find_risk(session: Session, project_id: int, version: str | int | None = None) -> RiskVersion:
    """A version of the project's risk, the newest where none is named.

    Raises:
        NotFound: there is none.
    """
    query = select(RiskVersion).where(RiskVersion.project_id == project_id)
    named = "" if version is None else str(version)
    if named:
        query = query.where(RiskVersion.version == (row_number(named) or 0))
    row = session.scalar(query.order_by(RiskVersion.version.desc()).limit(1))
    if row is None:
        what = f"{RISK}:{named[:40]}" if named else RISK
        raise NotFound(f"This project has no {what}.", hint="Fit one: strop risk fit")
    return row


def _has_test_outputs(session: Session, run: GenerationRun) -> bool:
    if run.split == TEST:
        return True
    query = (
        select(Generation.id)
        .join(Example, Example.id == Generation.example_id)
        .where(Generation.run_id == run.id, Example.split == TEST)
    )
    return session.scalar(query.limit(1)) is not None
