"""Figures as people read them: the value, its interval, its n, and what could not be scored.

A figure that could not be computed is its reason, never a dash and never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from backend.schemas.runs import DifferenceOut, FigureOut
from dashboard.components.figures.plots import interval_of
from dashboard.components.frame import Cell, FigureText

SCALE_WORDS = {1.0: "0 to 1", 100.0: "0 to 100", None: "no fixed scale"}
LOWER = "lower is better"


def scale_words(scale: float | None) -> str:
    """A scale as the server names it (the largest value, or None), for people."""
    return SCALE_WORDS.get(scale) or f"0 to {scale:g}"


def scales_in(found: Iterable[FigureOut | DifferenceOut]) -> list[float | None]:
    """The scales of these figures, each once; figures of different scales share no axis."""
    return list(dict.fromkeys(one.scale for one in found))


def digits_of(scale: float | None) -> int:
    """Decimals that are worth reading on a scale."""
    return 1 if scale == 100.0 else 3


def metric_name(metric: str, better: str) -> str:
    """The name of a metric, with its direction where less is better."""
    return f"{metric} ({LOWER})" if better == "lower" else metric


def p_text(p: float) -> str:
    """A p value with three decimals, never as nought."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def interval_text(
    value: float | None, low: float | None, high: float | None, *, scale: float | None
) -> str:
    """For example `0.713 [0.661, 0.765]`; one decimal on the scale to 100."""
    if value is None:
        return "cannot be computed"
    digits = digits_of(scale)
    if low is None or high is None:
        return f"{value:.{digits}f} (no interval)"
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def slice_text(parts: dict[str, str]) -> str:
    """A slice in words; the empty one is every example."""
    return ", ".join(f"{key}={value}" for key, value in parts.items()) or "all"


def line_name(metric: str, parts: dict[str, str]) -> str:
    """The name of a line in a plot: metric, and the slice where there is one."""
    return f"{metric} ({slice_text(parts)})" if parts else metric


def _directed(name: str, better: str) -> str:
    """An arrow towards the side on which better values lie, before the name of a line."""
    return f"← {name}" if better == "lower" else f"{name} →"


ARROWS = "The arrow beside a name points to the better side."


def figure_rows(figures: Sequence[FigureOut]) -> list[list[Cell]]:
    """Table rows: metric, slice, model, value with interval, n, failed."""
    return [
        [
            metric_name(figure.metric, figure.better),
            slice_text(figure.slice),
            figure.model,
            FigureText(interval_text(figure.value, figure.low, figure.high, scale=figure.scale))
            if figure.error is None
            else figure.error,
            figure.n,
            figure.failed,
            figure.note,
        ]
        for figure in figures
    ]


def difference_rows(differences: Sequence[DifferenceOut]) -> list[list[Cell]]:
    """Table rows: metric, slice, both values, difference with interval, p, wins and losses, n."""
    return [_difference_row(difference) for difference in differences]


def _difference_row(found: DifferenceOut) -> list[Cell]:
    name: list[Cell] = [metric_name(found.metric, found.better), slice_text(found.slice)]
    if found.error is not None:
        return [*name, None, None, found.error, None, None, found.n]
    digits = digits_of(found.scale)
    return [
        *name,
        _short(found.baseline, digits),
        _short(found.candidate, digits),
        FigureText(interval_text(found.value, found.low, found.high, scale=found.scale)),
        None if found.p is None else FigureText(p_text(found.p)),
        FigureText(f"{found.wins} / {found.ties} / {found.losses}"),
        found.n,
    ]


def _short(value: float | None, digits: int) -> Cell:
    return None if value is None else FigureText(f"{value:.{digits}f}")


def figure_points(figures: Sequence[FigureOut]) -> list[dict[str, Any]]:
    """Points for `intervals_plot`; those without a value are left to the table."""
    return [
        {
            "line": _directed(line_name(f.metric, f.slice), f.better),
            "group": f.model,
            **interval_of(f),
            "text": interval_text(f.value, f.low, f.high, scale=f.scale),
        }
        for f in figures
        if f.value is not None
    ]


def difference_points(differences: Sequence[DifferenceOut]) -> list[dict[str, Any]]:
    """Points for `intervals_plot` with a line at zero."""
    return [
        {
            "line": _directed(line_name(d.metric, d.slice), d.better),
            "group": f"{d.candidate_model} minus {d.baseline_model}",
            **interval_of(d),
            "text": interval_text(d.value, d.low, d.high, scale=d.scale),
        }
        for d in differences
        if d.value is not None
    ]
