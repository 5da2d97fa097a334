"""Stages beside the comparison: audit log, masking, preflight, health, fairness, memorisation.

Each is read where its rows are; where there are none, the section says that it was not measured.
"""

from __future__ import annotations

from sqlalchemy import select

from backend.services.dossier.subject import Subject
from backend.services.dossier.told import Table, Told, as_json, not_measured
from backend.tables.audit import AuditEntry
from backend.tables.health import HealthReport
from backend.tables.models import Preflight


def tell_audit(subject: Subject) -> Told:
    """The head of the sealed log as of the newest decision or, without one, of the verdict.

    Later entries would change it with every look at this project.
    """
    then = max([subject.comparison.created_at, *(p.created_at for p in subject.promotions)])
    query = select(AuditEntry).where(AuditEntry.seq.is_not(None), AuditEntry.created_at <= then)
    head = subject.session.scalar(query.order_by(AuditEntry.seq.desc()).limit(1))
    if head is None:
        return not_measured("No entry of the audit log was sealed by then.")
    return Told(
        [
            f"The audit log was sealed up to entry {head.seq} ({head.created_at:%Y-%m-%d %H:%M} "
            f"UTC), whose digest is {head.digest}.",
            "strop doctor --verify holds the log against this digest; here it is a record alone.",
        ],
        files={"audit_head.json": as_json({"seq": head.seq, "sha256": head.digest})},
    )


def tell_preflight(subject: Subject) -> Told:
    """The checks before the run."""
    run = subject.score_run.generation_run
    query = select(Preflight).where(Preflight.generation_run_id == run.id)
    found = list(subject.session.scalars(query.order_by(Preflight.id)))
    if not found:
        return not_measured("No preflight was made before the run.")
    rows = [
        [row.id, check.get("name"), _passed(check.get("passed")), check.get("detail")]
        for row in found
        for check in row.checks
    ]
    passed = sum(row.passed for row in found)
    return Told(
        [f"{passed} of {len(found)} preflights passed, on the engine {found[-1].engine}."],
        [Table(("preflight", "check", "passed", "what was found"), rows)],
    )


def _passed(passed: bool | None) -> str:
    return "noted" if passed is None else "yes" if passed else "NO"


def tell_health(subject: Subject) -> Told:
    """The newest finished examination of the tested dataset version."""
    version_id = subject.score_run.generation_run.dataset_version_id
    query = select(HealthReport).where(
        HealthReport.dataset_version_id == version_id, HealthReport.finished_at.is_not(None)
    )
    report = subject.session.scalar(query.order_by(HealthReport.id.desc()).limit(1))
    if report is None or report.content is None:
        return not_measured("Nobody has examined the dataset: strop dataset health")
    kinds = report.content["kinds"]
    rows = [[kind["kind"], kind.get("severity"), kind.get("n"), kind.get("note")] for kind in kinds]
    return Told(
        [f"Examined {report.created_at:%Y-%m-%d %H:%M} UTC; worst: {report.worst or 'nothing'}."],
        [Table(("kind", "severity", "found", "note"), rows)],
        {"health.json": as_json(report.content)},
    )


def tell_masking(subject: Subject) -> Told:
    """Masking of identifiers."""
    return not_measured("No policy of masking is recorded for this project.")


def tell_fairness(subject: Subject) -> Told:
    """Slice parity and counterfactual pairs."""
    return not_measured("No comparison of groups and no counterfactual run is recorded.")


def tell_canaries(subject: Subject) -> Told:
    """Exposure of planted canaries."""
    return not_measured("No canaries were planted in the training set.")
