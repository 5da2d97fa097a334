"""`strop costs`: what runs, trainings, rounds and reviewed items took, and in money."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from backend.cli.common import in_project
from backend.cli.options import JsonOption, ProjectOption
from backend.cli.terminal.printing import print_shown, print_table, shown_text

if TYPE_CHECKING:
    from backend.schemas.costs import CostReport, CostTotal
    from backend.schemas.review.reports import Measured

RUNS = ["run", "of", "answers", "tokens in", "tokens out", "generating", "scoring", "processor",
        "GPU", "money"]  # fmt: skip
TRAININGS = ["training", "adapter", "clock", "processor", "GPU", "tokens", "money"]
ROUNDS = ["round", "state", "clock", "processor", "GPU", "tokens", "trained on", "experts", "money"]
REVIEWS = ["queue", "reviews", "in all", "money", "an item", "money an item"]


def command(
    limit: Annotated[int, Option(min=1, max=200, help="So many of each kind, newest first.")] = 20,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Show what was spent in seconds, tokens, minutes of experts, and money."""
    from backend.services.costs import project_costs

    with in_project(project) as (installation, session, found):
        hour = installation.settings.price_per_hour
        told = project_costs(session, found.id, training_hour=hour, limit=limit)
    print_shown(told, _show, json=json)


def _show(told: CostReport) -> None:
    tables: list[tuple[str, Sequence[str], list[dict[str, Any]]]] = [
        ("Runs", RUNS, _runs(told)),
        ("Trainings", TRAININGS, _trainings(told)),
        ("Rounds", ROUNDS, _rounds(told)),
        ("Reviewed items", REVIEWS, _reviews(told)),
    ]
    shown = [(title, columns, rows) for title, columns, rows in tables if rows]
    if not shown:
        typer.echo("Nothing was run, trained or reviewed yet.")
        return
    for title, columns, rows in shown:
        print_table(rows, columns=list(columns), title=title)
    for line in [*told.prices.sentences, *told.reasons, *told.notes]:
        typer.echo(shown_text(line))


def _runs(told: CostReport) -> list[dict[str, Any]]:
    rows = []
    for one in told.runs:
        failed = f", {one.failed} failed" if one.failed else ""
        tokens = (one.prompt_tokens, one.completion_tokens)
        seconds = (one.generating, one.scoring, one.processor, one.gpu)
        cells = (*tokens, *seconds, one.money)
        first = (one.run_id, f"{one.dataset} {one.split}", f"{one.answers}{failed}")
        rows.append(dict(zip(RUNS, (*first, *map(_cell, cells)), strict=True)))
    return rows


def _trainings(told: CostReport) -> list[dict[str, Any]]:
    rows = []
    for one in told.trainings:
        cells = map(_cell, (one.clock, one.processor, one.gpu, one.tokens, one.money))
        first = (one.training_run_id, one.adapter)
        rows.append(dict(zip(TRAININGS, (*first, *cells), strict=True)))
    return rows


def _rounds(told: CostReport) -> list[dict[str, Any]]:
    rows = []
    for one in told.rounds:
        cells = (one.clock, one.processor, one.gpu, one.tokens, one.trained_tokens)
        experts = _cell(one.minutes)
        experts += f" ({one.n_simulated} simulated)" if one.n_simulated else ""
        money = " + ".join(map(_cell, one.money)) or "unknown"
        first = (one.number, one.state)
        rows.append(dict(zip(ROUNDS, (*first, *map(_cell, cells), experts, money), strict=True)))
    return rows


def _reviews(told: CostReport) -> list[dict[str, Any]]:
    rows = []
    for one in told.reviews:
        simulated = f" ({one.n_simulated} simulated)" if one.n_simulated else ""
        cells = (_cell(one.minutes), _cell(one.money))
        items = (_measured(one.minutes_per_item), _measured(one.money_per_item))
        first = (one.name, f"{one.reviews}{simulated}")
        rows.append(dict(zip(REVIEWS, (*first, *cells, *items), strict=True)))
    return rows


def _cell(spent: CostTotal) -> str:
    return shown_text(spent.words)


def _measured(number: Measured) -> str:
    if number.value is None:
        return f"unknown: {number.error}"
    unit = shown_text(number.unit and f" {number.unit}")
    span = "(no interval)"
    if number.low is not None and number.high is not None:
        span = f"[{number.low:.2f}, {number.high:.2f}]"
    return f"{number.value:.2f}{unit} {span} n={number.n}"
