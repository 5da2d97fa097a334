"""Plots as Altair charts; Altair takes half a second to load, which the first plot waits for.

Every interval that is known is drawn. Text from people or models is data of the plot, never part
of its specification.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair as alt

Row = Mapping[str, Any]
FRAME_HEIGHT = 76  # axis and its title
LEGEND_HEIGHT = 44
POINT_HEIGHT = 24
LABEL_WIDTH = 190  # pixels; a phone has 360 for the plot as a whole
TICK_WIDTH = 80  # pixels between two ticks of the value axis, so that their numbers can be read
LINE_COLOUR = "#7f8b89"  # 3:1 on light and dark; the default is lost in the dark theme
MARK_COLOUR = "#2f8079"  # the same
VOTE_COLOURS = ["#2f8079", "#7f8b89", "#6a7674", "#c2702c", "#93806a"]  # 3:1 on light and dark


def chart_of(rows: Iterable[Row]) -> alt.Chart:
    """A chart without marks whose data are these rows, however many."""
    import altair as alt
    from pandas import DataFrame

    return alt.Chart(DataFrame(list(rows)))


def interval_of(figure: Any) -> dict[str, Any]:
    """Value, interval and n of a figure for `intervals_plot`; the value where an end is unknown."""
    value = figure.value
    low, high = (value if end is None else end for end in (figure.low, figure.high))
    return {"value": value, "low": low, "high": high, "n": figure.n}


def intervals_plot(
    rows: Sequence[Row],
    *,
    label: str,
    value_title: str,
    mark_at: float | None = None,
    domain: tuple[float, float] | None = None,
) -> alt.LayerChart:
    """Points with their intervals, one line a row.

    Args:
        rows: each with `label`'s key, `value`, `low`, `high` and `n`; `group` colours them.
        mark_at: where a dashed line is drawn: 0 for differences, a half for win rates.
        domain: both ends of the value axis; by default as the intervals ask.
    """
    import altair as alt

    labels, groups = {row[label] for row in rows}, {row.get("group") for row in rows}
    side_by_side = len(rows) > len(labels)
    legend = alt.Legend(orient="top") if len(groups) > 1 else None
    axis = alt.Axis(labelLimit=LABEL_WIDTH, ticks=False, domain=False)
    scale = alt.Scale(domain=domain) if domain else alt.Scale(zero=False)
    ticks = alt.Axis(tickCount=alt.ExprRef(f"max(2, floor(width / {TICK_WIDTH}))"))
    points = chart_of(rows).encode(
        alt.Y(f"{label}:N", sort=None, title=None, axis=axis),
        *([alt.YOffset("group:N")] if side_by_side else []),
        alt.Color("group:N", title=None, legend=legend),
        tooltip=[alt.Tooltip(f"{name}:N") for name in (label, "group", "text", "n")],
    )
    layers = [
        points.mark_rule(strokeWidth=2.5).encode(
            alt.X("low:Q", title=value_title, scale=scale, axis=ticks), alt.X2("high")
        ),
        points.mark_point(filled=True, size=80, opacity=1).encode(alt.X("value:Q")),
    ]
    if mark_at is not None:
        line = chart_of([{"at": mark_at}])
        line = line.mark_rule(strokeDash=[4, 4], color=LINE_COLOUR, size=1.5)
        layers.append(line.encode(alt.X("at:Q")))
    frame = FRAME_HEIGHT + (LEGEND_HEIGHT if legend else 0)
    return alt.layer(*layers).properties(
        description=f"{value_title}: points with their intervals, the same as in the table",
        height=frame + POINT_HEIGHT * len(labels) * (len(groups) if side_by_side else 1),
    )


def show_intervals(rows: Sequence[Row], **how: Any) -> None:
    """Draw the plot of these intervals, as `intervals_plot` says; nothing without rows."""
    import streamlit as st

    if rows:
        st.altair_chart(intervals_plot(rows, **how), width="stretch")


def calibration_plot(bins: Sequence[Row]) -> alt.LayerChart:
    """Shares found wrong against the risk that was said; on the dashed diagonal both are alike.

    Args:
        bins: each with `risk`, `rate`, `low`, `high` and `n`, all but the last 0 to 1.
    """
    import altair as alt

    unit = alt.Scale(domain=[0, 1])
    axis = alt.Axis(values=[0, 0.2, 0.4, 0.6, 0.8, 1])
    found = chart_of(bins).encode(
        alt.X("risk:Q", title="risk that was said", scale=unit, axis=axis),
        tooltip=[alt.Tooltip(f"{name}:Q", format=".3~f") for name in bins[0]],
    )
    share = {"title": "share found wrong", "scale": unit, "axis": axis}
    diagonal = chart_of([{"risk": 0, "rate": 0}, {"risk": 1, "rate": 1}])
    dashed = diagonal.mark_line(strokeDash=[4, 4], color=LINE_COLOUR, size=1.5)
    return alt.layer(
        dashed.encode(alt.X("risk:Q"), alt.Y("rate:Q")),
        found.mark_rule(strokeWidth=2.5, color=MARK_COLOUR).encode(
            alt.Y("low:Q", **share), alt.Y2("high")
        ),
        found.mark_point(filled=True, size=80, opacity=1, color=MARK_COLOUR).encode(
            alt.Y("rate:Q")
        ),
    ).properties(
        description="Share found wrong against the risk that was said, with intervals", height=340
    )


def loss_plot(points: Iterable[Row]) -> alt.Chart:
    """Loss against step, one line per series (training, validation)."""
    import altair as alt

    about = "Loss against step, one line for training and one for validation"
    lines = chart_of(points).mark_line(point={"size": 28}, strokeWidth=2)
    return lines.properties(description=about, height=260).encode(
        alt.X("step:Q", title="step", axis=alt.Axis(tickMinStep=1)),
        alt.Y("loss:Q", title="loss", scale=alt.Scale(zero=False)),
        alt.Color("series:N", title=None, legend=alt.Legend(orient="top")),
        tooltip=[alt.Tooltip(f"{name}:N") for name in ("series", "step", "loss")],
    )


def votes_plot(counts: Sequence[Row]) -> alt.Chart:
    """One stacked bar of votes: for one model, ties, both bad, for the other.

    It has no legend of its own: `heat.legend_html` wraps on a phone, where Vega's is cut off.

    Args:
        counts: each with `answer`, `votes` and `place` (its order from the left).
    """
    import altair as alt

    about = "Votes by answer: " + ", ".join(str(count["votes"]) for count in counts)
    answers = [count["answer"] for count in counts]
    colours = alt.Scale(domain=answers, range=VOTE_COLOURS[: len(counts)])
    bar = chart_of(counts).mark_bar(height=26).properties(description=about, height=84)
    return bar.encode(
        alt.X("votes:Q", stack="zero", title=None, axis=alt.Axis(tickMinStep=1)),
        alt.Color("answer:N", title=None, legend=None, scale=colours),
        alt.Order("place:O"),
        tooltip=[alt.Tooltip(f"{name}:N") for name in ("answer", "votes")],
    )
