"""The guides, written beside the pages that they explain and shown here."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

GUIDES = Path(__file__).parents[1] / "guides"


def show_expert_guide() -> None:
    """How to work at the desk."""
    _show_guide("expert.md", picture="desk.png")


def show_lead_guide() -> None:
    """How to set the bar, open queues, read results and promote."""
    _show_guide("lead.md")


def _show_guide(name: str, *, picture: str | None = None) -> None:
    with st.container(width=760):
        st.markdown((GUIDES / name).read_text("utf-8"))
        if picture is not None:
            st.image(GUIDES / picture, caption="An item with a correction in it")
