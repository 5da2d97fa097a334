"""What was decided, and what is known against the candidate."""

from __future__ import annotations

from backend.services.derivation import withdrawn_rows
from backend.services.dossier.content import DossierTable, SectionContent, as_json, not_measured
from backend.services.dossier.subject import DossierSubject
from backend.services.verdicts.promotion import NO_PREFLIGHT
from backend.services.verdicts.verdict import Verdict, change_since_training
from backend.tables.accounts import User
from backend.tables.verdicts import Promotion


def tell_decisions(subject: DossierSubject) -> SectionContent:
    """Every decision on the candidate; whoever signs is named."""
    if not subject.promotions:
        return not_measured("Nobody has decided on this candidate yet.")
    records = [
        {
            "when": row.created_at.isoformat(),
            "alias": row.alias,
            "action": row.action,
            "by": _signer(subject, row),
            "why": row.reason,
            "override": row.override,
            "evidence": row.evidence,
        }
        for row in subject.promotions
    ]
    rows = [[r["when"], r["alias"], r["action"], r["by"], r["why"], r["override"]] for r in records]
    columns = ("when", "alias", "decision", "by", "why", "override")
    return SectionContent([], [DossierTable(columns, rows)], {"decisions.json": as_json(records)})


def _signer(subject: DossierSubject, row: Promotion) -> str:
    if row.decided_by_id is None:
        return "nobody: by the bar alone" + (" (simulated)" if row.simulated else "")
    name = subject.session.get_one(User, row.decided_by_id).name
    return f"{name} (simulated)" if row.simulated else name


def tell_limits(subject: DossierSubject) -> SectionContent:
    """What a reader has to hold against the candidate, in sentences."""
    row = subject.comparison
    preflight = row.preflight or NO_PREFLIGHT
    missing = [line["title"] for line in row.lines if line["evidence"] is None]
    withdrawn = withdrawn_rows(subject.session, subject.candidate.without_prompt.id)
    overrides = [one for one in subject.promotions if one.override]
    said = [
        (
            row.verdict != Verdict.PASS,
            f"The verdict is {row.verdict}: it is not shown to be ready.",
        ),
        (bool(row.n_simulated), f"{row.n_simulated} of its votes are simulated."),
        (bool(missing), f"Lines of the bar without a figure: {'; '.join(missing)}."),
        (preflight["verdict"] != Verdict.PASS, f"Preflight: {preflight['reason']}."),
        (
            subject.training is None,
            "It was not trained here: what it was taught cannot be told.",
        ),
        (
            subject.training_set is not None and subject.training_set.simulated,
            "It was trained on simulated reviews.",
        ),
        (bool(withdrawn), f"{withdrawn} rows that it was trained on were withdrawn since."),
        (
            change_since_training(subject.session, row).changed is True,
            "The bar or the baseline changed after training began.",
        ),
        (bool(overrides), f"A lead decided against the verdict {len(overrides)} times."),
    ]
    known = [sentence for holds, sentence in said if holds]
    return SectionContent(
        known or ["The records hold nothing against it beyond the figures themselves."]
    )
