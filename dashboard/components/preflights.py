"""The checks of a preflight as a table: what was asked, what came of it, figures with their n."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backend.schemas.models import PreflightOut
from dashboard.components.frame import Cell, Tag

STATES: Mapping[bool | None, tuple[str, str]] = {
    True: ("passed", "pass"),
    False: ("failed", "fail"),
    None: ("note", ""),
}
COLUMNS = ["check", "state", "what was found", "figures"]
SHORT_DIGEST = 12
LONGEST = 60


def newest_of_each(preflights: Sequence[PreflightOut]) -> list[PreflightOut]:
    """The newest preflight of each set of models, the newest first."""
    found: dict[tuple[int, ...], PreflightOut] = {}
    for preflight in sorted(preflights, key=lambda one: -one.id):
        found.setdefault(tuple(sorted(preflight.model_ids)), preflight)
    return list(found.values())


def preflight_tag(preflight: PreflightOut) -> Tag:
    """Passed or failed, with how many checks decided it."""
    decided = [check for check in preflight.checks if check["passed"] is not None]
    failed = sum(check["passed"] is False for check in decided)
    if preflight.passed:
        return Tag(f"passed, {len(decided)} checks", "pass")
    return Tag(f"failed, {failed} of {len(decided)} checks", "fail")


def check_rows(checks: Sequence[Mapping[str, Any]]) -> list[list[Cell]]:
    """One row for each check, what failed first."""
    ordered = sorted(checks, key=lambda check: check["passed"] is not False)
    return [
        [
            check["name"],
            Tag(*STATES[check["passed"]]),
            check["detail"],
            figures_text(check.get("figures") or {}),
        ]
        for check in ordered
    ]


def figures_text(figures: Mapping[str, Any]) -> str:
    """For example `probes 8, median nats 0.012`; digests by their first letters."""
    return ", ".join(f"{name.replace('_', ' ')} {_value(value)}" for name, value in figures.items())


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    if len(text) == 64 and text.isalnum():
        return text[:SHORT_DIGEST]
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
