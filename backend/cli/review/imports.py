"""`strop review import QUEUE FILE --from label-studio|argilla`: answers given in another tool."""

from __future__ import annotations

from typing import Annotated

import typer

from backend.cli.common import (
    JsonOption,
    ProjectOption,
    print_json,
    print_table,
    working_in_project,
)

SHOWN = 20


def command(
    queue: Annotated[str, typer.Argument(help="Queue from which the items were exported.")],
    file: Annotated[str, typer.Argument(help="JSON as the other tool exports it, or JSONL.")],
    source: Annotated[str, typer.Option("--from", help="label-studio or argilla.")],
    people: Annotated[
        list[str] | None,
        typer.Option("--person", help="THEIRS=OURS: an id or address there, a name here."),
    ] = None,
    offsets: Annotated[
        str, typer.Option(help="What marks count that quote no text: code_points or utf16.")
    ] = "code_points",
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take finished answers of another tool into a queue; a second time takes nothing twice.

    Exit code 2 when some could not be taken: each is named with the reason.
    """
    from backend.cli.exchange.export import counted
    from backend.db import utc_now
    from backend.services.exchange.review_imports import import_reviews
    from backend.services.exchange.text_offsets import Offsets
    from backend.services.review.queues import find_queue
    from evaluators.files.readers import read_table

    rows = [record.values for record in read_table(file).records]
    mapped = _people(people or [])
    with working_in_project(project) as (_, session, found):
        report = import_reviews(
            session,
            find_queue(session, found.id, queue).id,
            rows,
            source=source,
            people=mapped,
            offsets=Offsets(counted(offsets)),
            now=utc_now(),
        )
    refused = [one.model_dump() for one in report.refused]
    if as_json:
        print_json(report.model_dump())
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


def _people(given: list[str]) -> dict[str, str]:
    from backend.errors import InvalidInput

    mapped = dict(one.rpartition("=")[::2] for one in given)
    if "" in mapped or "" in mapped.values():
        raise InvalidInput("A person is THEIRS=OURS.", hint="For example: --person 3=eva")
    return mapped
