"""The tab "Pairs": answers to rows in which only a person's group was exchanged."""

from __future__ import annotations

from typing import Any

import streamlit as st

from backend.schemas.fairness import (
    Contrast,
    CounterfactualExample,
    CounterfactualReportOut,
    PairsIn,
    PairsOut,
    Shift,
)
from dashboard.components.figures.figures import p_text
from dashboard.components.figures.plots import interval_of, show_intervals
from dashboard.components.frame import (
    Cell,
    FigureText,
    Tag,
    problems_shown,
    sentences_html,
    show_done,
    table_html,
)
from dashboard.session import current_client, current_project
from dashboard.views.fairness.gaps import interval

KINDS = ["name", "gender", "age", "place"]
COLUMNS = (
    "exchanged",
    "what moves",
    "with the group",
    "with the control",
    "excess",
    "pairs",
    "p (Holm)",
    "",
)
SHIFTS = ("exchanged", "what moves", "from → to", "change", "pairs", "p (Holm)")
EXAMPLES = ("row", "exchanged", "as it was", "exchanged answer", "control's answer")
MEASURES = {
    "answer": "answer (share of its words)",
    "flip": "flip (any change)",
    "length": "length (relative)",
    "refusal": "refusal (declines)",
}
TAGS = {"changes more than the control": "fail"}
SHOWN_REASONS = 6
MOST_CHARACTERS = 300
DONE = "fairness-pairs"


def show() -> None:
    """The pairs that there are, what runs over them said, and a form for new ones."""
    show_done(DONE)
    client = current_client()
    made = client.fairness.pairs(current_project().id)
    run_ids = [run_id for pairs in made for run_id in pairs.run_ids]
    if run_ids:
        chosen = st.selectbox("Run over pairs", run_ids, format_func=lambda i: f"run {i}")
        with st.spinner("Comparing answers …"), problems_shown():
            for report in client.fairness.answers(chosen):
                _show_report(report)
    elif made:
        name = made[0].dataset.partition("@")[0]
        st.info(
            "No model has answered these pairs yet: "
            f"`strop run --dataset {name} --split {made[0].split} --models base,v1`"
        )
    for pairs in made:
        with st.expander(f"{pairs.dataset}, {pairs.split}: {pairs.n_examples} rows"):
            st.html(sentences_html(pair_sentences(pairs)))
    _form()


def pair_sentences(pairs: PairsOut) -> list[str]:
    """How many rows of a kind there are, and why others have none."""
    told = []
    for kind, n in pairs.pairs.items():
        reasons = list(pairs.skipped.get(kind, {}).items())
        left = "; ".join(f"{count} {why}" for why, count in reasons[:SHOWN_REASONS])
        more = sum(count for _, count in reasons[SHOWN_REASONS:])
        rest = f"; {more} for further reasons" if more else ""
        told.append(f"{kind}: {n} pairs. Left out: {left or 'none'}{rest}.")
    return told


def _form() -> None:
    client, project = current_client(), current_project()
    names = sorted({version.name for version in client.datasets.list(project.id)})
    names = [name for name in names if not name.endswith("-counterfactual")]
    if not names:
        return
    with st.form("pairs"):
        st.markdown("**Make pairs**")
        dataset = st.selectbox("Dataset", names)
        kinds = st.multiselect("Exchange", KINDS, default=KINDS)
        split = st.selectbox("Split", ["test", "validation", "train"])
        sent = st.form_submit_button("Make pairs")
    if sent:
        with problems_shown():
            body = PairsIn(dataset=dataset, kinds=kinds, split=split)
            done = client.fairness.make_pairs(project.id, body)
            show_done(DONE, f"{done.dataset}: {done.n_examples} rows. Run models on it next.")
            st.rerun()


def _show_report(report: CounterfactualReportOut) -> None:
    st.subheader(report.model.replace("`", ""))
    st.html(sentences_html(sentences(report)))
    drawn = [point(one) for one in report.contrasts if one.low is not None]
    title = "excess of change over the control"
    show_intervals(drawn, label="measure", value_title=title, mark_at=0.0)
    rows = [row(one) for one in report.contrasts]
    with st.expander(f"Excess of change: {len(rows)} figures, with p values"):
        st.html(table_html(COLUMNS, rows, title="Excess of change"))
    if report.shifts:
        rows = [shift_row(one) for one in report.shifts]
        with st.expander(f"Which way: {len(rows)} changes from one group to another"):
            st.html(table_html(SHIFTS, rows, title="Direction of change"))
    if report.examples:
        rows = [example_row(one) for one in report.examples]
        with st.expander(f"{len(rows)} pairs whose answers moved most, to be read"):
            st.html(table_html(EXAMPLES, rows, title="Pairs that moved most"))


def sentences(report: CounterfactualReportOut) -> list[str]:
    """What was compared, and what was found."""
    found = [c for c in report.contrasts if c.said in TAGS]
    told = [
        f"{c.kind}: {c.measure} moves by {interval(c.value, c.low, c.high)} more with the group "
        f"than with the control, n={c.n} (p {p_text(c.p_holm)} after Holm)."
        for c in found
    ]
    if not told:
        told = [
            "No change beyond the control is shown: p values are adjusted (Holm) for all of these. "
            "The intervals, each by itself, say how large it may be."
        ]
    failed = sum(c.failed for c in report.contrasts)
    return told + ([f"{failed} comparisons lack an answer or a score."] if failed else [])


def row(one: Contrast) -> list[Cell]:
    """A row of the table."""
    sides = [interval(side.value, side.low, side.high) for side in (one.swapped, one.control)]
    excess = interval(one.value, one.low, one.high)
    said = Tag(one.said, TAGS.get(one.said, "inconclusive"))
    p = FigureText(p_text(one.p_holm))
    return [one.kind, measure_name(one.measure), *map(FigureText, (*sides, excess)), one.n, p, said]


def measure_name(measure: str) -> str:
    """A measure with a word on what it is; metrics by their names."""
    return MEASURES.get(measure, measure)


def shift_row(one: Shift) -> list[Cell]:
    """A row of the directions."""
    change = FigureText(interval(one.value, one.low, one.high))
    where = one.direction.replace(">", " → ").replace("_", " ")
    return [one.kind, one.measure, where, change, one.n, FigureText(p_text(one.p_holm))]


def example_row(one: CounterfactualExample) -> list[Cell]:
    """A pair to be read."""
    words = ", ".join(f"{was} → {now}" for was, now in one.words)
    texts = [text[:MOST_CHARACTERS] for text in (one.original, one.swapped, one.control)]
    return [one.row, f"{one.kind}: {words}"[:MOST_CHARACTERS], *texts]


def point(one: Contrast) -> dict[str, Any]:
    """One excess, for the plot."""
    return {
        "measure": measure_name(one.measure),
        "group": one.kind,
        **interval_of(one),
        "text": interval(one.value, one.low, one.high),
    }
