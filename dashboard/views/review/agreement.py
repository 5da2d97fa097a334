"""Agreement: how far reviewers agree by question, two by two, and the items where they least do."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from backend.schemas.review.queues import ReviewQueueOut
from backend.schemas.review.reports import (
    AgreementOut,
    AgreementReportOut,
    RaterPairOut,
    ReviewerQualityOut,
    WorstItemOut,
)
from dashboard.components.figures.heat import Square, heat_map_html
from dashboard.components.figures.measured import interval_points, measured_cell
from dashboard.components.figures.plots import show_intervals
from dashboard.components.frame import Cell, Tag, heading, table_html
from dashboard.session import current_client
from dashboard.views.review.item_side_by_side import show_item
from dashboard.views.review.queue_choice import chosen_queue

ALPHA, AC1 = "krippendorff_alpha", "gwet_ac1"
SHORT = {ALPHA: "alpha", AC1: "AC1"}
TENTATIVE = 0.667  # Krippendorff 2004, p. 241: below it, no conclusion
COEFFICIENT_WORDS = {
    "percent": "share equal",
    "krippendorff_alpha": "Krippendorff's alpha",
    "gwet_ac1": "Gwet's AC1",
    "cohen_kappa": "Cohen's kappa",
    "fleiss_kappa": "Fleiss' kappa",
}
WORST = 10
WORST_COLUMNS = ["place in the queue", "distance", "what differs", "reviews", "state"]
NO_OVERLAP = (
    "Agreement needs items that several people reviewed. Open a queue with overlap: a tenth of the "
    "items with two people each is a good start (`strop review open --overlap 2`)."
)


def show() -> None:
    """Draw the page."""
    heading("Agreement", "Whether reviewers say the same of the same item, beyond chance")
    queue = chosen_queue()
    if queue is None:
        return
    report = current_client().queues.agreement(queue.id, worst=WORST)
    if not any(one.figure.value is not None for one in report.coefficients):
        st.info(NO_OVERLAP)
    if report.coefficients:
        _show_coefficients(report.coefficients)
    for note in report.notes:
        st.html(f"<p>{escape(note.criterion)}: {escape(note.sentence)}</p>")
    if report.raters:
        _show_raters(report.raters)
    _show_warnings(current_client().queues.reviewers(queue.id))
    _show_worst(queue, report)


def _show_coefficients(found: Sequence[AgreementOut]) -> None:
    points = interval_points(
        (f"{one.criterion}, {SHORT[one.coefficient]}", one.figure)
        for one in found
        if one.coefficient in SHORT
    )
    if points:
        st.subheader("By question")
        lowest = min([0.0, *(point["low"] for point in points)])
        show_intervals(
            points,
            label="line",
            value_title="Krippendorff's alpha, Gwet's AC1",
            mark_at=TENTATIVE,
            domain=(lowest, 1.0),
        )
        st.caption(
            "1 is full agreement, 0 is chance. Bars span the 95% interval. Left of the dashed line "
            f"({TENTATIVE}) alpha finds a question not answered reliably enough to conclude from: "
            "make its guidelines clearer before you ask for more reviews. Where nearly all answers "
            "are alike, read AC1 beside it."
        )
    header = ["question", "coefficient", "value [95% interval], n shared items"]
    st.html(table_html(header, [coefficient_row(one) for one in found], title="Agreement"))


def coefficient_row(one: AgreementOut) -> list[Cell]:
    """Question, coefficient in words, the number or why there is none."""
    name = COEFFICIENT_WORDS.get(one.coefficient, one.coefficient)
    return [one.criterion, name, measured_cell(one.figure)]


def _show_raters(pairs: Sequence[RaterPairOut]) -> None:
    st.subheader("Who agrees with whom")
    criteria = list(dict.fromkeys(pair.criterion for pair in pairs))
    chosen = criteria[0]
    if len(criteria) > 1:
        chosen = st.selectbox("Question", criteria, key="agreement-question")
    asked = [pair for pair in pairs if pair.criterion == chosen]
    names = sorted({name for pair in asked for name in (pair.first, pair.second)})
    title = f"Agreement of two reviewers each on {chosen}"
    st.html(heat_map_html(names, rater_squares(asked), title=title))
    st.caption(
        "Each square: Cohen's kappa of two people (answers in an order or in numbers are weighted "
        "by the square of their distance), and how many items they share. Darker is closer."
    )


def rater_squares(pairs: Sequence[RaterPairOut]) -> dict[tuple[str, str], Square]:
    """Both halves of the square table; a kappa that is undefined gives way to the share equal."""
    squares: dict[tuple[str, str], Square] = {}
    for pair in pairs:
        square = _square(pair)
        squares[pair.first, pair.second] = square
        squares[pair.second, pair.first] = square
    return squares


def _square(pair: RaterPairOut) -> Square:
    equal = "" if pair.percent is None else f"{pair.percent:.0%} equal"
    if pair.kappa is None:
        about = f"{equal}, n = {pair.n}. No kappa: {pair.note}".lstrip(", ")
        return Square(None, f"{equal or 'no figure'}, n {pair.n}", about)
    known = pair.kappa_low is not None and pair.kappa_high is not None
    span = f" [{pair.kappa_low:.2f}, {pair.kappa_high:.2f}]" if known else " (no interval)"
    about = f"kappa {pair.kappa:.2f}{span}, {equal}, n = {pair.n} {pair.note}".strip()
    return Square(pair.kappa, f"{pair.kappa:.2f}, n {pair.n}", about)


def _show_warnings(people: Sequence[ReviewerQualityOut]) -> None:
    noted = [one for one in people if one.warnings]
    if not noted:
        return
    st.subheader("Worth a conversation")
    st.caption(
        "Patterns, not verdicts: there may be a good reason. Ask before you set anything aside."
    )
    rows: list[list[Cell]] = [
        [one.pseudonym, line, one.submitted] for one in noted for line in one.warnings
    ]
    st.html(table_html(["reviewer", "what was noticed", "reviews"], rows, title="Noticed"))


def _show_worst(queue: ReviewQueueOut, report: AgreementReportOut) -> None:
    st.subheader("Where they least agree")
    if not report.worst:
        st.info("No item has two reviews that differ.")
        return
    rows = [worst_row(item) for item in report.worst]
    st.html(table_html(WORST_COLUMNS, rows, title="Items with the largest disagreement"))
    by_id = {item.item_id: item for item in report.worst}
    chosen = st.selectbox(
        "Read one side by side",
        list(by_id),
        index=None,
        placeholder="Choose an item",
        format_func=lambda i: _item_title(by_id[i]),
        key=f"worst-{queue.id}",
    )
    if chosen is not None:
        show_item(queue, chosen)


def worst_row(item: WorstItemOut) -> list[Cell]:
    """An item: where it stands, how far apart its reviews are, and in what."""
    state: Cell = Tag("decided", "pass") if item.adjudicated else ""
    return [item.position + 1, f"{item.disagreement:.2f}", item.reason, item.n_reviews, state]


def _item_title(item: WorstItemOut) -> str:
    return f"Item {item.position + 1}, distance {item.disagreement:.2f}, {item.n_reviews} reviews"
