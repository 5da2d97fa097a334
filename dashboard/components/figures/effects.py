"""What ought not to sway a review: tests as rows, as plots, and the pace within a sitting.

Pure functions of what the server sends; the statistics are the server's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from backend.schemas.review.queues import ReviewOut
from backend.schemas.review.reports import EffectOut
from dashboard.components.figures.figures import p_text
from dashboard.components.figures.measured import interval_points, measured_cell
from dashboard.components.figures.plots import chart_of, intervals_plot
from dashboard.components.frame import Cell, FigureText

if TYPE_CHECKING:
    import altair as alt

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


def effect_row(one: EffectOut) -> list[Cell]:
    """One test: what, on what, the number, its p, and the sentence."""
    p: Cell = None
    if one.p is not None:
        p = FigureText(p_text(one.p))
    return [one.name, one.subject, measured_cell(one.figure), p, one.sentence]


def effect_plots(effects: Sequence[EffectOut]) -> list[alt.LayerChart]:
    """A plot for each unit, with a dashed line where no effect lies; none for reasons alone."""
    plots = []
    for unit, no_effect in dict.fromkeys((unit_of(one), NO_EFFECT[one.name]) for one in effects):
        asked = [one for one in effects if (unit_of(one), NO_EFFECT[one.name]) == (unit, no_effect)]
        points = interval_points((f"{one.name}: {one.subject}", one.figure) for one in asked)
        if points:
            plots.append(intervals_plot(points, label="line", value_title=unit, mark_at=no_effect))
    return plots


def unit_of(one: EffectOut) -> str:
    """The unit as the server names it, else what the number is."""
    return one.figure.unit or PLAIN_UNITS[one.name]


def pace_points(reviews: Sequence[ReviewOut]) -> list[dict[str, Any]]:
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


def pace_plot(points: Sequence[dict[str, Any]]) -> alt.Chart:
    """Active seconds a review against minutes into the sitting, a colour for each reviewer."""
    import altair as alt

    about = f"Active seconds of {len(points)} reviews against minutes into the sitting"
    marks = chart_of(points).mark_point(filled=True, size=45, opacity=0.75)
    figures = [alt.Tooltip(f"{name}:Q", format=".0f") for name in ("minutes", "seconds")]
    return marks.properties(description=about, height=PACE_HEIGHT).encode(
        alt.X("minutes:Q", title="minutes into the sitting", axis=alt.Axis(tickMinStep=1)),
        alt.Y("seconds:Q", title="active seconds a review"),
        alt.Color("reviewer:N", title=None, legend=alt.Legend(orient="top", columns=3)),
        tooltip=[alt.Tooltip("reviewer:N"), *figures],
    )
