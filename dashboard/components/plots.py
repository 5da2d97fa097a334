"""Plots as Vega-Lite specifications: dicts in, dicts out, so that a test can read them.

Every interval that is known is drawn. Text from people or models is data of the plot, never part
of its specification.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
FRAME_HEIGHT = 76  # axis and its title
LEGEND_HEIGHT = 44
POINT_HEIGHT = 24
LABEL_WIDTH = 190  # pixels; a phone has 360 for the plot as a whole
LINE_COLOUR = "#7f8b89"  # 3:1 on light and dark; the default is lost in the dark theme
VOTE_COLOURS = ["#2f8079", "#7f8b89", "#6a7674", "#c2702c", "#93806a"]  # 3:1 on light and dark


def intervals_plot(
    rows: Sequence[Row],
    *,
    label: str,
    value_title: str,
    mark_at: float | None = None,
    domain: tuple[float, float] | None = None,
) -> dict[str, Any]:
    """Points with their intervals, one line a row.

    Args:
        rows: each with `label`'s key, `value`, `low`, `high` and `n`; `group` colours them.
        mark_at: where a dashed line is drawn: 0 for differences, a half for win rates.
        domain: both ends of the value axis; by default as the intervals ask.
    """
    y = {
        "field": label,
        "type": "nominal",
        "sort": None,
        "title": None,
        "axis": {"labelLimit": LABEL_WIDTH, "ticks": False, "domain": False},
    }
    labels, groups = {row[label] for row in rows}, {row.get("group") for row in rows}
    legend = {"orient": "top"} if len(groups) > 1 else None
    colour = {"field": "group", "type": "nominal", "title": None, "legend": legend}
    tooltip = [{"field": name, "type": "nominal"} for name in (label, "group", "text", "n")]
    shared = {"y": y, "yOffset": {"field": "group"}, "color": colour, "tooltip": tooltip}
    layers: list[dict[str, Any]] = [
        {
            "mark": {"type": "rule", "strokeWidth": 2.5},
            "encoding": {
                **shared,
                "x": {
                    "field": "low",
                    "type": "quantitative",
                    "title": value_title,
                    "scale": {"domain": list(domain)} if domain else {"zero": False},
                },
                "x2": {"field": "high"},
            },
        },
        {
            "mark": {"type": "point", "filled": True, "size": 80, "opacity": 1},
            "encoding": {**shared, "x": {"field": "value", "type": "quantitative"}},
        },
    ]
    if mark_at is not None:
        layers.append(_dashed_line(mark_at))
    frame = FRAME_HEIGHT + (LEGEND_HEIGHT if legend else 0)
    return {
        "description": f"{value_title}: points with their intervals, the same as in the table",
        "data": {"values": [dict(row) for row in rows]},
        "height": frame + POINT_HEIGHT * len(labels) * max(1, len(groups)),
        "layer": layers,
    }


def _dashed_line(at: float) -> dict[str, Any]:
    return {
        "data": {"values": [{"at": at}]},
        "mark": {"type": "rule", "strokeDash": [4, 4], "color": LINE_COLOUR, "size": 1.5},
        "encoding": {"x": {"field": "at", "type": "quantitative"}},
    }


def loss_plot(points: Iterable[Row]) -> dict[str, Any]:
    """Loss against step, one line per series (training, validation)."""
    return {
        "description": "Loss against step, one line for training and one for validation",
        "data": {"values": [dict(point) for point in points]},
        "height": 260,
        "mark": {"type": "line", "point": {"size": 28}, "strokeWidth": 2},
        "encoding": {
            "x": {
                "field": "step",
                "type": "quantitative",
                "title": "step",
                "axis": {"tickMinStep": 1},
            },
            "y": {
                "field": "loss",
                "type": "quantitative",
                "title": "loss",
                "scale": {"zero": False},
            },
            "color": {
                "field": "series",
                "type": "nominal",
                "title": None,
                "legend": {"orient": "top"},
            },
            "tooltip": [{"field": n, "type": "nominal"} for n in ("series", "step", "loss")],
        },
    }


def votes_plot(counts: Sequence[Row]) -> dict[str, Any]:
    """One stacked bar of votes: for one model, ties, both bad, for the other.

    It has no legend of its own: `vote_legend` wraps on a phone, where Vega's is cut off.

    Args:
        counts: each with `answer`, `votes` and `place` (its order from the left).
    """
    return {
        "description": "Votes by answer: " + ", ".join(str(c["votes"]) for c in counts),
        "data": {"values": [dict(count) for count in counts]},
        "height": 84,
        "layer": [
            {
                "mark": {"type": "bar", "height": 26},
                "encoding": {
                    "x": {
                        "field": "votes",
                        "type": "quantitative",
                        "stack": "zero",
                        "title": None,
                        "axis": {"tickMinStep": 1},
                    },
                    "color": {
                        "field": "answer",
                        "type": "nominal",
                        "title": None,
                        "scale": {
                            "domain": [count["answer"] for count in counts],
                            "range": VOTE_COLOURS[: len(counts)],
                        },
                        "legend": None,
                    },
                    "order": {"field": "place", "type": "ordinal"},
                    "tooltip": [{"field": n, "type": "nominal"} for n in ("answer", "votes")],
                },
            }
        ],
    }
