"""Training sets out into the formats of other tools, as JSON lines."""

from __future__ import annotations

import re
from functools import partial

import streamlit as st

from backend.client import StropClient
from dashboard.components.frame import Cell, Tag, facts_html, heading, table_html
from dashboard.session import current_client, current_project

FORMATS = {
    "sft": "TRL: prompt and completion as chat messages",
    "dpo": "TRL: prompt, chosen, rejected",
    "kto": "TRL: prompt, completion, label",
    "openai": "OpenAI fine-tuning: messages",
    "alpaca": "Alpaca: instruction, input, output",
    "sharegpt": "ShareGPT: conversations",
}


def show() -> None:
    """Draw the page."""
    heading("Export", "Frozen training sets; every row keeps where it comes from")
    sets = current_client().list_training_sets(current_project().id)
    if not sets:
        st.info("No set is frozen yet: `strop set freeze NAME --queue Q`")
        return
    by_id = {one.id: one for one in sets}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox("Training set", list(by_id), format_func=lambda i: by_id[i].name)
        kind = st.selectbox("Format", list(FORMATS), format_func=lambda f: f"{f} · {FORMATS[f]}")
    one = by_id[chosen]
    facts: dict[str, Cell] = {"rows": one.n_rows, "digest": one.digest}
    if one.simulated:
        facts["rests on"] = Tag("simulated reviews", "simulated")
    st.html(facts_html(facts))
    refused = one.recipe.get("refused") or {}
    if isinstance(refused, dict) and refused:
        st.html(table_html(["kept out", "rows"], [[str(k), str(v)] for k, v in refused.items()]))
    st.download_button(
        "Download",
        data=partial(_read_export, current_client(), one.id, kind),
        file_name=f"{file_stem(one.name)}.{kind}.jsonl",
        mime="application/jsonl",
        type="primary",
        on_click="ignore",
    )


def _read_export(client: StropClient, training_set_id: int, kind: str) -> bytes:
    """The file; called when the button is pressed, outside the page's own run."""
    return b"".join(client.export_training_set(training_set_id, kind))


def file_stem(name: str) -> str:
    """A name that is safe as the beginning of a file name."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "training-set"
