"""What stands beside the lines of the bar: base and champion, length and cost, slices, and flips to
read side by side."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.errors import CannotCompute
from backend.schemas.runs import DifferenceOut
from backend.schemas.verdicts import BarOut, ComparisonDetail, FlipOut, FlipsOut, SliceOut
from dashboard.components.figures.figures import (
    difference_rows,
    interval_text,
    line_name,
    p_text,
)
from dashboard.components.frame import (
    Cell,
    FigureText,
    card_html,
    escape,
    sentences_html,
    show_problem,
    table_html,
)
from dashboard.components.marked_text import text_html
from dashboard.components.texts.turns import input_html
from dashboard.session import current_client
from dashboard.views.runs.figures import plot_differences

DIFFERENCE_COLUMNS = [
    "metric", "slice", "against", "its value", "candidate", "difference [95% interval]", "p",
    "better / same / worse", "n",
]  # fmt: skip
SLICE_COLUMNS = ["metric", "slice", "difference [95% interval]", "p", "p, Holm", "n", "named"]
USAGE_COLUMNS = [
    "each answer takes",
    "against",
    "it",
    "candidate",
    "difference [95% interval]",
    "n",
]
USAGE_WORDS = {
    "prompt_tokens": "tokens read",
    "tokens": "tokens written",
    "latency": "seconds",
}
SHOWN_FLIPS = 5


def show_bar_change(bar: BarOut) -> None:
    """In red and in words, when the bar moved after training began; else one line."""
    if not bar.changed:
        st.html(f"<p class='strop-help'>{escape(bar.sentence)}</p>")
        return
    diff = text_html("\n".join(bar.diff), kind="small")
    st.html(f"<div class='strop-alarm' role='alert'><p>{escape(bar.sentence)}</p>{diff}</div>")


def show_detail(detail: ComparisonDetail) -> None:
    """The tabs below the lines of a comparison."""
    names = ["Base and champion", "Slices", "Flips"]
    beside, slices, flips = st.tabs(names, on_change="rerun", key=f"comparison-tabs-{detail.id}")
    if beside.open:
        with beside:
            _show_beside(detail)
    if slices.open:
        with slices:
            _show_slices(current_client().verdicts.slices(detail.id))
    if flips.open:
        with flips:
            _show_flips(detail)


def _show_beside(detail: ComparisonDetail) -> None:
    if detail.absent:
        st.html(sentences_html(detail.absent))
    plot_differences(detail.differences)
    st.html(table_html(DIFFERENCE_COLUMNS, beside_rows(detail.differences)))
    if detail.usage:
        st.html("<h2>Length and cost</h2>")
        st.html(table_html(USAGE_COLUMNS, usage_rows(detail.usage, detail.currency)))
    if detail.payoff:
        st.html(sentences_html(detail.payoff))


def beside_rows(found: Sequence[DifferenceOut]) -> list[list[Cell]]:
    """The usual rows of differences, with the model that each is taken against."""
    return [
        [*row[:2], one.baseline_model, *row[2:]]
        for one, row in zip(found, difference_rows(found), strict=True)
    ]


def usage_rows(found: Sequence[DifferenceOut], currency: str | None) -> list[list[Cell]]:
    """Tokens, seconds and money of an answer; money is of a thousand answers."""
    return [_usage_row(one, currency) for one in found]


def _usage_row(one: DifferenceOut, currency: str | None) -> list[Cell]:
    name = USAGE_WORDS.get(one.metric, f"{currency}, for 1000 answers")
    if one.error is not None:
        return [name, one.baseline_model, None, None, one.error, one.n]
    scale = 1000.0 if one.metric == "cost" else 1.0
    old, new, value = (
        "" if number is None else f"{scale * number:{form}}"
        for number, form in ((one.baseline, ".3g"), (one.candidate, ".3g"), (one.value, "+.3g"))
    )
    span = "(no interval)"
    if one.low is not None and one.high is not None:
        span = f"[{scale * one.low:+.3g}, {scale * one.high:+.3g}]"
    return [
        name,
        one.baseline_model,
        FigureText(old),
        FigureText(new),
        FigureText(f"{value} {span}"),
        one.n,
    ]


def _show_slices(found: Sequence[SliceOut]) -> None:
    if not found:
        st.info("The examples have no slices, and the bar names none.")
        return
    st.caption(
        "To be read, not judged by: among many slices one differs by chance. "
        "p and interval are of one slice alone, Holm's p is adjusted over all of them."
    )
    st.html(table_html(SLICE_COLUMNS, slice_rows(found)))


def slice_rows(found: Sequence[SliceOut]) -> list[list[Cell]]:
    """A row for each slice, those that the bar names first."""
    return [
        [
            one.metric,
            line_name("", one.slice).strip(" ()") or "all",
            one.error
            if one.error is not None
            else FigureText(interval_text(one.value, one.low, one.high, scale=one.scale)),
            None if one.p is None else FigureText(f"{one.p:.3f}"),
            None if one.p_holm is None else FigureText(p_text(one.p_holm)),
            one.n,
            "by the bar" if one.named else "",
        ]
        for one in sorted(found, key=lambda one: not one.named)
    ]


def _show_flips(detail: ComparisonDetail) -> None:
    pair = [d for d in detail.differences if d.baseline_model == detail.baseline]
    labels = list(dict.fromkeys(_label(d) for d in pair))
    if not labels:
        st.info("Nothing was scored on both models.")
        return
    metric = st.selectbox("Metric", labels, key=f"flip-metric-{detail.id}")
    try:
        found = current_client().verdicts.flips(detail.id, metric=metric, limit=SHOWN_FLIPS)
    except CannotCompute as error:
        show_problem(error)
        return
    sentence = flips_sentence(found, detail.baseline, detail.candidate)
    st.html(f"<p>{escape(sentence)}</p>")
    for flip in found.examples:
        _show_flip(flip, detail.baseline, detail.candidate)


def _label(found: DifferenceOut) -> str:
    keys = ",".join(f"{key}={value}" for key, value in sorted(found.slice.items()))
    return f"{found.metric}@{keys}" if keys else found.metric


def flips_sentence(found: FlipsOut, baseline: str, candidate: str) -> str:
    """How many examples went which way, of how many."""
    return (
        f"{candidate} is better than {baseline} on {found.better} and worse on {found.worse} of "
        f"{found.n} examples; {found.same} are equal. The largest gaps are shown."
    )


def _show_flip(flip: FlipOut, baseline: str, candidate: str) -> None:
    sign = "▲" if flip.change == "better" else "▼"
    title = f"{sign} {flip.change}: example {flip.external_id}"
    with st.expander(title, expanded=flip.change == "worse"):
        source, old, new = st.columns([1, 1, 1], gap="medium")
        with source:
            st.html(card_html("Task", input_html(flip.input, flip.turns, kind="small")))
            if flip.context:
                st.html(card_html("Source", text_html(flip.context, kind="small")))
            for reference in flip.references[:1]:
                st.html(card_html("Reference", text_html(reference, kind="small")))
        with old:
            name = f"{baseline}: {flip.baseline_score:.3g}"
            st.html(card_html(name, text_html(flip.baseline_text, kind="small")))
        with new:
            name = f"{candidate}: {flip.candidate_score:.3g}"
            st.html(card_html(name, text_html(flip.candidate_text, kind="small")))
