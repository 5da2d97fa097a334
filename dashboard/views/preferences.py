"""Blind A/B: the win rate with its interval, what was undecided, which side was favoured."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.schemas.review import PreferencesShown, ReviewQueueShown
from dashboard.components.figures import interval_text
from dashboard.components.frame import Cell, Tag, escape, facts_html, heading
from dashboard.components.heat import legend_html
from dashboard.components.marked_text import plain
from dashboard.components.plots import VOTE_COLOURS, intervals_plot, votes_plot
from dashboard.session import current_client, current_project


def show() -> None:
    """Draw the page."""
    heading("A/B", "Blind pairs: which answer people would rather send")
    queues = [q for q in current_client().list_queues(current_project().id) if q.kind == "pair"]
    if not queues:
        st.info("No blind pairs yet: `strop review open --run R --pair base,v1 --queue NAME`")
        return
    queue = choose_queue(queues)
    pairs = current_client().preferences(queue.id)
    if not pairs:
        st.info(f"Nobody has voted yet: {queue.progress.total} pairs wait.")
    for votes in pairs:
        _show_pair(votes, queue)


def _show_pair(votes: PreferencesShown, queue: ReviewQueueShown) -> None:
    st.html(f"<h2>{escape(votes.model_b)} against {escape(votes.model_a)}</h2>")
    _show_rate(votes)
    _show_votes(votes)
    st.html(facts_html(vote_facts(votes, queue)))


def choose_queue(queues: Sequence[ReviewQueueShown]) -> ReviewQueueShown:
    """One of the queues; a choice when there are several, the newest first."""
    by_id = {queue.id: queue for queue in sorted(queues, key=lambda queue: -queue.id)}
    if len(by_id) == 1:
        return queues[0]
    chosen = st.selectbox(
        "Queue", list(by_id), format_func=lambda i: by_id[i].name, label_visibility="collapsed"
    )
    return by_id[chosen]


def _show_rate(votes: PreferencesShown) -> None:
    rate = votes.win_rate
    if rate is None:
        st.info(plain(f"No win rate yet: {votes.error}"))
        return
    text = interval_text(rate.value, rate.low, rate.high, metric="win_rate")
    st.subheader(f"Win rate {text}, n = {rate.n}")
    st.caption("Share of the decided votes; half is even. The bar spans the 95% interval.")
    point = {"line": votes.model_b, "group": "win rate", "text": text, **rate.model_dump()}
    spec = intervals_plot([point], label="line", value_title="share of decided votes", mark_at=0.5)
    spec["layer"][0]["encoding"]["x"]["scale"] = {"domain": [0, 1]}
    st.vega_lite_chart(spec, width="stretch")


def _show_votes(votes: PreferencesShown) -> None:
    if not votes.n_votes:
        return
    counts = [
        (f"{votes.model_a} better", votes.wins_a),
        ("equally good", votes.ties),
        ("both bad", votes.both_bad),
        (f"{votes.model_b} better", votes.wins_b),
        ("cannot judge", votes.cannot_judge),
    ]
    rows = [
        {"answer": answer, "votes": n, "place": place} for place, (answer, n) in enumerate(counts)
    ]
    st.vega_lite_chart(votes_plot(rows), width="stretch")
    names = [f"{answer} ({n})" for answer, n in counts]
    st.html(legend_html(list(zip(names, VOTE_COLOURS, strict=True))))


def vote_facts(votes: PreferencesShown, queue: ReviewQueueShown) -> dict[str, Cell]:
    """The counts in words, sides included."""
    facts: dict[str, Cell] = {
        "votes": f"{votes.n_votes} on {queue.progress.total} pairs",
        f"{votes.model_a} better": votes.wins_a,
        f"{votes.model_b} better": votes.wins_b,
        "equally good": votes.ties,
        "both bad": votes.both_bad,
        "cannot judge": votes.cannot_judge,
        "sides": f"left won {votes.left_wins}, right won {votes.right_wins} of the decided",
    }
    if votes.n_identical:
        facts["identical answers"] = votes.n_identical
    if votes.win_rate is not None:
        facts["computed by"] = votes.win_rate.signature
    if votes.n_simulated:
        facts["of these"] = Tag(f"{votes.n_simulated} simulated", "simulated")
    return facts
