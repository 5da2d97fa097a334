"""Keys of the desk that Streamlit's own shortcuts would lose: digits, and Ctrl or Cmd with Enter.

A shortcut of a button is dead until the button is drawn; who rates fast types ahead of that. Here
the browser gathers the digits of one item and hands over all of them, and the desk takes those it
has not taken yet. Ctrl+Enter is taken before a button that has the focus can swallow it; what is
being typed is handed over first. Keys that repeat because they are held, digits in a text box, and
digits for an item that is not on screen any more count for nothing.
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

const submit = (event) => {
  event.preventDefault();
  event.stopImmediatePropagation();
  const button = document.querySelector('[class*="st-key-submit-"] button');
  if (event.repeat || !button) return;
  event.composedPath()[0].blur();
  button.click();
};

export default function ({ data, parentElement, setStateValue }) {
  if (parentElement.stropItem !== data.item) {
    parentElement.stropItem = data.item;
    parentElement.stropDigits = "";
  }
  const listen = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || typing(event)) return;
    if (!/^[0-9]$/.test(event.key)) return;
    parentElement.stropDigits += event.key;
    setStateValue("typed", { item: data.item, digits: parentElement.stropDigits });
  };
  document.removeEventListener("keydown", parentElement.stropListen, true);
  parentElement.stropListen = listen;
  document.addEventListener("keydown", listen, true);
  document.documentElement.dataset.stropItem = data.item;  // which item the keys are for
  return () => document.removeEventListener("keydown", listen, true);
}
"""


@cache
def _component() -> Any:
    return st.components.v2.component("strop_digits", html="<span></span>", js=SCRIPT)


def listen_for_keys(*, item: str) -> None:
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
