"""Plots of a review queue as Altair charts: progress, an A/B over its votes.

Altair is loaded late, as in `plots`; colours are the theme's or hold on light and dark alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from backend.schemas.review.reports import DayOut, ForecastOut, WatchPoint
from dashboard.components.figures.plots import Row, chart_of

if TYPE_CHECKING:
    import altair as alt

TEAL = "#2f8079"
ORANGE = "#c2702c"
GREY = "#7f8b89"
HEIGHT = 260


def done_by_day(days: Sequence[DayOut], *, done: int) -> list[dict[str, Any]]:
    """Cumulated reviews at the end of each day that had any; the last one is `done`.

    Days count all reviews, extra answers too, and may come to more than `done`: then the first
    day's line starts below zero in truth and at zero here.
    """
    points: list[dict[str, Any]] = []
    rest = done - sum(day.reviews for day in days)
    total = rest
    if days:
        before = min(day.day for day in days) - timedelta(days=1)
        points.append({"day": before.isoformat(), "done": max(0, rest)})
    for day in sorted(days, key=lambda each: each.day):
        total += day.reviews
        points.append({"day": day.day.isoformat(), "done": max(0, total)})
    return points


def forecast_fan(
    last: date, *, done: int, total: int, forecast: ForecastOut
) -> list[dict[str, Any]]:
    """The wedge between the earliest and the latest finish; empty when there is no forecast."""
    early, late = forecast.earliest, forecast.latest
    if early is None or late is None or done >= total:
        return []
    start = {"day": last.isoformat(), "low": done, "high": done}
    days, until = (late - last).days, (early - last).days
    slow = done + (total - done) * (until / days if days > 0 else 1.0)
    return [
        start,
        {"day": early.isoformat(), "low": slow, "high": total},
        {"day": late.isoformat(), "low": total, "high": total},
    ]


def _days_in(*series: Sequence[Row]) -> int:
    """Days from the first point to the last; an axis with more ticks names a day twice."""
    days = [date.fromisoformat(point["day"]) for points in series for point in points]
    return max(1, (max(days) - min(days)).days) if days else 1


def burn_up_plot(
    days: Sequence[DayOut], *, done: int, total: int, forecast: ForecastOut
) -> alt.LayerChart:
    """Reviews done by day, the line to be reached, and the wedge in which it will be."""
    import altair as alt

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", title="reviews done", scale=alt.Scale(domainMin=0))

    points = done_by_day(days, done=done)
    last = max((day.day for day in days), default=date.min)
    fan = forecast_fan(last, done=done, total=total, forecast=forecast) if days else []
    axis = alt.Axis(format="%d %b", tickCount=min(8, _days_in(points, fan)), labelOverlap=True)
    x = alt.X("day:T", title=None, axis=axis)
    told = [alt.Tooltip("day:T", title="by"), alt.Tooltip("done:Q")]
    line = chart_of(points).mark_line(point={"size": 36}, color=TEAL, strokeWidth=2.5)
    layers = [
        chart_of([{"total": total}]).mark_rule(strokeDash=[4, 4], color=GREY).encode(y("total")),
        line.encode(x, y("done"), tooltip=told),
    ]
    if fan:
        wedge = chart_of(fan).mark_area(color=ORANGE, opacity=0.28)
        middle = [{"day": last.isoformat(), "done": done}]
        if forecast.finish_on is not None:
            middle.append({"day": forecast.finish_on.isoformat(), "done": total})
        dashed = chart_of(middle).mark_line(color=ORANGE, strokeDash=[6, 4], strokeWidth=2)
        layers.insert(0, wedge.encode(x, y("low"), alt.Y2("high")))
        layers.append(dashed.encode(x, y("done")))
    words = forecast.sentence or forecast.error or ""
    about = f"Reviews done by day, {done} of {total}. {words}"
    return alt.layer(*layers).properties(description=about, height=HEIGHT)


def watch_plot(
    series: Sequence[WatchPoint], *, margin: float, decided_at: int | None
) -> alt.LayerChart:
    """The win rate over votes with its anytime-valid band, and the line that decides."""
    import altair as alt

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", title="win rate, ties half", scale=alt.Scale(domain=[0, 1]))

    told = [alt.Tooltip(f"{name}:Q", format=".3~f") for name in ("votes", "value", "low", "high")]
    axis, scale = alt.Axis(tickMinStep=1), alt.Scale(zero=False)
    points = chart_of(point.model_dump() for point in series).encode(
        alt.X("votes:Q", title="votes", axis=axis, scale=scale)
    )
    margins = chart_of([{"at": 0.5 + margin}]).mark_rule(strokeDash=[4, 4], color=GREY)
    layers = [
        points.mark_area(color=TEAL, opacity=0.22).encode(y("low"), alt.Y2("high")),
        points.mark_line(color=TEAL, strokeWidth=2.5).encode(y("value"), tooltip=told),
        margins.encode(alt.Y("at:Q")),
    ]
    if decided_at is not None:
        decided = chart_of([{"votes": decided_at}]).mark_rule(color=ORANGE, strokeWidth=2)
        layers.append(decided.encode(alt.X("votes:Q")))
    about = "Win rate over votes with the interval that may be read at any time"
    return alt.layer(*layers).properties(description=about, height=HEIGHT)
