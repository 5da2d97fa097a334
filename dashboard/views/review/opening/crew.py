"""Who reviews a new queue, as widgets: people and groups, overlap, and who gets which items."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.schemas.review.queues import OpeningDefaults
from dashboard.components.marked_text import plain
from dashboard.session import current_client, current_project
from dashboard.views.review.opening.choices import Crew

MOST_PEOPLE = 20
PERSON, SKILL = "one person", "people with a skill"


def ask_crew(places: Sequence[str], fitting: OpeningDefaults) -> Crew:
    """Who reviews, and by whom what is reviewed.

    Args:
        places: the slices that items may be assigned by, each as `key=value`.
        fitting: what fits the project as it is now.
    """
    people = current_client().accounts.members(current_project().id)
    names = [one.name for one in people if one.active and one.role == "expert"]
    if not names:
        st.info("This project has no experts yet: `strop user add NAME --role expert`")
    ready = [name for name in fitting.reviewers if name in names]
    reviewers = st.multiselect("Reviewers", names, default=ready)
    groups = st.multiselect("Groups", [], accept_new_options=True, placeholder="Type a group")
    several, share = st.columns(2)
    most = MOST_PEOPLE if groups else max(1, len(reviewers))
    overlap = several.number_input(
        "People on a shared item", min_value=1, max_value=most, value=min(fitting.overlap, most)
    )
    part = share.slider(
        "Share of items that are shared",
        0.0,
        1.0,
        fitting.overlap_share if most > 1 else 0.0,
        0.05,
        format="percent",
    )
    for note in fitting.notes:
        st.caption(plain(note))
    st.caption("Shared items come first. Without them nobody can say how far reviewers agree.")
    named, skills, deal = _ask_assignment(reviewers, places)
    return Crew(
        tuple(reviewers),
        tuple(groups),
        overlap_share=part,
        overlap=int(overlap),
        people=named,
        skills=skills,
        deal=deal,
    )


def _ask_assignment(
    reviewers: Sequence[str], places: Sequence[str]
) -> tuple[dict[str, str], dict[str, str], bool]:
    """Slice -> person, slice -> skill, and whether all items are dealt out."""
    people, skills = dict[str, str](), dict[str, str]()
    with st.expander("Who gets which items: anybody takes any, unless you say otherwise"):
        deal = st.toggle("Deal all items out from the start, to everybody alike many")
        chosen = st.multiselect(
            "Items to be assigned", places, placeholder="Choose slices", disabled=not places
        )
        for place in chosen:
            left, right = st.columns(2)
            whose = left.selectbox(f"{place} goes to", [PERSON, SKILL], key=f"whose-{place}")
            if whose == SKILL:
                skills[place] = right.text_input("Skill", key=f"skill-{place}", max_chars=120)
            elif reviewers:
                people[place] = right.selectbox("Person", reviewers, key=f"person-{place}")
    return people, skills, deal
