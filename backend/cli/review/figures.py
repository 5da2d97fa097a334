"""`strop review agreement|estimate|watch|effects|reviewers`: what a lead reads of a queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from typer import Argument, Option

from backend.cli.common import on_queue
from backend.cli.options import JsonOption, ProjectOption
from backend.cli.terminal.printing import print_json, print_rows, print_table

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.schemas.review.reports import Measured

Found = TypeVar("Found")
QueueArgument = Annotated[str, Argument(help="Queue.")]
UNDECIDED, NOT_BETTER = 3, 2


def agreement(
    queue: QueueArgument,
    worst: Annotated[int, Option(min=0, help="How many of the worst items to list.")] = 10,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Show how far reviewers agree: by criterion, two by two, and where least."""
    from backend.services.review.reports.agreement import agreement_report

    report = _of_queue(queue, project, lambda s, i: agreement_report(s, i, worst=worst))
    if json:
        print_json(report)
        return
    rows = [
        {"criterion": row.criterion, "metric": row.coefficient, **row.figure.model_dump()}
        for row in report.coefficients
    ]
    columns = ["criterion", "metric", "value", "low", "high", "n", "error"]
    print_table(rows, columns=columns, title=f"Agreement in {queue}, 95% intervals")
    for note in report.notes:
        typer.echo(f"{note.criterion}: {note.sentence}")
    pairs = [{"criterion": pair.criterion, **asdict(pair)} for pair in report.raters]
    print_rows(pairs, title="Reviewers two by two")
    print_rows([row.model_dump() for row in report.worst], title="Where they differ most")


def estimate(
    queue: QueueArgument,
    metric: Annotated[
        str | None, Option(help="Scores to take help from; default: what helps most.")
    ] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Say of all outputs what the reviewed ones tell, weighted by the design."""
    from backend.services.review.reports.estimates import queue_estimates

    found = _of_queue(queue, project, lambda s, i: queue_estimates(s, i, metric=metric))
    rows = [
        {
            "criterion": row.criterion if row.option is None else f"{row.criterion}={row.option}",
            "model": row.model,
            "estimate": tell(row.figure),
            "reviews alone": tell(row.plain),
            "helped by": row.metric if row.method != "plain" else "",
            "reviewed": row.n_reviewed,
            "of": row.n_items,
            "simulated": row.n_simulated,
        }
        for row in found
    ]
    print_rows(rows, title=f"Estimates of {queue}, 95% intervals", json=json, whole=found)
    for note in dict.fromkeys(row.figure.note for row in found if "of a judge" in row.figure.note):
        if not json:
            typer.echo(f"Note: {note}.")


def watch(
    queue: QueueArgument,
    margin: Annotated[
        float, Option(min=0, max=0.499, help="By how much to exceed one half.")
    ] = 0.0,
    alpha: Annotated[
        float, Option(min=0.0001, max=0.5, help="Chance of ever deciding wrongly.")
    ] = 0.05,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Look at an A/B, as often as you like: exit 0 when b is better, 2 when not, 3 undecided."""
    from backend.services.review.reports.ab import watch_queue

    found = _of_queue(queue, project, lambda s, i: watch_queue(s, i, margin=margin, alpha=alpha))
    if json:
        print_json(found)
    else:
        for row in found:
            rate = tell(row.figure)
            simulated = f", {row.n_simulated} of them simulated" if row.n_simulated else ""
            typer.echo(f"{row.model_b} against {row.model_a}: {rate}; {row.votes} votes{simulated}")
            typer.echo(f"  {row.sentence}")
    decisions = {row.decision for row in found}
    if "undecided" in decisions:
        raise typer.Exit(UNDECIDED)
    if "not_better" in decisions:
        raise typer.Exit(NOT_BETTER)


def effects(queue: QueueArgument, project: ProjectOption = None, json: JsonOption = False) -> None:
    """Test what ought not to sway a review: side, length, order, fatigue."""
    from backend.services.review.reports.effects import queue_effects

    found = _of_queue(queue, project, queue_effects)
    rows = [
        {"effect": e.name, "on": e.subject, "p": e.p, "n": e.figure.n, "finding": e.sentence}
        for e in found
    ]
    print_rows(rows, title=f"What may sway the reviews of {queue}", json=json, whole=found)


def reviewers(
    queue: QueueArgument, project: ProjectOption = None, json: JsonOption = False
) -> None:
    """Show each reviewer's work, time, agreement with others, known answers and warnings."""
    from backend.services.review.reports.reviewers import reviewer_quality

    found = _of_queue(queue, project, reviewer_quality)
    rows = [
        {
            "reviewer": row.pseudonym,
            "submitted": row.submitted,
            "skipped": row.skipped,
            "minutes": tell(row.minutes),
            "agrees": tell(row.agreement),
            "known answers": tell(row.gold),
            "paused": "paused" if row.paused else "",
            "simulated": "simulated" if row.simulated else "",
            "look at": "; ".join(row.warnings),
        }
        for row in found
    ]
    print_rows(rows, title=f"Reviewers of {queue}", json=json, whole=found)


def tell(figure: Measured) -> str:
    """A figure in a cell: value, interval and n, or why there is none."""
    if figure.value is None:
        return figure.error or ""
    if figure.low is None or figure.high is None:
        return f"{figure.value:.3f}, n={figure.n}; {figure.note}"
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}], n={figure.n}"


def _of_queue(queue: str, project: str | None, ask: Callable[[Session, int], Found]) -> Found:
    with on_queue(queue, project) as (session, opened):
        return ask(session, opened.id)
