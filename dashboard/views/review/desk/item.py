"""One item on the expert's desk, in three panes: how far one is, the texts, the questions."""

from __future__ import annotations

import streamlit as st

from backend.rubrics import Rubric
from backend.schemas.review.desk import ReviewQueueForMe
from dashboard.components.address import note_in_address
from dashboard.components.editor import text_editor
from dashboard.components.frame import browser_zone, escape
from dashboard.components.keys import ActiveTime, listen_for_keys
from dashboard.components.questions import open_questions
from dashboard.components.reader import show_reader, wants_links
from dashboard.session import current_client
from dashboard.views.review.desk.after import ask_for_links_again, fetch_links
from dashboard.views.review.desk.answer import (
    VOTE_KEYS,
    show_answer,
    show_notice,
    shows_formatted,
    skipping_key,
)
from dashboard.views.review.desk.entered import correction_key, take_what_was_entered
from dashboard.views.review.desk.side import risk_line, saved_html, show_side
from dashboard.views.review.desk.state import DeskState, on_item, save_if_changed, unsaved

REASONS = ("Invented fact", "Wrong number or date", "Something missing", "Misleading", "Wording")
HELP_SINGLE = (
    ("1 … 9", "answer the question that is next, or the one that has the focus"),
    ("↑ ↓", "to the question before or after"),
    ("← →", "to the answer beside"),
    ("M", "mark the selected words as an error; while a mark is edited, move it to them"),
    ("Shift+← →", "while a mark is edited: a word less or more at its end"),
    ("Shift+↑ ↓", "while a mark is edited: a word more or less at its start"),
    ("Enter", "on from a question of which several options may be chosen"),
    ("E", "correct the answer"),
    ("F", "find in the source"),
)
HELP_PAIR = (
    ("A B", "A is better, B is better"),
    ("E", "equally good"),
    ("X", "both bad"),
    ("J", "cannot judge"),
    ("F", "find in the source"),
    ("↑ ↓ ← →", "between questions and answers"),
)
HELP_BOTH = (
    ("Ctrl+Enter", "submit, also from a text box (⌘+Enter on a Mac)"),
    ("S", "skip, with a reason"),
    ("U", "change my last answer"),
    ("G", "show or hide the guidelines"),
    ("Esc", "leave a text box, so that keys work again"),
    ("H ?", "this list"),
)


def show_item(desk: DeskState, queue: ReviewQueueForMe, rubric: Rubric) -> None:
    """The item, and at the end the save of what changed in this run."""
    assert desk.claim is not None
    take_what_was_entered(desk, rubric)
    pair = desk.claim.kind == "pair"
    show_notice(desk)
    with st.container(key=f"desk-panes-{desk.claim.kind}"):
        side, texts, questions = st.columns([1, 3, 2])
    with side:
        saved_mark = show_side(desk, queue, rubric)
        saved_mark.html(saved_html(desk, zone=browser_zone()))
    with texts:
        _show_texts(desk, rubric)
        if not pair:
            _show_correction(desk)
    with questions, st.container(key="desk-questions"):
        show_answer(desk, rubric)
    _listen(desk, rubric)  # the last of all: keys are for an item when it is on screen, not before
    if desk.problem is not None and desk.runs == 1:
        st.rerun()  # what the browser held through a loss of its desk is there for the second run
    if unsaved(desk) and desk.problem is None:
        before = desk.save_problem
        save_if_changed(desk, current_client())
        saved_mark.html(saved_html(desk, zone=browser_zone()))
        if (desk.gone is not None and str(desk.gone) != before) or desk.problem is not None:
            st.rerun()  # what is on screen is not the person's to save any more: say so


def _listen(desk: DeskState, rubric: Rubric) -> None:
    assert desk.claim is not None
    if desk.item_key == desk.noted:  # keys.js has it in the address by now: no step to go back to
        note_in_address("item", desk.item_key)
    desk.noted = desk.item_key
    pair = desk.claim.kind == "pair"
    item = desk.item_key
    keys = {"s": f"skip-{item}", "g": "desk-guidelines", "u": "desk-back"}
    if pair:
        keys |= {key.lower(): f"vote-{item}-{winner}" for winner, key in VOTE_KEYS.items()}
    else:
        keys["e"] = f"correct-{item}"
    desk.runs += 1
    listen_for_keys(
        item=item,
        sitting=desk.sitting,
        run=desk.runs,
        keys=keys,
        help_rows=(*(HELP_PAIR if pair else HELP_SINGLE), *HELP_BOTH),
        open_questions=open_questions(rubric, dict(desk.answer.ratings)),
        taken=desk.digits_taken,
        time=ActiveTime(desk.answer.active_seconds, dict(desk.answer.seconds_by_criterion)),
        skipping=bool(st.session_state.get(skipping_key(desk))),
        missing=desk.missing,
        tried=desk.tried,
    )


def _show_texts(desk: DeskState, rubric: Rubric) -> None:
    assert desk.claim is not None
    if wants_links(key=desk.item_key):
        fetch_links(desk, current_client())
    if desk.claim.item.why is not None:
        st.html(f"<p class='strop-why' role='note'>{escape(desk.claim.item.why)}</p>")
    show_reader(
        desk.claim.item,
        rubric,
        key=desk.item_key,
        marks=desk.answer.spans,
        links=desk.links,
        correcting=desk.correcting,
        formatted=shows_formatted(),
    )
    if (risk := desk.claim.item.risk) is not None:
        st.html(f"<p class='strop-help strop-why' role='note'>{escape(risk_line(risk))}</p>")
    if desk.links_problem is not None:
        _say_links_are_missing(desk, desk.links_problem)


def _say_links_are_missing(desk: DeskState, why: str) -> None:
    """Quietly: an item can be judged without them."""
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        st.html(f"<p class='strop-help' role='status'>No highlights: {escape(why)}</p>")
        st.button(
            "Try again",
            key=f"links-{desk.item_key}",
            type="tertiary",
            on_click=ask_for_links_again,
            args=(desk,),
        )


def _show_correction(desk: DeskState) -> None:
    """A button, or once pressed the box with the output in it and the diff below."""
    output = desk.claim.item.output if desk.claim else None
    if output is None:
        return
    if not desk.correcting:
        st.button(
            "Correct the answer :gray[:small[E]]",
            key=f"correct-{desk.item_key}",
            on_click=on_item(desk, _start_correcting),
        )
        return
    text_editor(
        key=correction_key(desk),
        original=output.text,
        text=output.text if desk.answer.correction is None else desk.answer.correction,
        label="The answer as it should have been",
        focus=desk.answer.correction is None,
        reasons=REASONS,
        reason=desk.answer.correction_reason,
    )


def _start_correcting(desk: DeskState) -> None:
    desk.correcting = True
