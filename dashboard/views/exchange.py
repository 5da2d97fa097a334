"""What leaves the project: answers of a queue, and training sets, in the formats of other tools.

The files of a queue are links to the API on the same origin: the browser streams them to the disk
and shows how far they are, and neither it nor this process ever holds a large file in memory.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import streamlit as st

from dashboard.components.frame import Cell, Tag, escape, facts_html, heading, table_html
from dashboard.session import current_client, current_project
from dashboard.views.review.queue_choice import chosen_queue

QUEUE_PATH = "/api/v1/review-queues/{queue_id}/export"
BOTH = ("single", "pair")
QUEUE_FILES = (
    ("ratings", "One row for each answer to a question", ("csv", "jsonl"), ("single", "pair")),
    ("votes", "One row for each vote on a blind pair", ("csv", "jsonl"), ("pair",)),
    ("label-studio", "Label Studio: tasks, predictions and annotations", ("json",), BOTH),
    ("argilla", "Argilla: records, suggestions and responses", ("jsonl",), BOTH),
)


def show() -> None:
    """Draw the page."""
    heading("Export", "Answers and training sets; every row keeps where it comes from")
    sets, answers = st.tabs(
        ["Training sets", "Answers of a queue"], on_change="rerun", key="export-tabs"
    )
    if sets.open:
        with sets:
            _show_sets()
    if answers.open:
        with answers:
            _show_queue_files()


def _show_queue_files() -> None:
    queue = chosen_queue()
    if queue is None:
        return
    for name, about, files, kinds in QUEUE_FILES:
        if queue.kind in kinds:
            st.html(export_links_html(queue.id, name, about, files))
    if any(one.simulated and one.submitted for one in queue.reviewers):
        st.html(
            "<p><span class='strop-tag simulated'>simulated</span> Some answers were written by a "
            "script. Their rows say so in the column “simulated”.</p>"
        )
    st.caption(
        "Rows carry the item, the group, the model, the reviewer's pseudonym, versions and digests "
        "of rubric and dataset, and the chance with which the item was drawn. A file starts at "
        "once, whatever its size, and your browser shows its progress. One that broke off is taken "
        "up, not begun anew, by `strop export ratings --queue NAME --out FILE --resume`."
    )


def export_links_html(queue_id: int, name: str, about: str, files: Sequence[str]) -> str:
    """A line with a link for each kind of file; name, kind and address are ours."""
    links = "".join(
        f"<a class='strop-link' download href='{QUEUE_PATH.format(queue_id=queue_id)}"
        f"?format={name}&amp;file={kind}' aria-label='{escape(about)}, {kind.upper()}'>"
        f"{kind.upper()}</a>"
        for kind in files
    )
    return f"<div class='strop-download'><span>{escape(about)}</span><span>{links}</span></div>"


def _show_sets() -> None:
    sets = current_client().curation.list(current_project().id)
    if not sets:
        st.info("No set is frozen yet: `strop set freeze NAME --queue Q`")
        return
    by_id = {one.id: one for one in sets}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox("Training set", list(by_id), format_func=lambda i: by_id[i].name)
        formats = current_client().projects.kinds().export_formats
        kind = st.selectbox("Format", formats, format_func=lambda f: f"{f.name} · {f.words}").name
    one = by_id[chosen]
    facts: dict[str, Cell] = {"rows": one.n_rows, "digest": one.digest}
    if one.simulated:
        facts["rests on"] = Tag("simulated reviews", "simulated")
    st.html(facts_html(facts))
    refused = one.recipe.get("refused") or {}
    if isinstance(refused, dict) and refused:
        st.html(table_html(["kept out", "rows"], [[str(k), str(v)] for k, v in refused.items()]))
    client = current_client()
    st.download_button(  # the file is made when it is pressed, outside the page's own run
        "Download",
        data=lambda: b"".join(client.curation.export(one.id, kind)),
        file_name=f"{file_stem(one.name)}.{kind}.jsonl",
        mime="application/jsonl",
        type="primary",
        on_click="ignore",
    )


def file_stem(name: str) -> str:
    """A name that is safe as the beginning of a file name."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "training-set"
