"""`strop lineage ID`: what a thing was made of, and what it went into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument

from backend.cli.common import in_project
from backend.cli.options import JsonOption, ProjectOption
from backend.cli.terminal.printing import print_json

if TYPE_CHECKING:
    from backend.schemas.rounds import LineageOut


def command(
    name: Annotated[
        str,
        Argument(
            help="v2, v2+brief, set:NAME, review:ID, run:ID, dataset:NAME@VERSION, prompt:NAME."
        ),
    ],
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Follow an adapter to the corrections in it, or a correction to its adapters."""
    from backend.services.lineage.trace import trace

    with in_project(project) as (_, session, found):
        lineage = trace(session, found.id, name)
    if json:
        print_json(lineage)
        return
    typer.echo(_title(lineage, lineage.root))
    typer.echo("made of")
    _echo_tree(lineage, lineage.root, up=True)
    typer.echo("went into")
    _echo_tree(lineage, lineage.root, up=False)


def _echo_tree(lineage: LineageOut, root: str, *, up: bool) -> None:
    """One line a step, indented; a node that was shown before is named and not followed again."""
    shown = {root}

    def echo(key: str, depth: int) -> None:
        for edge in lineage.edges:
            here, there = (edge.target, edge.source) if up else (edge.source, edge.target)
            if here != key:
                continue
            known = there in shown
            shown.add(there)
            again = " (see above)" if known else ""
            typer.echo(f"{'  ' * depth}{_title(lineage, there)} [{edge.label}]{again}")
            if not known:
                echo(there, depth + 1)

    echo(root, 1)
    if len(shown) == 1:
        typer.echo("  nothing that is recorded")


def _title(lineage: LineageOut, key: str) -> str:
    node = next(node for node in lineage.nodes if node.key == key)
    marks = f" !! {'; '.join(node.marks)} !!" if node.marks else ""
    facts = f" ({'; '.join(node.facts)})" if node.facts else ""
    return f"{node.kind} {node.title}{facts}{marks}"
