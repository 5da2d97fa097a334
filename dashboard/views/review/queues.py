"""A queue as its lead watches it: how far, when done, what it costs, who works, by which rules."""

from __future__ import annotations

import streamlit as st

from backend.rubrics import value_in_words
from backend.schemas.review.queues import ReviewOut, ReviewQueueOut
from backend.schemas.review.reports import QueueReportOut, ReviewerQualityOut, TimeOut
from dashboard.components.figures.measured import measured_cell, measured_text
from dashboard.components.figures.review_plots import burn_up_plot
from dashboard.components.frame import (
    Cell,
    Tag,
    escape,
    facts_html,
    heading,
    moment,
    problems_shown,
    sentences_html,
    table_html,
    tiles_html,
)
from dashboard.components.review.item import WINNER_WORDS, progress_html
from dashboard.components.review.queue_words import (
    STRATA_COLUMNS,
    design_sentences,
    rule_sentences,
    strata_of,
    strata_rows,
)
from dashboard.session import current_client
from dashboard.views.review.opening.rubric_choice import (
    ASKED_COLUMNS,
    criterion_rows,
    version_sentence,
)
from dashboard.views.review.queue_choice import chosen_queue
from dashboard.views.review.reviewers import say_who_stands_out, show_paused

NEWEST = 20
REVIEWER_COLUMNS = ["reviewer", "submitted", "skipped", "minutes a review", "state"]
ANSWER_COLUMNS = ["when", "reviewer", "models", "answers", "correction", ""]


def show() -> None:
    """Draw the page."""
    heading("Queues", "How far each queue is, when it will be done, and what it costs")
    queue = chosen_queue()
    if queue is None:
        return
    names = ["Progress", "Design and rules", "Newest answers"]
    progress, design, answers = st.tabs(names, on_change="rerun", key=f"queue-tabs-{queue.id}")
    if progress.open:
        with progress:
            _show_progress(queue)
    if design.open:
        with design:
            _show_design(queue)
    if answers.open:
        with answers:
            _show_answers(queue)


def _show_progress(queue: ReviewQueueOut) -> None:
    report = current_client().queues.report(queue.id)
    st.html(progress_html(queue.name, queue.progress))
    st.html(tiles_html(slot_tiles(report)))
    if report.n_simulated:
        st.html(
            "<p class='strop-help'><span class='strop-tag simulated'>simulated</span> "
            f"{report.n_simulated} of {report.n_reviews} reviews were written by a script. "
            "Decide nothing by them.</p>"
        )
    _show_forecast(report)
    _show_time(report.time)
    _show_reviewers(queue)
    _show_closing(queue)


def slot_tiles(report: QueueReportOut) -> list[tuple[str, Cell, str]]:
    """Reviews asked for by where they stand; those that came on top of it, and those that left."""
    rest = report.total - report.done - report.leased - report.open
    extra = report.n_reviews - report.done
    tiles: list[tuple[str, Cell, str]] = [
        ("done", report.done, f"of {report.total} asked for"),
        ("at work", report.leased, "in somebody's hands now"),
        ("open", report.open, "nobody has them yet"),
    ]
    if rest > 0:
        tiles.append(("out", rest, "skipped for good"))
    if extra > 0:
        tiles.append(("extra", extra, "came late or on top; kept"))
    return tiles


def _show_forecast(report: QueueReportOut) -> None:
    st.subheader("Forecast")
    forecast = report.forecast
    if report.finished_at is not None:
        st.success(f"Finished on {moment(report.finished_at)}.")
    st.html(f"<p>{escape(forecast.sentence or forecast.error or '')}</p>")
    if report.days:
        plot = burn_up_plot(
            report.days, done=report.done, total=report.total, forecast=report.forecast
        )
        st.altair_chart(plot, width="stretch")
        st.caption(
            "Solid: done. Dashed grey: what was asked for. Wedge: where the end lies with a "
            f"probability of {forecast.level:.0%}, at the pace of the days on which people worked."
        )
    else:
        st.info("Nobody has submitted yet. Experts find the queue on their desk when they sign in.")


def _show_time(time: TimeOut) -> None:
    st.subheader("Minutes and cost")
    facts: dict[str, Cell] = {
        "a review": measured_text(time.minutes_per_review),
        "a verdict": measured_text(time.minutes_per_verdict),
        "cost of a verdict": measured_text(time.cost_per_verdict),
        "in all": _spent(time),
    }
    if time.gold_minutes:
        facts["known answers"] = f"{time.gold_minutes:.1f} minutes on top"
    st.html(facts_html(facts))
    st.caption(
        "A verdict is an item with at least one review that counts; overlap, skips and "
        "adjudication are in its price. Time is active time: idle seconds are cut at 60."
    )
    if time.by_criterion:
        rows = [
            [one.criterion, measured_cell(one.seconds, with_unit=False)]
            for one in time.by_criterion
        ]
        with st.expander("Seconds by question"):
            st.html(table_html(["question", "seconds [95% interval]"], rows))


def _spent(time: TimeOut) -> str:
    spent = f"{time.total_minutes:.1f} minutes"
    if time.budget_minutes:
        share = time.total_minutes / time.budget_minutes
        return f"{spent} of a budget of {time.budget_minutes:.0f} ({share:.0%})"
    return spent


def _show_reviewers(queue: ReviewQueueOut) -> None:
    st.subheader("Reviewers")
    people = current_client().queues.reviewers(queue.id)
    if not people:
        st.info("Nobody may review this queue yet. Name reviewers when you open a queue.")
        return
    show_paused(queue, people)
    say_who_stands_out(people)
    rows = [reviewer_row(one) for one in people]
    st.html(table_html(REVIEWER_COLUMNS, rows, title="Reviewers"))


def reviewer_row(one: ReviewerQualityOut) -> list[Cell]:
    """One reviewer by pseudonym: counts, minutes a review, whether paused or simulated."""
    state: Cell = ""
    if one.paused:
        state = Tag("paused", "inconclusive")
    elif one.simulated:
        state = Tag("simulated", "simulated")
    return [
        one.pseudonym,
        one.submitted,
        one.skipped,
        measured_cell(one.minutes, with_unit=False),
        state,
    ]


def _show_closing(queue: ReviewQueueOut) -> None:
    if queue.closed:
        st.caption("This queue is closed: it gives out no more items.")
        return
    with st.popover("Close the queue"):
        st.write(
            "Nobody is given another item. What people hold they may still submit, and everything "
            "that was said stays. A closed queue cannot be opened again."
        )
        if st.button("Close it now", key=f"close-{queue.id}"):
            with problems_shown():
                current_client().queues.close(queue.id)
                st.rerun()


def _show_design(queue: ReviewQueueOut) -> None:
    st.subheader("How the items were chosen")
    st.html(sentences_html(design_sentences(queue.design)))
    if strata := strata_of(queue.design):
        st.html(table_html(STRATA_COLUMNS, strata_rows(strata), title="Parts of the sample"))
    st.subheader("How they are handed out")
    st.html(sentences_html(rule_sentences(queue.rules)))
    st.subheader("What is asked")
    rubric = queue.rubric
    versions = current_client().rubrics.versions(queue.project_id, rubric.name)
    st.html(f"<p>{escape(version_sentence(rubric, versions))}</p>")
    st.html(table_html(ASKED_COLUMNS, criterion_rows(rubric), title="Questions"))
    st.caption(f"Digest of the rubric: {rubric.digest[:16]}")


def _show_answers(queue: ReviewQueueOut) -> None:
    reviews = current_client().queues.reviews(queue.id, limit=NEWEST).items
    if not reviews:
        st.info("Nobody has answered yet. Experts find the queue on their desk when they sign in.")
        return
    rows = [review_row(review) for review in reviews]
    st.html(table_html(ANSWER_COLUMNS, rows, title="Newest answers"))


def review_row(review: ReviewOut) -> list[Cell]:
    """One review: who, on what, the answers in words."""
    words = [f"{name}: {value_in_words(value)}" for name, value in review.ratings.items()]
    if review.winner:
        words.insert(0, vote_words(review))
    if review.skip_reason:
        words.insert(0, f"skipped: {review.skip_reason}")
    if review.comment:
        words.append(f"remark: {review.comment}")
    return [
        moment(review.submitted_at) if review.submitted_at else "",
        review.reviewer,
        ", ".join(review.models),
        " · ".join(words),
        review.correction or "",
        Tag("simulated", "simulated") if review.simulated else "",
    ]


def vote_words(review: ReviewOut) -> str:
    """A vote in terms of the models, which only engineers see."""
    for side, model in zip(("a", "b"), review.models, strict=False):
        if review.winner == side:
            return f"{model} is better"
    return WINNER_WORDS.get(review.winner or "", review.winner or "").lower()
