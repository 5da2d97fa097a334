"""The results as they are read: lines of the bar, figures, differences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.services.dossier.content import DossierTable, SectionContent
from backend.services.dossier.subject import DossierSubject
from backend.services.verdicts.promotion import reason_of
from backend.services.verdicts.savings import payoff_of


def tell_results(subject: DossierSubject) -> SectionContent:
    """The verdict and the lines; the figures follow where the archive is put together."""
    row = subject.comparison
    lines = [
        [line["verdict"], line["title"], _figure(line.get("evidence")), line["reason"]]
        for line in row.lines
    ]
    run = subject.score_run.generation_run
    return SectionContent(
        [
            f"{subject.candidate.label} against {subject.baseline.label}, judged "
            f"{row.created_at:%Y-%m-%d %H:%M} UTC on the {run.split} split: {reason_of(row)}",
            *payoff_of(subject.session, row),
        ],
        [DossierTable(("verdict", "line of the bar", "figure", "why"), lines)],
    )


def _figure(evidence: Mapping[str, Any] | None) -> str:
    if evidence is None:
        return "none"
    value, low, high = (evidence[name] for name in ("value", "low", "high"))
    return f"{value:.4g} [{low:.4g}, {high:.4g}], n={evidence['n']} {evidence['unit']}"


def figures_table(figures: list[dict[str, Any]]) -> DossierTable:
    """Every figure of the archive in one table."""
    rows = [
        [
            one["id"],
            *(one["said"][key] for key in ("value", "low", "high", "n", "failed")),
            _how(one),
        ]
        for one in figures
    ]
    return DossierTable(("figure", "value", "low", "high", "n", "failed", "recipe"), rows)


def _how(one: Mapping[str, Any]) -> str:
    why = f"not recomputed by the checker: {one['why_not']}" if one["why_not"] else None
    return "; ".join(part for part in (one["signature"], why) if part)
