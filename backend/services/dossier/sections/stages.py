"""Stages beside the comparison: audit log, masking, preflight, health, fairness, memorisation.

Each is read where its rows are; where there are none, the section says that it was not measured.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy import select

from backend.errors import StropError
from backend.services.datasets.masking.stored import find_policy
from backend.services.dossier.content import DossierTable, SectionContent, as_json, not_measured
from backend.services.dossier.subject import DossierSubject
from backend.services.fairness.answers import counterfactual_report
from backend.services.fairness.pairs import is_pairs
from backend.tables.audit import AuditEntry
from backend.tables.datasets import Example
from backend.tables.health import HealthReport
from backend.tables.masking import ExampleMask
from backend.tables.models import Preflight
from backend.tables.runs import GenerationRun, GenerationRunModel

FAIRNESS = ("parity", "counterfactual")


def tell_audit(subject: DossierSubject) -> SectionContent:
    """The head of the sealed log as of the newest decision or, without one, of the verdict.

    Later entries would change it with every look at this project.
    """
    then = max([subject.comparison.created_at, *(p.created_at for p in subject.promotions)])
    query = select(AuditEntry).where(AuditEntry.seq.is_not(None), AuditEntry.created_at <= then)
    head = subject.session.scalar(query.order_by(AuditEntry.seq.desc()).limit(1))
    if head is None:
        return not_measured("No entry of the audit log was sealed by then.")
    return SectionContent(
        [
            f"The audit log was sealed up to entry {head.seq} ({head.created_at:%Y-%m-%d %H:%M} "
            f"UTC), whose digest is {head.digest}.",
            "strop doctor --verify holds the log against this digest; here it is a record alone.",
        ],
        files={"audit_head.json": as_json({"seq": head.seq, "sha256": head.digest})},
    )


def tell_preflight(subject: DossierSubject) -> SectionContent:
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
    return SectionContent(
        [f"{passed} of {len(found)} preflights passed, on the engine {found[-1].engine}."],
        [DossierTable(("preflight", "check", "passed", "what was found"), rows)],
    )


def _passed(passed: bool | None) -> str:
    return "noted" if passed is None else "yes" if passed else "NO"


def tell_health(subject: DossierSubject) -> SectionContent:
    """The newest finished examination of the tested dataset version."""
    version_id = subject.score_run.generation_run.dataset_version_id
    query = select(HealthReport).where(
        HealthReport.dataset_version_id == version_id, HealthReport.finished_at.is_not(None)
    )
    report = subject.session.scalar(query.order_by(HealthReport.id.desc()).limit(1))
    if report is None or report.content is None:
        return not_measured("Nobody has examined the dataset: strop dataset health")
    kinds = [_without_values(kind, subject.with_texts) for kind in report.content["kinds"]]
    rows = [
        [
            kind["kind"],
            kind["severity"],
            None if kind["problem"] else kind["flagged"],
            None if kind["problem"] else kind["n"],
            kind["problem"] or "; ".join(kind["notes"]),
        ]
        for kind in kinds
    ]
    return SectionContent(
        [f"Examined {report.created_at:%Y-%m-%d %H:%M} UTC; worst: {report.worst or 'nothing'}."],
        [DossierTable(("kind", "severity", "rows flagged", "of", "note"), rows)],
        {"health.json": as_json({**report.content, "kinds": kinds})},
    )


def _without_values(kind: dict[str, Any], with_texts: bool) -> dict[str, Any]:
    """A kind without its table of details, which names labels and values of slices."""
    return kind if with_texts else {key: one for key, one in kind.items() if key != "details"}


def tell_masking(subject: DossierSubject) -> SectionContent:
    """The policy that stands, and how much of the tested version it masked."""
    policy = find_policy(subject.session, subject.project.id)
    version_id = subject.score_run.generation_run.dataset_version_id
    query = select(ExampleMask.spans).join(Example, Example.id == ExampleMask.example_id)
    spans = list(subject.session.scalars(query.where(Example.dataset_version_id == version_id)))
    if policy is None and not spans:
        return not_measured("The project has no masking policy.")
    kinds = Counter(one["kind"] for row in spans for one in row)
    said = [f"{len(spans)} of the dataset's examples are masked, {kinds.total()} places in all."]
    if policy is not None:
        content = policy.content
        off = sorted(kind for kind, on in content["kinds"].items() if not on)
        said.append(
            f"Policy version {policy.version} (sha256 {policy.digest}): replaced by "
            f"{content['replace']}, originals: {content['originals']}; switched off: "
            f"{', '.join(off) or 'no kind'}."
        )
    return SectionContent(
        said, [DossierTable(("kind", "places"), [list(pair) for pair in sorted(kinds.items())])]
    )


def tell_fairness(subject: DossierSubject) -> SectionContent:
    """Lines of the bar on fairness, and runs of the candidate over counterfactual pairs."""
    lines = [
        [line["title"], line["verdict"], line["reason"]]
        for line in subject.comparison.lines
        if line["metric"].partition(":")[0] in FAIRNESS
    ]
    reports = [report for run in _pair_runs(subject) for report in _report(subject, run)]
    if not lines and not reports:
        return not_measured(
            "No line of the bar is on fairness, and no counterfactual run is there."
        )
    rows = [
        [report["run_id"], one["kind"], one["n"], one["value"], one["low"], one["high"], one["p"]]
        for report in reports
        for one in report["contrasts"]
    ]
    columns = ("run", "exchanged", "n", "excess of change", "low", "high", "p")
    return SectionContent(
        [f"Lines of the bar on fairness: {len(lines)}; counterfactual runs: {len(reports)}."],
        [DossierTable(("line of the bar", "verdict", "why"), lines), DossierTable(columns, rows)],
    )


def _pair_runs(subject: DossierSubject) -> list[GenerationRun]:
    mine = GenerationRunModel.model_version_id == subject.candidate.id
    query = select(GenerationRun).join(
        GenerationRunModel, GenerationRunModel.run_id == GenerationRun.id
    )
    runs = subject.session.scalars(query.where(mine).order_by(GenerationRun.id))
    return [run for run in runs if is_pairs(run.dataset_version)]


def _report(subject: DossierSubject, run: GenerationRun) -> list[dict[str, Any]]:
    """What a run over pairs says, without the examples; nothing where it is not finished."""
    try:
        found = counterfactual_report(subject.session, run.id, model_id=subject.candidate.id)
    except StropError:
        return []
    return [one.model_dump(mode="json", exclude={"examples"}) for one in found]


def tell_canaries(subject: DossierSubject) -> SectionContent:
    """Exposure of planted canaries before and after training, as the training recorded it."""
    found = {} if subject.training is None else subject.training.result.get("canaries")
    if not found:
        return not_measured("No canaries were planted in the training set.")
    keys = ("value", "low", "high", "n")
    rows = [
        [when, *(found["planted"][when].get(key) for key in keys)]
        for when in ("before", "after")
        if when in found["planted"]
    ]
    said = (
        f"Random sequences were planted in the training set, repeated "
        f"{', '.join(map(str, found['repeats']))} times, and ranked by their loss among "
        f"{found['references']} others. Exposure in bits; by chance it is 1.44."
    )
    return SectionContent(
        [said], [DossierTable(("training", "mean exposure", "low", "high", "canaries"), rows)]
    )
