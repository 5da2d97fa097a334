"""Measured numbers in words: value, interval and n together, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from backend.schemas.review.reports import Measured
from dashboard.components.figures.plots import interval_of
from dashboard.components.frame import Cell, FigureText

DIGITS = {"seconds": 0, "reviews per active day": 1}
USUAL_DIGITS = 2


def measured_text(number: Measured, *, with_unit: bool = True) -> str:
    """For example `0.71 [0.66, 0.77], n = 34`; the reason where there is no value.

    Args:
        with_unit: whether the unit is named; not where the heading of a column does.
    """
    if number.value is None:
        return f"cannot be said: {number.error or 'no reason was given'}"
    digits = DIGITS.get(number.unit, USUAL_DIGITS)
    unit = f" {number.unit}" if with_unit and number.unit else ""
    if number.low is None or number.high is None:
        span = " (no interval)"
    else:
        span = f" [{_fixed(number.low, digits)}, {_fixed(number.high, digits)}]"
    rough = ", rough" if number.rough else ""
    return f"{_fixed(number.value, digits)}{span}{unit}, n = {number.n}{rough}"


def _fixed(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def measured_cell(number: Measured, *, with_unit: bool = True) -> Cell:
    """The same for a table: a number stays on one line, a reason may wrap."""
    text = measured_text(number, with_unit=with_unit)
    return FigureText(text) if number.value is not None else (number.error or text)


def interval_point(line: str, number: Measured, *, group: str = "") -> dict[str, Any]:
    """A row for `intervals_plot`; only for a number that has a value."""
    return {
        "line": line,
        "group": group,
        **interval_of(number),
        "text": measured_text(number),
    }


def interval_points(
    lines: Iterable[tuple[str, Measured]], *, group: str = ""
) -> list[dict[str, Any]]:
    """Rows for `intervals_plot`; numbers without a value are left to the table."""
    return [
        interval_point(line, number, group=group)
        for line, number in lines
        if number.value is not None
    ]


def share_words(share: float) -> str:
    """A probability as people say it: `every one`, `1 in 4`, `2 in 3`."""
    if share >= 0.9995:
        return "every one"
    if share >= 0.55:
        tenths = min(9, round(10 * share))
        return f"about {tenths} in 10"
    return f"1 in {1 / share:.0f}" if share > 0 else "none"
