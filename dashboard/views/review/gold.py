"""Known answers of a queue: contests to resolve, how people stand, and the answers themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from backend.rubrics import value_in_words
from backend.schemas.review.quality import ContestOut, GoldOut, GoldStandingOut
from backend.schemas.review.queues import ReviewQueueOut
from dashboard.components.figures.figures import interval_text
from dashboard.components.frame import (
    Cell,
    FigureText,
    Tag,
    escape,
    moment,
    problems_shown,
    show_done,
    table_html,
)
from dashboard.session import current_client

NO_GOLD = (
    "This queue has no items with a known answer. They show who needs help before it costs "
    "anything: add some by `strop review gold`, or make them of decided disagreements."
)
STANDING_COLUMNS = ["reviewer", "met [95% interval]", "of", "contested", "state"]
SETTLED_COLUMNS = ["when", "reviewer", "contested because", "known", "outcome", "why", ""]
GOLD_COLUMNS = ["example", "known answer", "met", "contested", "explanation", "state"]
UPHOLD = (
    "Uphold: the known answer stands, this answer goes on counting as not met, and the contest is "
    "closed."
)
WITHDRAW = (
    "Withdraw: it judges nobody any more. Every result on it stops counting, for all reviewers, "
    "and whoever was paused because of it may work on. This cannot be taken back."
)


def show_known_answers(queue: ReviewQueueOut) -> None:
    """Contests first, for they wait for the lead."""
    client = current_client()
    st.subheader("Known answers")
    show_done("gold")
    for contest in client.quality.gold_contests(queue.id):
        _show_contest(contest)
    _show_settled(client.quality.gold_contests(queue.id, settled=True))
    page = client.quality.gold(queue.id)
    if not page.items:
        st.info(NO_GOLD)
        return
    standing = [row_of_reviewer(one) for one in client.quality.gold_standing(queue.id)]
    st.html(table_html(STANDING_COLUMNS, standing, title="How reviewers stand on known answers"))
    with st.expander(f"The known answers ({'newest ' if page.next else ''}{len(page.items)})"):
        rows = [gold_row(one) for one in page.items]
        st.html(table_html(GOLD_COLUMNS, rows, title="Known answers"))


def _show_contest(one: ContestOut) -> None:
    with st.container(border=True, key=f"contest-card-{one.result_id}"):
        tag = " <span class='strop-tag simulated'>simulated</span>" if one.simulated else ""
        st.html(
            f"<p><strong>{escape(one.reviewer)}</strong>{tag} holds a known answer to be wrong: "
            f"<q>{escape(one.reason)}</q></p>"
        )
        said = [f"{name}: {value_in_words(value)}" for name, value in one.said.items()]
        rows: list[list[Cell]] = [
            ["known", answer_words(one.known)],
            ["they said", " · ".join(said)],
            ["explanation", one.explanation],
        ]
        st.html(table_html(["what", "in words"], rows, title="Contest"))
        st.caption(f"{UPHOLD}  \n{WITHDRAW}")
        why = st.text_input(
            "Reason (needed to withdraw; the expert reads it)",
            max_chars=2_000,
            key=f"contest-why-{one.result_id}",
        )
        with st.container(horizontal=True):
            if st.button("Uphold", key=f"uphold-{one.result_id}"):
                with problems_shown():
                    _resolve_upheld(one, why.strip())
            ready = bool(why.strip())
            if st.button("Withdraw", key=f"withdraw-{one.result_id}", disabled=not ready):
                with problems_shown():
                    _resolve_withdrawn(one, why.strip())


def _show_settled(settled: Sequence[ContestOut]) -> None:
    if not settled:
        return
    with st.expander(f"Contests that were settled ({len(settled)})"):
        rows = [settled_row(one) for one in settled]
        st.html(table_html(SETTLED_COLUMNS, rows, title="Contests that were settled"))


def settled_row(one: ContestOut) -> list[Cell]:
    """One decided contest: who, why, what was made of it and why."""
    when = moment(one.resolved_at) if one.resolved_at else ""
    outcome = Tag("upheld", "pass") if one.resolution == "upheld" else Tag("withdrawn", "fail")
    simulated: Cell = Tag("simulated", "simulated") if one.simulated else ""
    why = one.resolution_reason or ""
    return [when, one.reviewer, one.reason, answer_words(one.known), outcome, why, simulated]


def _resolve_upheld(one: ContestOut, why: str) -> None:
    current_client().quality.resolve_contest(one.result_id, "upheld", why)
    show_done("gold", "The known answer stands.")
    st.rerun()


def _resolve_withdrawn(one: ContestOut, why: str) -> None:
    done = current_client().quality.resolve_contest(one.result_id, "withdrawn", why)
    back = f" Back at work: {', '.join(done.unpaused)}." if done.unpaused else ""
    show_done("gold", f"Withdrawn: {done.n_results} results count no more.{back}")
    st.rerun()


def answer_words(answer: Mapping[str, Any]) -> str:
    """A known answer in words: `faithful: no`, or which text is better."""
    ratings = answer.get("ratings") or {}
    words = [f"{name}: {value}" for name, value in ratings.items()]
    if winner := answer.get("winner"):
        words.insert(0, f"winner: {str(winner).replace('_', ' ')}")
    for name, width in (answer.get("tolerance") or {}).items():
        words.append(f"{name} may differ by {width:g}")
    return " · ".join(words)


def row_of_reviewer(one: GoldStandingOut) -> list[Cell]:
    """One reviewer: share met with its interval or why there is none, n, contests, state."""
    share: Cell = one.error
    if one.value is not None:
        share = FigureText(interval_text(one.value, one.low, one.high, scale=1.0))
    state: Cell = Tag("paused", "inconclusive") if one.paused_at else ""
    if one.simulated and not one.paused_at:
        state = Tag("simulated", "simulated")
    return [one.pseudonym, share, one.n, one.n_contested, state]


def gold_row(one: GoldOut) -> list[Cell]:
    """One known answer: on what, which, how people did, and whether it still judges."""
    state: Cell = Tag("withdrawn", "fail") if one.withdrawn_at else ""
    why = one.explanation + (f" Withdrawn: {one.withdrawn_reason}" if one.withdrawn_at else "")
    met = FigureText(f"{one.met} of {one.n}")
    return [one.example, answer_words(one.answer), met, one.contested, why, state]
