"""The curves of banking77 as rows and as Markdown; every mean has its interval over seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evaluators.statistics.intervals import student_quantile


@dataclass(frozen=True, slots=True)
class Point:
    """One round of one arm.

    Attributes:
        spent: reviews so far; wrong_left: wrong labels that are left in the pool.
        found: wrong labels among this round's `reviews`.
        estimate: [value, low, high, truth] of the share of wrong labels in the frame drawn from.
    """

    noise: str
    seed: int
    arm: str
    round: int
    reviews: int
    spent: int
    found: int
    wrong_left: int
    f1: float
    estimate: list[float] | None


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and 95% Student interval over at least two seeds."""
    mean = statistics.fmean(values)
    half = student_quantile(0.95, len(values) - 1) * statistics.stdev(values)
    half /= math.sqrt(len(values))
    return mean, mean - half, mean + half


def summarise(points: Sequence[Point]) -> list[dict[str, Any]]:
    """One row a noise and round: both arms, and their difference paired by seed."""
    rows = []
    for noise, number in dict.fromkeys((p.noise, p.round) for p in points):
        here = [p for p in points if (p.noise, p.round) == (noise, number)]
        arms = {arm: sorted((p for p in here if p.arm == arm), key=lambda p: p.seed)
                for arm in ("random", "active")}  # fmt: skip
        pairs = list(zip(arms["random"], arms["active"], strict=True))
        rows.append(
            {
                "noise": noise,
                "round": number,
                "seeds": len(pairs),
                **{f"{a}_spent": statistics.fmean(p.spent for p in arms[a]) for a in arms},
                **{f"{a}_f1": interval([p.f1 for p in arms[a]]) for a in arms},
                "f1_gain": interval([new.f1 - old.f1 for old, new in pairs]),
                **{f"{a}_found": interval([float(p.found) for p in arms[a]]) for a in arms},
                **{f"{a}_wrong": interval([float(p.wrong_left) for p in arms[a]]) for a in arms},
            }
        )
    return rows


def coverage(points: Sequence[Point]) -> list[dict[str, Any]]:
    """How often the estimate of the share of wrong labels has the truth in its interval."""
    rows = []
    for noise, arm in dict.fromkeys((p.noise, p.arm) for p in points):
        known = [p.estimate for p in points if (p.noise, p.arm) == (noise, arm) and p.estimate]
        if known:
            hits = sum(low <= truth <= high for _, low, high, truth in known)
            error = statistics.fmean(value - truth for value, _, _, truth in known)
            width = statistics.fmean(high - low for _, low, high, _ in known)
            rows.append(
                {"noise": noise, "arm": arm, "inside": hits, "rounds": len(known),
                 "mean_error": error, "mean_width": width}
            )  # fmt: skip
    return rows


def as_markdown(rows: Sequence[dict[str, Any]], inside: Sequence[dict[str, Any]]) -> str:
    """Both curves as a table, mean and 95% interval over seeds."""
    head = (
        "| wrong labels | round | spent, random / active | macro-F1, random | macro-F1, active "
        "| active - random | wrong found, random | wrong found, active | seeds |"
    )
    lines = [head, "|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        spent = f"{row['random_spent']:.0f} / {row['active_spent']:.0f}"
        f1 = [_shown(row[name], ".3f") for name in ("random_f1", "active_f1", "f1_gain")]
        found = [_shown(row[f"{arm}_found"], ".0f") for arm in ("random", "active")]
        cells = [row["noise"], str(row["round"]), spent, *f1, *found, str(row["seeds"])]
        lines.append(f"| {' | '.join(cells)} |")
    lines.append("")
    lines += [
        f"- {row['noise']}, {row['arm']}: the estimated share of wrong labels had the truth in its "
        f"95% interval in {row['inside']} of {row['rounds']} rounds; mean error "
        f"{row['mean_error']:+.4f}, mean width {row['mean_width']:.3f}."
        for row in inside
    ]
    return "\n".join(lines) + "\n"


def _shown(found: Sequence[float], digits: str) -> str:
    mean, low, high = (format(value, digits) for value in found)
    return f"{mean} ({low} to {high})"
