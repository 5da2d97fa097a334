"""The bar: its lines with their verdicts, its versions, and whether it moved."""

from __future__ import annotations

import json
from typing import Any

from backend.services.dossier.content import DossierTable, SectionContent
from backend.services.dossier.inputs import Inputs
from backend.services.dossier.subject import DossierSubject
from backend.services.projects import list_manifests
from backend.services.verdicts.promotion import NO_PREFLIGHT
from backend.services.verdicts.verdict import change_since_training


def tell_bar(subject: DossierSubject) -> SectionContent:
    """What had to be shown, and since when."""
    change = change_since_training(subject.session, subject.comparison)
    judged = subject.bar_row
    rows = [
        [row.version, f"{row.created_at:%Y-%m-%d %H:%M} UTC", row.digest, row.id == judged.id]
        for row in list_manifests(subject.session, subject.project.id)
    ]
    lines = [[n, line.title] for n, line in enumerate(subject.bar.lines, start=1)]
    return SectionContent(
        [
            f"Judged by version {judged.version} of the bar {subject.bar.name!r} "
            f"(sha256 {judged.digest}).",
            change.sentence,
            f"Each line is judged by its two-sided interval at level {1 - subject.bar.alpha:g}; "
            "a candidate passes only if every line and the preflight pass.",
            *([] if not change.diff else ["What changed:", *change.diff]),
        ],
        [
            DossierTable(("line", "has to show"), lines),
            DossierTable(("version", "set", "sha256", "judged by it"), rows),
        ],
    )


def bar_record(subject: DossierSubject, inputs: Inputs) -> dict[str, Any]:
    """bar.json: what the checker judges anew."""
    comparison = subject.comparison
    change = change_since_training(subject.session, comparison)
    return {
        "candidate": subject.candidate.label,
        "baseline": subject.baseline.label,
        "verdict": comparison.verdict,
        "judged_at": comparison.created_at.isoformat(),
        "n_simulated": comparison.n_simulated,
        "preflight": (comparison.preflight or NO_PREFLIGHT)["verdict"],
        "manifest": {"version": subject.bar_row.version, "sha256": subject.bar_row.digest},
        "moved_after_training_began": change.changed,
        "lines": [
            {**line, "figure": inputs.lines.get(at)} for at, line in enumerate(comparison.lines)
        ],
    }


def bar_digests(subject: DossierSubject) -> list[dict[str, Any]]:
    """Every version of the bar: its meaning as one line of JSON, and the digest on record."""
    return [
        {
            "what": f"bar version {row.version}",
            "rows": [json.dumps(row.content, sort_keys=True, separators=(",", ":"))],
            "sha256": row.digest,
        }
        for row in list_manifests(subject.session, subject.project.id)
    ]
