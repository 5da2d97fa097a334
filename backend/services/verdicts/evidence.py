"""What a decision rests on: the verdict, the preflight, the bar, the digests, the servers."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.services.models.serving import ServingReport
from backend.services.verdicts.manifest_changes import change_since_training
from backend.services.verdicts.verdict import Verdict
from backend.tables.models import ModelVersion, Preflight
from backend.tables.projects import SuccessManifest
from backend.tables.verdicts import Comparison

NO_PREFLIGHT = {"verdict": "INCONCLUSIVE", "reason": "judged before preflights were kept"}


def is_passed(comparison: Comparison) -> bool:
    """Whether every line and the preflight passed; a comparison without preflight has not."""
    standing = comparison.preflight or NO_PREFLIGHT
    return comparison.verdict == Verdict.PASS and standing["verdict"] == Verdict.PASS


def reason_of(comparison: Comparison) -> str:
    """The verdict and what decided it: lines of the manifest, or the preflight."""
    standing = comparison.preflight or NO_PREFLIGHT
    lines = [*comparison.lines, {"title": "preflight", **standing}]
    decisive = [
        f"{line['title']}: {line['reason']}"
        for line in (comparison.lines if is_passed(comparison) else lines)
        if line["verdict"] == comparison.verdict
        or (line["title"] == "preflight" and line["verdict"] != Verdict.PASS)
    ]
    simulated = f" ({comparison.n_simulated} votes simulated)" if comparison.n_simulated else ""
    return f"{comparison.verdict} by manifest{simulated}: " + "; ".join(decisive)


def evidence_of(session: Session, comparison: Comparison) -> dict[str, Any]:
    """Verdict, preflight, bar and digests as they are now; kept with the decision."""
    candidate = session.get_one(ModelVersion, comparison.candidate_id)
    bar = session.get_one(SuccessManifest, comparison.manifest_id)
    change = change_since_training(session, comparison)
    return {
        "verdict": comparison.verdict,
        "n_simulated": comparison.n_simulated,
        "preflight": comparison.preflight or NO_PREFLIGHT,
        "bar": {"version": bar.version, "digest": bar.digest, "changed": change.changed},
        "bar_sentence": change.sentence,
        "digests": digests_of(candidate),
    }


def digests_of(model: ModelVersion) -> dict[str, str | None]:
    """sha256 of what decides a model's answers, as registered."""
    return {
        "base": model.base_sha256,
        "tokenizer": model.tokenizer_sha256,
        "template": model.template_sha256,
        "adapter": model.adapter_sha256,
    }


def served_evidence(report: ServingReport, unserved: str | None) -> dict[str, Any]:
    """What the servers answered, and the reason to go on where they did not."""
    found: dict[str, Any] = {"serving": report.as_record(), "served": report.sentence}
    return found if report.ok else {**found, "unserved": unserved}


def newest_fingerprint(session: Session, model: ModelVersion) -> dict[str, Any] | None:
    """That of the newest passed preflight in which the model was asked."""
    query = select(Preflight).where(
        Preflight.project_id == model.project_id, Preflight.passed.is_(True)
    )
    for row in session.scalars(query.order_by(Preflight.id.desc())):
        known = row.fingerprint
        if known and model.id in row.model_ids and model.serving_name in known["first_tokens"]:
            return known
    return None
