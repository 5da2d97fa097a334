"""Digits typed at the desk, none lost: those pressed while a page is being drawn are kept.

A shortcut of a button is dead until the button is drawn; who rates fast types ahead of that. Here
the browser gathers the digits of one item and hands over all of them, and the desk takes those it
has not taken yet. Keys that repeat because they are held, keys in a text box, and keys pressed for
an item that is not on screen any more count for nothing.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import streamlit as st

KEY = "strop-digits"
SCRIPT = """
const typing = (event) => {
  const place = event.composedPath()[0];
  return place.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(place.tagName);
};

export default function ({ data, parentElement, setStateValue }) {
  if (parentElement.stropItem !== data.item) {
    parentElement.stropItem = data.item;
    parentElement.stropDigits = "";
  }
  const listen = (event) => {
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || typing(event)) return;
    if (!/^[0-9]$/.test(event.key)) return;
    parentElement.stropDigits += event.key;
    setStateValue("typed", { item: data.item, digits: parentElement.stropDigits });
  };
  document.removeEventListener("keydown", parentElement.stropListen);
  parentElement.stropListen = listen;
  document.addEventListener("keydown", listen);
  document.documentElement.dataset.stropItem = data.item;  // which item the keys are for
  return () => document.removeEventListener("keydown", listen);
}
"""


@cache
def _component() -> Any:
    return st.components.v2.component("strop_digits", html="<span></span>", js=SCRIPT)


def listen_for_digits(*, item: str) -> None:
    """Put the listener on the page, for this item and no other."""
    _component()(
        key=KEY,
        data={"item": item},
        default={"typed": None},
        on_typed_change=_nothing,
        height=1,
    )


def digits_typed(*, item: str) -> str:
    """All digits typed so far for this item, in order; known before the listener is drawn."""
    state = st.session_state.get(KEY)
    typed = state.get("typed") if state else None
    if not typed or typed["item"] != item:
        return ""
    return str(typed["digits"])


def _nothing() -> None:
    """A state of a component exists only with a callback; the script's own run does the work."""
