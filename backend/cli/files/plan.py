"""`strop plan`: how many ratings it takes, simulated from the ratings at hand.

strop plan ratings.jsonl --width 0.1
strop plan ratings.jsonl --threshold 0.8 [--assurance 0.8]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from backend.cli.inputs import column_names
from backend.cli.options import JsonOption, MapOption
from backend.cli.terminal.printing import print_notes, print_shown

if TYPE_CHECKING:
    from evaluators.statistics.planning import RatingPlan


def command(
    ratings: Annotated[str, Argument(help="Rows with item and value; several are averaged.")],
    width: Annotated[float | None, Option(help="Wished width of the interval.")] = None,
    threshold: Annotated[
        float | None, Option(help="Value that a verdict must clear, either way.")
    ] = None,
    assurance: Annotated[
        float, Option(min=0.5, max=0.99, help="Wished chance of reaching it.")
    ] = 0.8,
    criterion: Annotated[str | None, Option(help="Criterion of the ratings, if several.")] = None,
    map_: MapOption = None,
    as_json: JsonOption = False,
    level: Annotated[float, Option(min=0.5, max=0.999, help="Confidence level.")] = 0.95,
    seed: Annotated[int, Option(min=0, help="Seed of the simulation.")] = 0,
) -> None:
    """Ratings needed for an interval of a stated width, or for a verdict, with the uncertainty."""
    from evaluators.errors import EvaluatorError
    from evaluators.files.estimation import read_item_means
    from evaluators.files.mapping import Notes
    from evaluators.statistics.planning import plan_verdict, plan_width

    if (width is None) == (threshold is None):
        raise EvaluatorError("Give either --width or --threshold.")
    notes = Notes()
    values = read_item_means(ratings, criterion=criterion, names=column_names(map_), notes=notes)
    print_notes(notes)
    if width is not None:
        found = plan_width(values, width=width, assurance=assurance, level=level, seed=seed)
    else:
        goal = threshold or 0.0
        found = plan_verdict(values, threshold=goal, assurance=assurance, level=level, seed=seed)
    print_shown(found, _print, json=as_json)


def _print(plan: RatingPlan) -> None:
    count = "more than can be planned for" if plan.n is None else str(plan.n)
    upper = "open" if plan.high is None else str(plan.high)
    typer.echo(f"{plan.goal}: {count} items in all (from {plan.low} to {upper}); {plan.note}")
    typer.echo(f"reached in {plan.assurance:.0%} of {plan.draws} simulated continuations")
    typer.echo(plan.signature)
