"""One's own account: how one signs in, and the second factor, set up by a picture and a code."""

from __future__ import annotations

import streamlit as st

from backend.schemas.accounts import EnrolmentOut, SecondFactorOut
from dashboard.components.frame import heading, problems_shown, show_state
from dashboard.components.marked_text import plain
from dashboard.session import current_client

ENROLMENT_KEY = "strop-enrolment"
CODES_KEY = "strop-recovery-codes"


def show() -> None:
    """The page."""
    heading("Account", "How you sign in.")
    if CODES_KEY in st.session_state:
        _show_codes(st.session_state[CODES_KEY])
        return
    factor = current_client().accounts.second_factor()
    if not factor.offered:
        show_state(
            "○",
            "You sign in at your organisation",
            "Your password and your second factor are kept there; Strop has neither.",
        )
    elif factor.on:
        _show_on(factor)
    elif ENROLMENT_KEY in st.session_state:
        _show_enrolment(st.session_state[ENROLMENT_KEY])
    else:
        _show_off(factor)


def _show_off(factor: SecondFactorOut) -> None:
    st.subheader("Second factor")
    st.text(
        "With a second factor, your password alone signs nobody in: an authenticator app on your "
        "phone shows six figures, which are asked for as well."
    )
    if factor.required:
        st.warning("You have to have one here: set it up before your next sign-in.")
    with st.form("begin-second-factor"):
        password = st.text_input("Your password", type="password", autocomplete="current-password")
        if st.form_submit_button("Set it up", type="primary"):
            with problems_shown():
                made = current_client().accounts.begin_second_factor(password)
                st.session_state[ENROLMENT_KEY] = made
                st.rerun()


def _show_enrolment(made: EnrolmentOut) -> None:
    st.subheader("Set up the second factor")
    st.text("Scan this with the authenticator app, then type the six figures that it shows.")
    st.image(made.qr_svg, width=240)
    st.text("Or type this into it:")
    st.code(made.secret, language=None)
    with st.form("confirm-second-factor"):
        code = st.text_input("Code", autocomplete="one-time-code", max_chars=40)
        if st.form_submit_button("Turn it on", type="primary"):
            with problems_shown():
                told = current_client().accounts.confirm_second_factor(code)
                st.session_state.pop(ENROLMENT_KEY)
                st.session_state[CODES_KEY] = told.codes
                st.rerun()
    if st.button("Leave it"):
        st.session_state.pop(ENROLMENT_KEY)
        st.rerun()


def _show_codes(codes: list[str]) -> None:
    st.subheader("Recovery codes")
    st.text(
        "The second factor is on. Keep these codes where you keep keys: each lets you in once "
        "without the authenticator. They are shown this once."
    )
    st.code("\n".join(codes), language=None)
    if st.button("I have them", type="primary"):
        st.session_state.pop(CODES_KEY)
        st.rerun()


def _show_on(factor: SecondFactorOut) -> None:
    st.subheader("Second factor")
    left = factor.recovery_codes_left
    st.text(f"It is on. Of your recovery codes {left} are left.")
    if left <= 2:
        st.warning("Few recovery codes are left: remove the second factor and set it up anew.")
    if factor.required:
        st.text(plain("You have to have one here; an admin can reset it."))
        return
    with st.form("remove-second-factor"):
        password = st.text_input("Your password", type="password", autocomplete="current-password")
        if st.form_submit_button("Remove it"):
            with problems_shown():
                current_client().accounts.remove_second_factor(password)
                st.rerun()
