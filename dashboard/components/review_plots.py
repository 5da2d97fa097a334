"""Plots of a review queue as Vega-Lite specifications: progress, an A/B over its votes.

Dicts in, dicts out, as in `plots`; colours are the theme's or hold on light and dark alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from backend.schemas.review.reports import DayShown, ForecastShown, WatchPoint

Row = Mapping[str, Any]
TEAL = "#2f8079"
ORANGE = "#c2702c"
GREY = "#7f8b89"
HEIGHT = 260


def done_by_day(days: Sequence[DayShown], *, done: int) -> list[dict[str, Any]]:
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
    last: date, *, done: int, total: int, forecast: ForecastShown
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
    days: Sequence[DayShown], *, done: int, total: int, forecast: ForecastShown
) -> dict[str, Any]:
    """Reviews done by day, the line to be reached, and the wedge in which it will be."""
    points = done_by_day(days, done=done)
    last = max((day.day for day in days), default=date.min)
    fan = forecast_fan(last, done=done, total=total, forecast=forecast) if days else []
    axis = {"format": "%d %b", "tickCount": min(8, _days_in(points, fan)), "labelOverlap": True}
    x = {"field": "day", "type": "temporal", "title": None, "axis": axis}
    y = {"type": "quantitative", "title": "reviews done", "scale": {"domainMin": 0}}
    layers: list[dict[str, Any]] = [
        {
            "data": {"values": [{"total": total}]},
            "mark": {"type": "rule", "strokeDash": [4, 4], "color": GREY},
            "encoding": {"y": {"field": "total", **y}},
        },
        {
            "data": {"values": points},
            "mark": {"type": "line", "point": {"size": 36}, "color": TEAL, "strokeWidth": 2.5},
            "encoding": {
                "x": x,
                "y": {"field": "done", **y},
                "tooltip": [
                    {"field": "day", "type": "temporal", "title": "by"},
                    {"field": "done", "type": "quantitative"},
                ],
            },
        },
    ]
    if fan:
        layers.insert(0, _fan_layer(fan, x, y))
        layers.append(_middle_layer(last, done=done, total=total, forecast=forecast, x=x, y=y))
    words = forecast.sentence or forecast.error or ""
    return {
        "description": f"Reviews done by day, {done} of {total}. {words}",
        "height": HEIGHT,
        "layer": layers,
    }


def _fan_layer(fan: Sequence[Row], x: dict[str, Any], y: dict[str, Any]) -> dict[str, Any]:
    return {
        "data": {"values": [dict(point) for point in fan]},
        "mark": {"type": "area", "color": ORANGE, "opacity": 0.28},
        "encoding": {"x": x, "y": {"field": "low", **y}, "y2": {"field": "high"}},
    }


def _middle_layer(
    last: date, *, done: int, total: int, forecast: ForecastShown, x: Any, y: Any
) -> dict[str, Any]:
    points = [{"day": last.isoformat(), "done": done}]
    if forecast.finish_on is not None:
        points.append({"day": forecast.finish_on.isoformat(), "done": total})
    return {
        "data": {"values": points},
        "mark": {"type": "line", "color": ORANGE, "strokeDash": [6, 4], "strokeWidth": 2},
        "encoding": {"x": x, "y": {"field": "done", **y}},
    }


def watch_plot(
    series: Sequence[WatchPoint], *, margin: float, decided_at: int | None
) -> dict[str, Any]:
    """The win rate over votes with its anytime-valid band, and the line that decides."""
    rows = [point.model_dump() for point in series]
    x = {
        "field": "votes",
        "type": "quantitative",
        "title": "votes",
        "axis": {"tickMinStep": 1},
        "scale": {"zero": False},
    }
    y = {"type": "quantitative", "title": "win rate, ties half", "scale": {"domain": [0, 1]}}
    layers: list[dict[str, Any]] = [
        {
            "mark": {"type": "area", "color": TEAL, "opacity": 0.22},
            "encoding": {"x": x, "y": {"field": "low", **y}, "y2": {"field": "high"}},
        },
        {
            "mark": {"type": "line", "color": TEAL, "strokeWidth": 2.5},
            "encoding": {
                "x": x,
                "y": {"field": "value", **y},
                "tooltip": [
                    {"field": name, "type": "quantitative", "format": ".3~f"}
                    for name in ("votes", "value", "low", "high")
                ],
            },
        },
        {
            "data": {"values": [{"at": 0.5 + margin}]},
            "mark": {"type": "rule", "strokeDash": [4, 4], "color": GREY},
            "encoding": {"y": {"field": "at", "type": "quantitative"}},
        },
    ]
    if decided_at is not None:
        layers.append(
            {
                "data": {"values": [{"votes": decided_at}]},
                "mark": {"type": "rule", "color": ORANGE, "strokeWidth": 2},
                "encoding": {"x": {"field": "votes", "type": "quantitative"}},
            }
        )
    return {
        "description": "Win rate over votes with the interval that may be read at any time",
        "data": {"values": rows},
        "height": HEIGHT,
        "layer": layers,
    }
