"""What a page is about stands in its address: choosing changes it, and the address opens it.

What an address names and is not there is said, never replaced by something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import streamlit as st

from dashboard.components.frame import show_state
from dashboard.components.marked_text import plain


def choose(name: str, what: str, titles: Mapping[int, str], *, first: int | None = None) -> int:
    """One of these, as the address or the person names it; where there is only one, that one.

    Stops the page with a word, and a way on, when the address names what is not among them.

    Args:
        name: the parameter of the address.
        what: what it is, for people; also the label of the choice.
        titles: what can be chosen, by id, in order.
        first: what is shown when nothing is named; by default the first.
    """
    ids, key, heard = list(titles), f"choice-{name}", f"heard-{name}"
    asked = st.query_params.get(name)
    if asked is not None and asked not in map(str, ids):
        _say_it_is_not_there(name, what, asked)
        st.stop()
    if asked is not None and st.session_state.get(heard) != asked:
        st.session_state[key] = int(asked)
    if st.session_state.get(key) not in ids:
        st.session_state[key] = first if first in ids else ids[0]
    chosen: int = st.session_state[key]
    if len(ids) > 1:
        chosen = st.selectbox(
            what, ids, key=key, format_func=titles.__getitem__, label_visibility="collapsed"
        )
    if asked is not None or len(ids) > 1:
        note_in_address(name, str(chosen))
    st.session_state[heard] = st.query_params.get(name)
    return chosen


def note_in_address(name: str, value: str) -> None:
    """Put what is shown into the address, where it is not there already."""
    if st.query_params.get(name) != value:
        st.query_params[name] = value


def _say_it_is_not_there(name: str, what: str, asked: str) -> None:
    show_state(
        "?",
        f"There is no {what.lower()} {asked} here",
        "It may belong to another project, or to another page, or was never there.",
    )
    with st.container(horizontal_alignment="center"):
        st.button(
            f"Show what there is: {plain(what.lower())}",
            key=f"forget-{name}",
            on_click=lambda: st.query_params.pop(name, None),
        )


def address_of(page: str, **named: object) -> str:
    """The address of a page about something, for a link."""
    asked = "&".join(f"{name}={quote(str(value))}" for name, value in named.items())
    return f"/{page}?{asked}" if asked else f"/{page}"
