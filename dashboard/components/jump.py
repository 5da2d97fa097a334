"""Brings the top of the page into view when another item comes; nothing to see by itself."""

from __future__ import annotations

from functools import cache
from typing import Any

import streamlit as st

SCRIPT = """
export default function ({ data, parentElement }) {
  const host = parentElement.host ?? parentElement;
  if (host.dataset.item === data.item) return;
  host.dataset.item = data.item;
  document.querySelector('[data-testid="stMain"]')?.scrollTo({ top: 0 });
  document.querySelectorAll('.strop-source').forEach((part) => part.scrollTo({ top: 0 }));
}
"""


@cache
def _component() -> Any:
    return st.components.v2.component("strop_jump", html="<span></span>", js=SCRIPT)


def jump_to_top(*, item: str) -> None:
    """Scroll to the top once for each new value of `item`."""
    _component()(key="strop-jump", data={"item": item}, height=1)
