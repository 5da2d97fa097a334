"""Queues and people: how far each queue is, and what each reviewer has done, by pseudonym."""

from __future__ import annotations

import streamlit as st

from backend.schemas.review import ReviewerProgress, ReviewQueueShown, ReviewShown
from dashboard.components.frame import Cell, Tag, heading, moment, table_html
from dashboard.components.item import WINNER_WORDS, progress_html
from dashboard.session import current_client, current_project
from dashboard.views.preferences import choose_queue

NEWEST = 20


def show() -> None:
    """Draw the page."""
    heading("Review", "Progress of the queues, and the newest answers")
    queues = current_client().list_queues(current_project().id)
    if not queues:
        st.info("No queue is open: `strop review open`")
        return
    queue = current_client().queue(choose_queue(queues).id)
    st.html(progress_html(queue.name, queue.progress))
    _show_reviewers(queue)
    _show_reviews(queue)


def _show_reviewers(queue: ReviewQueueShown) -> None:
    st.subheader("Reviewers")
    header = ["reviewer", "submitted", "skipped", "active minutes", "per item", ""]
    st.html(table_html(header, [reviewer_row(one) for one in queue.reviewers]))


def reviewer_row(one: ReviewerProgress) -> list[Cell]:
    """One reviewer: counts, active minutes, seconds per item."""
    per_item = f"{one.active_seconds / one.submitted:.0f} s" if one.submitted else "none yet"
    return [
        one.pseudonym,
        one.submitted,
        one.skipped,
        f"{one.active_seconds / 60:.1f}",
        per_item,
        Tag("simulated", "simulated") if one.simulated else "",
    ]


def _show_reviews(queue: ReviewQueueShown) -> None:
    st.subheader("Newest answers")
    reviews = current_client().list_reviews(queue.id, limit=NEWEST).items
    if not reviews:
        st.info("Nobody has answered yet.")
        return
    header = ["when", "reviewer", "models", "answers", "correction", ""]
    st.html(table_html(header, [review_row(review) for review in reviews]))


def review_row(review: ReviewShown) -> list[Cell]:
    """One review: who, on what, the answers in words."""
    words = [f"{name}: {value}" for name, value in review.ratings.items()]
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


def vote_words(review: ReviewShown) -> str:
    """A vote in terms of the models, which only engineers see."""
    for side, model in zip(("a", "b"), review.models, strict=False):
        if review.winner == side:
            return f"{model} is better"
    return WINNER_WORDS.get(review.winner or "", review.winner or "").lower()
