"""The rules of a new queue as widgets: skips, caps, known answers, disagreements, cost."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.views.review.opening.choices import SKIP_CHOICES

DEFAULT_REVISION, LONGEST_REVISION = 60, 60 * 24 * 31  # minutes
LONGEST_LEASE = 24 * 60  # minutes


def ask_rules() -> tuple[dict[str, Any], int | None]:
    """The rules that were set, and how long an item stays with a person (seconds).

    What was left alone keeps the server's default and is not named, or None.
    """
    with st.expander("Skips, time, known answers, disagreements, cost: the defaults are sound"):
        skip = st.selectbox(
            "A skipped item goes",
            list(SKIP_CHOICES),
            format_func=lambda policy: SKIP_CHOICES[policy],
        )
        rules: dict[str, Any] = {"skip_policy": skip}
        lease, time = _ask_time()
        rules |= _ask_people() | time | _ask_gold() | _ask_disagreements() | _ask_masks()
        rules |= _ask_cost()
    return rules, lease


def _ask_time() -> tuple[int | None, dict[str, Any]]:
    """Seconds that an item stays with a person, and the rules about time."""
    if not st.toggle("Set how long an item is kept for a person, and an answer can be changed"):
        return None, {}
    keep, revise = st.columns(2)
    minutes = keep.number_input("Minutes that an item is kept", 1, LONGEST_LEASE, 10)
    adapt = keep.checkbox("Then three times what the person takes on average", value=True)
    may = revise.number_input(
        "Minutes in which an answer can be changed", 0, LONGEST_REVISION, DEFAULT_REVISION
    )
    st.caption(
        "An item that nobody works at goes to a colleague when its time is over; a late answer is "
        "kept as an extra. 0 minutes: what was submitted stays."
    )
    return 60 * int(minutes), {"revise_minutes": int(may), "adaptive_leases": adapt}


def _ask_people() -> dict[str, Any]:
    if not st.toggle("Limit what one person may give"):
        return {}
    share = st.slider("At most this share of the reviews", 0.05, 1.0, 0.5, 0.05, format="percent")
    return {"max_share": share}


def _ask_gold() -> dict[str, Any]:
    if not st.toggle("Mix in items with a known answer"):
        return {}
    st.caption(
        "A person below the bound is paused with a kind message, and you are told. "
        "Known answers are added on the page “Reviewers” once the queue is open."
    )
    first, every, bound = st.columns(3)
    return {
        "gold_onboarding": int(first.number_input("At the start", 0, 100, 3)),
        "gold_every": int(every.number_input("Then one after every … others", 0, 1000, 20)),
        "gold_bound": bound.slider("To be met", 0.0, 1.0, 0.7, 0.05, format="percent"),
    }


def _ask_disagreements() -> dict[str, Any]:
    rules: dict[str, Any] = {}
    if st.toggle("Send disagreements to an adjudicator"):
        rules["adjudicate_above"] = st.slider(
            "When answers are further apart than", 0.0, 1.0, 0.5, 0.05
        )
    if st.toggle("Ask one more person when an item is disputed"):
        rules["extra_below"] = st.slider(
            "When agreement on the item is below", 0.05, 1.0, 0.5, 0.05, format="percent"
        )
    return rules


def _ask_masks() -> dict[str, Any]:
    masks = st.multiselect(
        "Black out these texts in the outputs",
        [],
        accept_new_options=True,
        placeholder="Type a text that gives a model away",
    )
    return {"mask": masks} if masks else {}


def _ask_cost() -> dict[str, Any]:
    if not st.toggle("Count what review costs"):
        return {}
    cost, currency = st.columns(2)
    return {
        "cost_per_hour": float(cost.number_input("An hour of review costs", 0.01, None, 60.0)),
        "currency": currency.text_input("Currency", "EUR", max_chars=8).strip() or "EUR",
    }
