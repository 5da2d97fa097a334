"""Lineage: a thing, what it was made of, and what it went into, as a graph."""

from __future__ import annotations

import streamlit as st

from backend.schemas.rounds import LineageNode, LineageOut
from dashboard.components.address import address_of, note_in_address
from dashboard.components.frame import Cell, PageLink, Tag, heading, problems_shown, table_html
from dashboard.session import current_client, current_project

COLOURS = {
    "model": "#d5e8e4",
    "set": "#efe3cf",
    "dataset": "#e4e6ea",
    "prompt": "#e4e6ea",
    "verdict": "#e6dff0",
    "promotion": "#e6dff0",
}


def show() -> None:
    """Draw the page."""
    heading("Lineage", "From an adapter to the corrections in it, and from a correction onwards")
    client, project = current_client(), current_project()
    models = [m.label for m in client.models.list(project.id) if m.label != "base"]
    of = st.text_input(
        "Of what?",
        value=st.query_params.get("of") or (models[-1] if models else ""),
        help="A model, or set:NAME, review:ID, run:ID, dataset:NAME@VERSION, prompt:NAME",
    )
    if not of.strip():
        st.info(
            "There is no adapter yet: `strop train`. A set:, review:, run: or dataset: has one too"
        )
        return
    note_in_address("of", of.strip())
    with problems_shown():
        found = client.lineage.of(project.id, of.strip())
        st.graphviz_chart(graph_of(found), width="content")
        rows = [node_row(node) for node in found.nodes]
        st.html(table_html(["what", "name", "facts", "to know first"], rows))


def graph_of(lineage: LineageOut) -> str:
    """The graph in DOT; names are quoted, so that none of them is read as DOT."""
    nodes = [
        f"{_quoted(node.key)} [label={_quoted(_label(node))}, "
        f"{_href(node)}"
        f'fillcolor="{COLOURS.get(node.kind, "#f4f4f2")}", '
        f'color="{"#a33c2a" if node.marks else "#8a9492"}", '
        f"penwidth={3 if node.key == lineage.root else 1}]"
        for node in lineage.nodes
    ]
    edges = [
        f"{_quoted(e.source)} -> {_quoted(e.target)} [label={_quoted(f'  {e.label}')}]"
        for e in lineage.edges
    ]
    style = "rankdir=TB; ranksep=0.35; "
    style += 'node [shape=box, style="filled,rounded", fontname="sans-serif"]; '
    style += 'edge [fontname="sans-serif", fontsize=10, color="#8a9492", fontcolor="#767676"]; '
    style += 'bgcolor="transparent"'
    return "digraph {" + style + "\n" + "\n".join([*nodes, *edges]) + "\n}"


def lineage_request(node: LineageNode) -> str | None:
    """How the lineage of this node is asked for; None where it has none of its own."""
    kind, _, name = node.key.partition(":")
    if kind == "model":
        return name
    return node.key if kind in ("set", "review", "run", "dataset", "prompt") else None


def _href(node: LineageNode) -> str:
    of = lineage_request(node)
    address = _quoted(address_of("lineage", of=of)) if of else None
    return f'URL={address}, target="_self", ' if address else ""


def _label(node: LineageNode) -> str:
    return "\n".join([f"{node.kind} {node.title}", *node.marks])


def _quoted(text: str) -> str:
    plain = "".join(c if c.isprintable() or c == "\n" else " " for c in text)
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def node_row(node: LineageNode) -> list[Cell]:
    """A node in the table."""
    marks = Tag("; ".join(node.marks), "simulated") if node.marks else None
    of = lineage_request(node)
    title: Cell = PageLink(node.title, address_of("lineage", of=of)) if of else node.title
    return [node.kind, title, "; ".join(node.facts), marks]
