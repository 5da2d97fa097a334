"""Who is signed in, and the way out: no sign-out while words of this tab are not on the server."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import streamlit as st

from backend.errors import Conflict, StropError
from backend.schemas.accounts import Me
from dashboard.components.frame import show_problem, show_sign_in_link
from dashboard.components.marked_text import plain
from dashboard.session import current_client
from dashboard.views.review.desk.state import DeskState, save_if_changed, unsaved

UNSENT_KEY = "strop-unsent"
SIGNED_OUT_KEY = "strop-signed-out"


def show_person(me: Me, place: Any) -> None:
    """Who is signed in, and the way out."""
    with place.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(f"Signed in as {plain(me.name)}, shown to others as {plain(me.pseudonym)}")
        st.button("Sign out", key="sign-out", type="tertiary", on_click=_sign_out)

        if UNSENT_KEY in st.session_state:
            show_problem(st.session_state.pop(UNSENT_KEY))


def _sign_out() -> None:
    """End the session, when all that was written in this tab is on the server."""
    for desk in [one for one in st.session_state.values() if isinstance(one, DeskState)]:
        save_if_changed(desk, current_client())
        if unsaved(desk):
            st.session_state[UNSENT_KEY] = Conflict(
                "You are still signed in: what you wrote is not saved yet.",
                hint="The desk says on the left what keeps it. Send it, or close the page.",
            )
            return
    elsewhere = None
    with suppress(StropError):  # a session that has ended already is what was wanted
        elsewhere = current_client().accounts.sign_out()
    st.session_state.clear()
    st.session_state[SIGNED_OUT_KEY] = elsewhere or ""


def has_signed_out() -> bool:
    """Whether the person has just signed out in this tab; says so."""
    if SIGNED_OUT_KEY not in st.session_state:
        return False
    show_sign_in_link("You have signed out.")
    if elsewhere := st.session_state[SIGNED_OUT_KEY]:
        st.link_button("Sign out at your organisation too", elsewhere)
    return True
