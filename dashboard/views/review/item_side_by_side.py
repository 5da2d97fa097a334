"""One item with everything that was said of it, side by side; reviewers and models unnamed.

Nobody reads a name here on purpose: what was said is to be judged, not who said it.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.schemas.review.queues import ReviewOut, ReviewQueueOut
from dashboard.components.frame import Cell, Tag, card_html, table_html
from dashboard.components.marked_text import text_html
from dashboard.components.review.item import WINNER_WORDS
from dashboard.components.texts.turns import input_html
from dashboard.session import current_client

MOST = 50
SIDE_WORDS = {"a": "first text better", "b": "second text better"}


def show_item(queue: ReviewQueueOut, item_id: int) -> None:
    """The source, the text or texts, and the answers as columns."""
    client = current_client()
    page = client.queues.reviews(queue.id, item_id=item_id, limit=MOST)
    reviews = sorted(page.items, key=lambda review: review.id)
    if not reviews:
        st.info("Nobody has answered this item yet.")
        return
    outputs = [client.runs.generation(each) for each in reviews[0].generation_ids]
    source, texts = st.columns([1, 1.2], gap="large")
    with source:
        st.html(card_html("Task", input_html(outputs[0].example.input, outputs[0].example.turns)))
        if outputs[0].example.context:
            st.html(card_html("Source", text_html(outputs[0].example.context, kind="context")))
    with texts:
        names = ("First text", "Second text") if len(outputs) > 1 else ("Text",)
        for name, output in zip(names, outputs, strict=False):
            st.html(card_html(name, text_html(output.text or output.error or "")))
    header = ["asked", *(f"Reviewer {n}" for n in range(1, len(reviews) + 1))]
    st.html(table_html(header, answer_table(reviews), title="What was said"))


def answer_table(reviews: Sequence[ReviewOut]) -> list[list[Cell]]:
    """A row for each question, a column for each review, in the order of their ids."""
    asked = list(dict.fromkeys(name for review in reviews for name in review.ratings))
    rows: list[list[Cell]] = []
    if any(review.winner for review in reviews):
        rows.append(["vote", *(_vote(review) for review in reviews)])
    for name in asked:
        rows.append([name, *(review.ratings.get(name, "not answered") for review in reviews)])
    said = (
        ("correction", [review.correction for review in reviews]),
        ("remark", [review.comment for review in reviews]),
        ("skipped", [review.skip_reason for review in reviews]),
    )
    for name, texts in said:
        if any(texts):
            rows.append([name, *(text or "" for text in texts)])
    if any(review.spans for review in reviews):
        rows.append(["marked", *(_marks(review) for review in reviews)])
    if any(review.simulated for review in reviews):
        rows.append(["by", *(_by(review) for review in reviews)])
    return rows


def _vote(review: ReviewOut) -> str:
    words = SIDE_WORDS.get(review.winner or "")
    return words or WINNER_WORDS.get(review.winner or "", "no vote").lower()


def _marks(review: ReviewOut) -> str:
    return ", ".join(f"{span.kind} at {span.start}–{span.end}" for span in review.spans)


def _by(review: ReviewOut) -> Cell:
    return Tag("simulated", "simulated") if review.simulated else "a person"
