"""`strop estimate`: a mean rating from few ratings and scores on all items.

strop estimate --ratings r.jsonl --scores s.jsonl [--metric NAME] [--json]
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from backend.cli.inputs import column_names
from backend.cli.options import JsonOption, MapOption
from backend.cli.terminal.printing import print_json, print_notes, print_table

if TYPE_CHECKING:
    from evaluators.files.estimation import JoinedItems
    from evaluators.statistics.prediction_powered import Estimate


def command(
    ratings: Annotated[str, Option(help="Rows with item and value, some items only.")],
    scores: Annotated[str, Option(help="Rows with item (or id) and value, all items.")],
    metric: Annotated[
        str | None, Option(help="Go by this metric alone; else by what helps.")
    ] = None,
    criterion: Annotated[str | None, Option(help="Criterion of the ratings, if several.")] = None,
    map_: MapOption = None,
    as_json: JsonOption = False,
    level: Annotated[float, Option(min=0.5, max=0.999, help="Confidence level.")] = 0.95,
) -> None:
    """Mean rating of all items, the scores making the interval narrower where they can."""
    from evaluators.files.estimation import join_files
    from evaluators.files.mapping import Notes
    from evaluators.statistics.prediction_powered import estimate_mean

    names, notes = column_names(map_, several=True), Notes()
    joined = join_files(
        ratings, scores, metric=metric, criterion=criterion, names=names, notes=notes
    )
    print_notes(notes)
    found = estimate_mean(
        joined.ratings,
        joined.scores,
        probabilities=joined.probabilities,
        groups=joined.groups,
        level=level,
    )
    figure = _figure(found, joined)
    if as_json:
        print_json([figure])
    else:
        _print(figure)


def _figure(found: Estimate, joined: JoinedItems) -> dict[str, Any]:
    helped_by = found.metric if found.method != "plain" else None
    named = {**asdict(found), "metric": "mean_rating", "helped_by": helped_by}
    return {**named, "failed": len(joined.unscored), "without_score": joined.without_score}


def _print(figure: dict[str, Any]) -> None:
    from evaluators.files.mapping import counted

    plain = {"estimate": "ratings alone", "n": figure["n"]}
    plain |= {key: figure[f"plain_{key}"] for key in ("value", "low", "high")}
    best = {"estimate": figure["method"], **figure}
    print_table([best, plain], columns=["estimate", "value", "low", "high", "n"])
    typer.echo(
        f"{figure['n']} of {figure['total']} items rated, {figure['clusters']} groups; "
        + _width(figure)
        + ("; rough: few groups are rated" if figure["rough"] else "")
    )
    if figure["note"]:
        typer.echo(figure["note"])
    if figure["failed"]:
        unscored = counted(figure["failed"], "rated item")
        typer.echo(f"not used: {unscored} without a score", err=True)
    if figure["without_score"]:
        left_out = counted(figure["without_score"], "item")
        others = counted(figure["total"], "other")
        typer.echo(f"left out: {left_out} without a score; the mean is of the {others}", err=True)
    typer.echo(figure["signature"])


def _width(figure: dict[str, Any]) -> str:
    if figure["low"] is None or figure["plain_low"] is None:
        return "no interval"
    share = (figure["high"] - figure["low"]) / (figure["plain_high"] - figure["plain_low"])
    return f"the interval is {share:.0%} as wide as that of the ratings alone"
