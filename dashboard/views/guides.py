"""The guides, written beside the pages that they explain and shown here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import streamlit as st

GUIDES = Path(__file__).parents[1] / "guides"


EXPERT_PICTURES = {
    "desk.png": "The desk: your progress on the left, source and answer, questions on the right",
    "marking.png": "Words selected and M pressed: what is wrong with them?",
    "pair.png": "Two answers side by side",
}
LEAD_PICTURES = {
    "forecast.png": "Queues: reviews by day, and the wedge in which the last one comes (simulated)",
    "watched.png": "A/B: decided where the band left the dashed line (simulated votes)",
}


def show_expert_guide() -> None:
    """How to work at the desk."""
    _show_guide("expert.md", EXPERT_PICTURES)


def show_lead_guide() -> None:
    """How to set the bar, open queues, read results and promote."""
    _show_guide("lead.md", LEAD_PICTURES)


def _show_guide(name: str, pictures: Mapping[str, str]) -> None:
    with st.container(width=760):
        st.markdown((GUIDES / name).read_text("utf-8"))
        for picture, caption in pictures.items():
            st.image(GUIDES / picture, caption=caption, alt=caption)
