"""Fairness: one tab each for gaps between groups, counterfactual pairs and training data."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from dashboard.components.frame import heading, problems_shown
from dashboard.views.fairness import gaps, mentions, pairs

TABS: Mapping[str, Callable[[], None]] = {
    "Gaps between groups": gaps.show,
    "Pairs": pairs.show,
    "Training data": mentions.show,
}


def show() -> None:
    """Draw the page."""
    heading(
        "Fairness",
        "What differs between groups, and what cannot be told; nothing here is ever called fair",
    )
    for tab, draw in zip(st.tabs(list(TABS)), TABS.values(), strict=True):
        with tab, problems_shown():
            draw()
