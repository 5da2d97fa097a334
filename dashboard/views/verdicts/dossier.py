"""The dossier of a comparison: a button that signs it, and the key by which it is checked."""

from __future__ import annotations

import streamlit as st

from backend.schemas.verdicts import ComparisonOut
from dashboard.session import current_client

SIGNING_ROLES = frozenset({"lead", "admin"})


def show_dossier(one: ComparisonOut) -> None:
    """Offer the archive to a lead; nobody else may take figures and reviews out of the house."""
    st.subheader("Dossier")
    st.caption(
        "One signed archive for whoever has to answer for the model: the bar, data by digest, "
        "every figure with what it is made of, reviews under codes, decisions. It holds no text "
        "of an example or of a reviewer, and its own checker, which needs no Strop."
    )
    client = current_client()
    if client.accounts.me().role not in SIGNING_ROLES:
        st.info("A lead can take it out.")
        return
    st.download_button(  # the archive is made when it is pressed, outside the page's own run
        "Sign and download",
        data=lambda: client.verdicts.dossier(one.id),
        file_name=f"dossier-{one.id}.tar",
        mime="application/x-tar",
        on_click="ignore",
        key="dossier",
    )
    st.caption("The public key by which it is checked; give it on by another way:")
    st.code(client.verdicts.dossier_key().public_key, language=None)
