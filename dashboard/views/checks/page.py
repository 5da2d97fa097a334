"""Checks: how good they are on this project's data, the risk, what may skip review, the judge.

One tab a subject, each a module of its own beside this one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from dashboard.components.frame import heading
from dashboard.views.checks import bench, checkers, judge, risk, triage

TABS: Mapping[str, Callable[[], None]] = {
    "Bench": bench.show,
    "Checkers": checkers.show,
    "Risk": risk.show_risk,
    "Triage": triage.show,
    "Judge": judge.show,
}


def show() -> None:
    """Draw the page."""
    heading("Checks", "What points a reviewer to what is wrong, and how far it can be trusted")
    if not TABS:
        st.info("Nothing was measured yet: `strop check bench`")
        return
    for tab, draw in zip(st.tabs(list(TABS)), TABS.values(), strict=True):
        with tab:
            draw()
