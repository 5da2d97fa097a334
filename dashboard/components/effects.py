"""What ought not to sway a review: tests as rows, as plots, and the pace within a sitting.

Pure functions of what the server sends; the statistics are the server's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from backend.schemas.review.queues import ReviewShown
from backend.schemas.review.reports import EffectShown
from dashboard.components.figures import p_text
from dashboard.components.frame import Cell, Number
from dashboard.components.measured import interval_points, measured_cell
from dashboard.components.plots import intervals_plot

EffectName = Literal["side", "length", "order", "fatigue"]
EFFECT_COLUMNS = ["what", "measured on", "figure [95% interval]", "p", "in words"]
NO_EFFECT: dict[EffectName, float] = {"side": 0.5, "length": 1.0, "order": 0.0, "fatigue": 0.0}
PLAIN_UNITS: dict[EffectName, str] = {
    "side": "share of decided votes that went left",
    "length": "odds ratio",
    "order": "change within a sitting",
    "fatigue": "change within a sitting",
}
BREAK = timedelta(minutes=30)  # a longer pause begins another sitting
PACE_HEIGHT = 320


def effect_row(one: EffectShown) -> list[Cell]:
    """One test: what, on what, the number, its p, and the sentence."""
    p: Cell = None
    if one.p is not None:
        p = Number(p_text(one.p))
    return [one.name, one.subject, measured_cell(one.figure), p, one.sentence]


def effect_plots(effects: Sequence[EffectShown]) -> list[dict[str, Any]]:
    """A plot for each unit, with a dashed line where no effect lies; none for reasons alone."""
    plots = []
    for unit, no_effect in dict.fromkeys((unit_of(one), NO_EFFECT[one.name]) for one in effects):
        asked = [one for one in effects if (unit_of(one), NO_EFFECT[one.name]) == (unit, no_effect)]
        points = interval_points((f"{one.name}: {one.subject}", one.figure) for one in asked)
        if points:
            plots.append(intervals_plot(points, label="line", value_title=unit, mark_at=no_effect))
    return plots


def unit_of(one: EffectShown) -> str:
    """The unit as the server names it, else what the number is."""
    return one.figure.unit or PLAIN_UNITS[one.name]


def pace_points(reviews: Sequence[ReviewShown]) -> list[dict[str, Any]]:
    """Each timed review: minutes since its reviewer's sitting began, and active seconds.

    A sitting ends with a pause of more than BREAK between two submits.
    """
    points: list[dict[str, Any]] = []
    began: dict[str, datetime] = {}
    last: dict[str, datetime] = {}
    timed = [(r.submitted_at, r) for r in reviews if r.submitted_at and r.active_seconds > 0]
    for at, review in sorted(timed, key=lambda pair: pair[0]):
        who = review.reviewer
        if who not in last or at - last[who] > BREAK:
            began[who] = at
        last[who] = at
        minutes = (at - began[who]).total_seconds() / 60
        points.append({"minutes": minutes, "seconds": review.active_seconds, "reviewer": who})
    return points


def pace_plot(points: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Active seconds a review against minutes into the sitting, a colour for each reviewer."""
    return {
        "description": f"Active seconds of {len(points)} reviews against minutes into the sitting",
        "data": {"values": list(points)},
        "height": PACE_HEIGHT,
        "mark": {"type": "point", "filled": True, "size": 45, "opacity": 0.75},
        "encoding": {
            "x": {
                "field": "minutes",
                "type": "quantitative",
                "title": "minutes into the sitting",
                "axis": {"tickMinStep": 1},
            },
            "y": {"field": "seconds", "type": "quantitative", "title": "active seconds a review"},
            "color": {
                "field": "reviewer",
                "type": "nominal",
                "title": None,
                "legend": {"orient": "top", "columns": 3},
            },
            "tooltip": [
                {"field": "reviewer", "type": "nominal"},
                {"field": "minutes", "type": "quantitative", "format": ".0f"},
                {"field": "seconds", "type": "quantitative", "format": ".0f"},
            ],
        },
    }
