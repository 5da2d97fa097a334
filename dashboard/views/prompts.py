"""Prompts: what each version says, what changed, and what a search tried that chose it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from backend.schemas.prompts import PromptOut
from dashboard.components.address import address_of, note_in_address
from dashboard.components.frame import (
    Cell,
    FigureText,
    PageLink,
    escape,
    facts_html,
    heading,
    moment,
    sentences_html,
    table_html,
)
from dashboard.session import current_client, current_project

TRIED_COLUMNS = ["candidate", "metric", "value", "n", "failed", "tokens read"]


def show() -> None:
    """Draw the page."""
    heading("Prompts", "What models are told, in versions; a model with a prompt is a candidate")
    found = _listed()
    if not found:
        st.info("There is no prompt yet: `strop prompt add FILE`")
        return
    prompt = _chosen(found)
    facts: dict[str, Cell] = {
        "sha256": prompt.digest[:16],
        "added": moment(prompt.created_at),
        "candidates with it": PageLink(
            "lineage", address_of("lineage", of=f"prompt:{prompt.label}")
        ),
    }
    st.html(facts_html(facts))
    st.html(_text_html(prompt.source))
    _show_change(prompt, found)
    if prompt.search is not None:
        _show_search(prompt.search)


def _listed() -> list[PromptOut]:
    """The prompts of the project; with what a search tried where the address names one of those."""
    client, project = current_client(), current_project()
    found = client.prompts.list(project.id)
    asked = st.query_params.get("prompt")
    if asked is None or asked in {prompt.label for prompt in found}:
        return found
    return client.prompts.list(project.id, tried=True)


def _chosen(found: Sequence[PromptOut]) -> PromptOut:
    by_label = {prompt.label: prompt for prompt in sorted(found, key=lambda one: -one.id)}
    labels = list(by_label)
    asked = st.query_params.get("prompt")
    at = labels.index(asked) if asked in by_label else 0
    label: str = st.selectbox("Prompt", labels, index=at)
    note_in_address("prompt", label)
    return by_label[label]


def _show_change(prompt: PromptOut, found: Sequence[PromptOut]) -> None:
    before = [one for one in found if one.name == prompt.name and one.version < prompt.version]
    if not before:
        return
    old = max(before, key=lambda one: one.version)
    st.subheader(f"Since version {old.version}")
    lines = current_client().prompts.diff(prompt.id, against=old.id).lines
    st.html(_text_html("\n".join(lines) or "No difference."))


def _text_html(text: str) -> str:
    """A text as it is, line by line."""
    return f"<pre style='white-space:pre-wrap'>{escape(text)}</pre>"


def _show_search(record: Mapping[str, Any]) -> None:
    st.subheader("The search that chose it")
    st.html(table_html(TRIED_COLUMNS, tried_rows(record["tried"]), title=record["title"]))
    st.html(sentences_html(record["notes"]))


def tried_rows(tried: Sequence[Mapping[str, Any]]) -> list[list[Cell]]:
    """A row for each candidate, the best first."""
    return [
        [
            row["candidate"],
            row.get("metric", ""),
            FigureText(_figure(row)) if row.get("value") is not None else row.get("error", ""),
            row.get("n"),
            row.get("failed"),
            row.get("tokens in"),
        ]
        for row in tried
    ]


def _figure(row: Mapping[str, Any]) -> str:
    low, high = row.get("low"), row.get("high")
    span = "(no interval)" if low is None or high is None else f"[{low:.3f}, {high:.3f}]"
    return f"{row['value']:.3f} {span}"
