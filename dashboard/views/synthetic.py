"""Synthetic candidates: what a model drafted, what was dropped and why, and what experts said."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.schemas.synthetic import DraftingOut, DraftOut, DraftQueueIn, ShareOut
from dashboard.components.address import choose
from dashboard.components.figures.figures import interval_text
from dashboard.components.frame import (
    Cell,
    FigureText,
    Tag,
    heading,
    problems_shown,
    sentences_html,
    show_done,
    table_html,
    tiles_html,
)
from dashboard.components.marked_text import plain
from dashboard.session import current_client, current_project

SHOWN_DRAFTS = 200
CUT = 400
STATES = ("waiting", "approved", "corrected", "refused", "dropped")
REASONS = {
    "failed": "the engine gave no answer",
    "malformed": "not in the form that was asked for",
    "empty": "empty",
    "too_long": "cut off or far too long",
    "refusal": "a refusal",
    "repetitive": "repeats itself",
    "like_held_out": "repeats a held-out text",
    "like_train": "repeats a training row",
    "ungrounded": "states what its source does not say",
    "like_draft": "repeats another draft",
    "risky": "above the risk that was allowed",
}
TAGS = {"approved": "pass", "corrected": "pass", "refused": "fail", "waiting": "neutral"}


def show() -> None:
    """Draw the page."""
    heading(
        "Synthetic",
        "Rows that a model drafted; none is trained on before an expert approved or corrected it",
    )
    draftings = current_client().synthetic.list(current_project().id)
    if not draftings:
        st.info("Nothing was drafted yet: `strop synthetic draft --from documents FOLDER`")
        return
    by_id = {one.id: one for one in draftings}
    titles = {id_: f"{one.name}, from {one.drawn_from}" for id_, one in by_id.items()}
    _show_drafting(by_id[choose("drafting", "Drafting", titles)])


def _show_drafting(one: DraftingOut) -> None:
    st.html(tiles_html(tiles(one)))
    st.html(sentences_html(one.in_words))
    if one.job_error:
        st.error(plain(one.job_error))
    if one.figures.dropped:
        st.html(table_html(("dropped because it", "drafts"), reason_rows(one), title="Dropped"))
    _show_queue(one)
    with problems_shown():
        state = st.segmented_control(
            "Drafts", STATES, default=first_state(one), key=f"draft-state-{one.id}"
        )
        drafts = current_client().synthetic.drafts(one.id, state)
        if not drafts:
            st.caption("None.")
            return
        head = ("draft", "input", "answer", "how it stands")
        st.html(table_html(head, draft_rows(drafts[:SHOWN_DRAFTS])))
        if len(drafts) > SHOWN_DRAFTS:
            st.caption(f"The first {SHOWN_DRAFTS} of {len(drafts)}.")


def tiles(one: DraftingOut) -> list[tuple[str, Cell, str]]:
    """Drafted, kept, decided."""
    figures, states = one.figures, one.states
    decided = states["approved"] + states["corrected"] + states["refused"]
    let_in = states["approved"] + states["corrected"]
    scripts = f", {one.simulated} simulated" if one.simulated else ""
    return [
        ("drafted", figures.drafted, f"by {one.model}"),
        ("kept by the checks", figures.kept.count, share_text(figures.kept)),
        ("approved or corrected", let_in, f"of {decided} decided{scripts}"),
        ("waiting", states["waiting"], "for an expert"),
    ]


def first_state(one: DraftingOut) -> str:
    """The first state that a draft is in: those that wait, while there are some."""
    return next((state for state in STATES if one.states[state]), STATES[0])


def share_text(share: ShareOut) -> str:
    """A share with its interval, in percent."""
    if share.value is None:
        return "nothing to count"
    return f"{interval_text(share.value, share.low, share.high, scale=1.0)}, n={share.n}"


def reason_rows(one: DraftingOut) -> list[list[Cell]]:
    """Why drafts were dropped, the most frequent reason first."""
    return [[REASONS.get(why, why), FigureText(str(n))] for why, n in one.figures.dropped.items()]


def draft_rows(drafts: Sequence[DraftOut]) -> list[list[Cell]]:
    """A row for each draft: what was written, and how it stands."""
    return [[one.id, cut(one.input), cut(one.answer), _standing(one)] for one in drafts]


def _standing(one: DraftOut) -> Cell:
    if one.state == "dropped":
        like = one.detail.get("like") or ", ".join(map(str, one.detail.get("unsupported", [])))
        return f"{one.why}: {cut(str(like), 120)}" if like else one.why
    if one.simulated:
        return Tag(f"{one.state}, simulated", "simulated")
    who = f" by {', '.join(one.by)}" if one.by else ""
    risk = f", risk {one.risk:.2f}" if one.risk is not None else ""
    return Tag(f"{one.state}{who}{risk}", TAGS[one.state])


def cut(text: str | None, most: int = CUT) -> str:
    """A text of at most so many characters."""
    said = text or ""
    return said if len(said) <= most else f"{said[:most].rstrip()} …"


def _show_queue(one: DraftingOut) -> None:
    """The queues there are, and a button for the next."""
    if one.queues:
        st.caption(plain(f"Reviewed in: {', '.join(one.queues)}."))
    if one.run_id is None:
        return
    with st.expander("Open a queue for experts", expanded=not one.queues):
        with st.form(f"open-{one.id}", border=False):
            name = st.text_input("Name", f"drafts of {one.name}")
            wanted = st.form_submit_button("Open the queue", type="primary")
        if wanted:
            with problems_shown():
                opened = current_client().synthetic.open(one.id, DraftQueueIn(name=name))
                show_done("synthetic", f"{opened.name} is open; its experts find it at their desk.")
                st.rerun()
    show_done("synthetic")
