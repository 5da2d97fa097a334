"""`strop review import QUEUE FILE --from SOURCE`: answers given in another tool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.common import in_project
from backend.cli.options import JsonOption, ProjectOption, takes
from backend.cli.terminal.printing import print_json, print_table

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.tables.projects import Project

SHOWN = 20


@dataclass(frozen=True, slots=True)
class ReviewImportOptions:
    """What `strop review import` is asked for."""

    queue: Annotated[str, Argument(help="Queue that asks what was answered.")]
    file: Annotated[str, Argument(help="JSON as the other tool exports it, JSONL, CSV or TSV.")]
    source: Annotated[str, Option("--from", help="label-studio, argilla, mqm or ratings.")]
    people: Annotated[
        list[str] | None,
        Option("--person", help="THEIRS=OURS: an id or address there, a name here."),
    ] = None
    add_people: Annotated[
        bool, Option("--add-people", help="Add raters nobody knows; they cannot sign in.")
    ] = False
    offsets: Annotated[
        str, Option(help="What marks count that quote no text: code_points or utf16.")
    ] = "code_points"
    run: Annotated[
        int | None,
        Option(help="For mqm and ratings: open the queue on this run if it is not there."),
    ] = None
    rubric: Annotated[
        str | None, Option(help="With --run: what it asks; default: what the file answers.")
    ] = None
    project: ProjectOption = None
    json: JsonOption = False


@takes(ReviewImportOptions)
def command(asked: ReviewImportOptions) -> None:
    """Take finished answers of another tool into a queue; a second time takes nothing twice.

    Exit code 2 when some could not be taken: each is named with the reason.
    """
    from backend.cli.exchange.export import counted
    from backend.db import utc_now
    from backend.errors import InvalidInput
    from backend.services.exchange.rated_elsewhere import read_rated
    from backend.services.exchange.review_imports import import_reviews
    from backend.services.exchange.text_offsets import Offsets
    from backend.settings import load_settings

    limit = load_settings().max_row_bytes
    table = read_rated(asked.file, asked.source, max_row_bytes=limit)
    rows = [record.values for record in table.records]
    mapped = _people(asked.people or [])
    with in_project(asked.project) as (_, session, found):
        queue_id, opened = _queue(session, found, asked, rows, mapped)
        report = import_reviews(
            session,
            queue_id,
            rows,
            source=asked.source,
            people=mapped,
            offsets=Offsets(counted(asked.offsets)),
            now=utc_now(),
        )
        if opened and not report.taken:  # and the queue is not opened either
            first = report.refused[0]
            raise InvalidInput(
                f"{table.name}: row {first.row}: {first.reason}; none of {len(report.refused)} "
                "answers could be taken."
            )
    refused = [one.model_dump() for one in report.refused]
    if asked.json:
        print_json(report)
    else:
        typer.echo(
            f"{report.taken} answers taken, {report.repeated} were there already, "
            f"{len(refused)} not taken."
        )
        if refused:
            print_table(refused[:SHOWN], columns=["row", "id", "reason"], title="Not taken")
        if len(refused) > SHOWN:
            typer.echo(f"and {len(refused) - SHOWN} more; --json names all of them")
    if refused:
        raise typer.Exit(2)


def _queue(
    session: Session,
    project: Project,
    asked: ReviewImportOptions,
    rows: Sequence[Any],
    people: Mapping[str, str],
) -> tuple[int, bool]:
    """The queue of that name, opened on the run where it is not there and a run is named; and
    whether it was opened."""
    from backend.errors import NotFound
    from backend.services.exchange.rated_queues import add_raters, open_for
    from backend.services.review.opening.checks import requested_rubric
    from backend.services.review.queues import find_queue
    from backend.tables.review import QueueKind

    if asked.add_people:
        add_raters(session, project.id, source=asked.source, rows=rows, people=people)
    try:
        return find_queue(session, project.id, asked.queue).id, False
    except NotFound:
        if asked.run is None:
            raise
    rubric = asked.rubric and requested_rubric(session, project.id, asked.rubric, QueueKind.SINGLE)
    opened = open_for(
        session,
        project.id,
        asked.queue,
        source=asked.source,
        rows=rows,
        run_id=asked.run,
        people=people,
        rubric=rubric or None,
    )
    return opened.id, True


def _people(given: list[str]) -> dict[str, str]:
    from backend.errors import InvalidInput

    mapped = dict(one.rpartition("=")[::2] for one in given)
    if "" in mapped or "" in mapped.values():
        raise InvalidInput("A person is THEIRS=OURS.", hint="For example: --person 3=eva")
    return mapped
