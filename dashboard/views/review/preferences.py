"""Blind A/B: the win rate over votes with an interval that may be watched, and what sways votes."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.schemas.review.queues import PreferencesOut, ReviewQueueOut
from backend.schemas.review.reports import EffectOut, WatchOut
from dashboard.components.figures.effects import effect_plots
from dashboard.components.figures.figures import interval_text
from dashboard.components.figures.heat import legend_html
from dashboard.components.figures.measured import measured_text
from dashboard.components.figures.plots import VOTE_COLOURS, votes_plot
from dashboard.components.figures.review_plots import watch_plot
from dashboard.components.frame import (
    Cell,
    Tag,
    escape,
    facts_html,
    heading,
    sentences_html,
    tiles_html,
)
from dashboard.session import current_client
from dashboard.views.review.queue_choice import chosen_queue

DECISION_WORDS = {
    "better": "decided: better",
    "not_better": "decided: not better",
    "undecided": "undecided",
}
DECISION_TAGS = {"better": "pass", "not_better": "fail", "undecided": "inconclusive"}
SWAYS = ("side", "length")


def show() -> None:
    """Draw the page."""
    heading("A/B", "Blind pairs: which answer people would rather send")
    queue = chosen_queue(kind="pair")
    if queue is None:
        return
    client = current_client()
    pairs = client.queues.preferences(queue.id)
    if not pairs:
        st.info(f"Nobody has voted yet: {queue.progress.total} pairs wait on the experts' desks.")
        return
    watched = {(one.model_a_id, one.model_b_id): one for one in client.queues.watch(queue.id)}
    for votes in pairs:
        st.html(f"<h2>{escape(votes.model_b)} against {escape(votes.model_a)}</h2>")
        if watch := watched.get((votes.model_a_id, votes.model_b_id)):
            _show_watch(watch)
        _show_votes(votes)
        st.html(facts_html(vote_facts(votes, queue)))
    _show_effects([one for one in client.queues.effects(queue.id) if one.name in SWAYS])


def _show_watch(watch: WatchOut) -> None:
    tag = f"<span class='strop-tag {DECISION_TAGS[watch.decision]}'>"
    words = DECISION_WORDS[watch.decision]
    st.html(f"<p>{tag}{escape(words)}</span> {escape(watch.sentence)}</p>")
    st.html(tiles_html(watch_tiles(watch)))
    if not watch.series:
        return
    plot = watch_plot(watch.series, margin=watch.margin, decided_at=watch.decided_at)
    st.altair_chart(plot, width="stretch")
    st.caption(
        "The band is a 95% interval that stays valid however often you look, so that stopping as "
        "soon as it leaves the dashed line is right. It is wider than an interval that is looked "
        "at once: that is the price of watching. Ties and both bad count half."
    )


def watch_tiles(watch: WatchOut) -> list[tuple[str, Cell, str]]:
    """The win rate so far, the votes against the plan, and those saved or still needed."""
    tiles: list[tuple[str, Cell, str]] = [
        ("win rate", _rate(watch), _interval(watch)),
        ("votes", watch.votes, f"of {watch.planned} in a fixed plan"),
    ]
    if watch.saved is not None:
        tiles.append(("votes saved", watch.saved, f"decided after {watch.decided_at}"))
    elif watch.more is not None:
        tiles.append(("about this many more", watch.more, _more_range(watch)))
    elif watch.more_limit is not None:
        tiles.append(("more votes", f"> {watch.more_limit}", "too close to settle soon"))
    if watch.n_simulated:
        tiles.append(("of these", Tag(f"{watch.n_simulated} simulated", "simulated"), ""))
    return tiles


def _rate(watch: WatchOut) -> str:
    value = watch.figure.value
    return "none yet" if value is None else f"{value:.2f}"


def _interval(watch: WatchOut) -> str:
    if watch.figure.value is None:
        return watch.figure.error or "no reason was given"
    return f"{measured_text(watch.figure).partition(' ')[2]} independent groups"


def _more_range(watch: WatchOut) -> str:
    low = "0" if watch.more_low is None else str(watch.more_low)
    high = f"more than {watch.more_limit}" if watch.more_high is None else str(watch.more_high)
    return f"{low} to {high}, if votes go on as so far (simulated)"


def _show_votes(votes: PreferencesOut) -> None:
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
    st.altair_chart(votes_plot(rows), width="stretch")
    names = [f"{answer} ({n})" for answer, n in counts]
    st.html(legend_html(list(zip(names, VOTE_COLOURS, strict=True))))


def vote_facts(votes: PreferencesOut, queue: ReviewQueueOut) -> dict[str, Cell]:
    """The counts in words, sides included."""
    facts: dict[str, Cell] = {
        "votes": f"{votes.n_votes} on {queue.design.get('n_items', queue.progress.total)} pairs",
        f"{votes.model_a} better": votes.wins_a,
        f"{votes.model_b} better": votes.wins_b,
        "equally good": votes.ties,
        "both bad": votes.both_bad,
        "cannot judge": votes.cannot_judge,
        "sides": f"left won {votes.left_wins}, right won {votes.right_wins} of the decided",
        "of decided votes": _decided(votes),
    }
    if votes.n_identical:
        facts["identical answers"] = votes.n_identical
    if votes.win_rate is not None:
        facts["computed by"] = votes.win_rate.signature
    if votes.n_simulated:
        facts["of these"] = Tag(f"{votes.n_simulated} simulated", "simulated")
    return facts


def _decided(votes: PreferencesOut) -> str:
    rate = votes.win_rate
    if rate is None:
        return f"no win rate yet: {votes.error}"
    text = interval_text(rate.value, rate.low, rate.high, scale=1.0)
    return f"{text}, n = {rate.n}; this interval holds if you look once, at the end"


def _show_effects(effects: Sequence[EffectOut]) -> None:
    st.subheader("Side and length")
    if not effects:
        st.info("Whether the side or the length of a text sways votes can be said after some more.")
        return
    st.html(sentences_html(one.sentence for one in effects))
    for plot in effect_plots(effects):
        st.altair_chart(plot, width="stretch")
