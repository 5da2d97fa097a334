"""Whether outputs of low risk skip review, as widgets."""

from __future__ import annotations

import streamlit as st

from backend.schemas.review.queues import RoutingIn


def ask_skip() -> RoutingIn | None:
    """What may skip; None where the switch is off."""
    if not st.toggle("Let outputs of low risk skip review"):
        return None
    st.caption(
        "Certified on what was reviewed before, and watched by a random audit: when it finds too "
        "many wrong ones, the guarantee is withdrawn, and you are told."
    )
    wrong, sure, looked = st.columns(3)
    epsilon = wrong.number_input("At most wrong, %", 0.1, 50.0, 5.0, 0.5)
    confidence = sure.number_input("With confidence, %", 50.0, 99.9, 90.0, 1.0)
    audit = looked.number_input("Reviewed all the same, %", 1.0, 100.0, 10.0, 1.0)
    risk, when = st.columns(2)
    metric = risk.text_input("Check that tells the risk", placeholder="the newest risk model")
    stated = when.text_input("Counts as wrong", placeholder="marked errors, corrections")
    return RoutingIn(
        epsilon=epsilon / 100,
        delta=round(1 - confidence / 100, 6),
        audit=audit / 100,
        metric=metric.strip()[:80] or None,
        wrong_when=stated.strip()[:500] or None,
    )
