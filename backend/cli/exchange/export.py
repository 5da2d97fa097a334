"""`strop export`: training data in the formats of other tools, and review queues as files.

    strop export dpo --set round-1 --out pairs.jsonl
    strop export sft --in rows.jsonl --out train.jsonl
    strop export ratings --queue q --out ratings.csv

Rows of a plain file have one of the shapes of `backend.services.datasets.shapes`; any kind of file
that Strop reads. A plain file needs no database.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.cli.common import (
    FILE_HELP,
    JsonOption,
    MapOption,
    ProjectOption,
    column_names,
    print_json,
    print_notes,
    takes,
)
from backend.cli.output import ForceOption, check_target, said_ending, whole_file

if TYPE_CHECKING:
    from backend.services.curation.formats import TrainingRow
    from backend.services.exchange.plain_rows import LeftOut


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What `strop export` is asked for."""

    format: Annotated[
        str,
        typer.Argument(
            help="Training rows: sft, dpo, kto, openai, alpaca or sharegpt. A queue: ratings, "
            "votes, label-studio, argilla, label-studio-config or argilla-settings."
        ),
    ]
    out: Annotated[Path, typer.Option(help="File to write, whole or not at all.")]
    source: Annotated[
        str | None, typer.Option("--in", help=f"Plain rows; needs no database. {FILE_HELP}")
    ] = None
    map_: MapOption = None
    force: ForceOption = False
    set_name: Annotated[
        str | None, typer.Option("--set", help="Frozen training set of the project.")
    ] = None
    queue: Annotated[
        str | None, typer.Option(help="Review queue; the ending of --out is jsonl, csv or json.")
    ] = None
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a queue's file that was cut.")
    ] = False
    everything: Annotated[
        bool, typer.Option("--all", help="Also a queue's gold items, verdicts and extra answers.")
    ] = False
    offsets: Annotated[
        str, typer.Option(help="What the offsets of marks count: code_points or utf16.")
    ] = "code_points"
    people: Annotated[
        list[str] | None,
        typer.Option(
            "--person", help="PSEUDONYM=ADDRESS of a reviewer in Label Studio, or: nobody."
        ),
    ] = None
    project: ProjectOption = None
    as_json: JsonOption = False


@takes(ExportOptions)
def command(asked: ExportOptions) -> None:
    """Write training data in the formats of other tools, or a review queue as a file.

    A row of a file is {"input", "context"?, "output" | "correction", "rejected"?, "label"?}, or
    Alpaca's {"instruction", "input"?, "output", "system"?}, or TRL's {"prompt"?, "completion" |
    "chosen", "rejected"?, "label"?}, or {"messages"}, or ShareGPT's {"conversations"}.
    """
    if asked.queue is None:
        _export_rows(asked)
    else:
        _export_queue(asked, asked.queue)


def _export_queue(asked: ExportOptions, queue: str) -> None:
    from backend.errors import InvalidInput

    if asked.source is not None or asked.set_name is not None:
        raise InvalidInput("Rows come from one place.", hint="Give --queue, --in or --set.")
    from backend.cli.exchange.export_queue import export_queue

    export_queue(
        asked.format,
        asked.out,
        queue=queue,
        project=asked.project,
        resume=asked.resume,
        force=asked.force,
        all_purposes=asked.everything,
        offsets=asked.offsets,
        people=asked.people,
        as_json=asked.as_json,
    )


def _export_rows(asked: ExportOptions) -> None:
    from backend.errors import InvalidInput
    from backend.services.curation.formats import get_format
    from backend.services.exchange.plain_rows import LeftOut, read_plain_rows
    from evaluators.files.mapping import Notes

    chosen, left_out = get_format(asked.format), LeftOut()
    if (asked.source is None) == (asked.set_name is None):
        raise InvalidInput("Rows come from one place.", hint="Give either --in FILE or --set NAME.")
    said_ending(asked.out, [".jsonl", ".json"], "training rows")
    inputs = [] if asked.source is None else [asked.source]
    check_target(asked.out, force=asked.force, inputs=inputs)
    if asked.source is not None:
        names, notes = column_names(asked.map_), Notes()
        rows = read_plain_rows(asked.source, chosen.kind, left_out, names=names, notes=notes)
        try:
            written = _write(asked, rows, left_out)
        finally:  # where nothing could be written, they say why
            print_notes(notes)
    else:
        written = _write_set(asked, left_out)
    _report(asked.format, asked.out, written, left_out, as_json=asked.as_json)


def _write_set(asked: ExportOptions, left_out: LeftOut) -> int:
    from backend.cli.common import working_in_project
    from backend.services.curation import find_training_set, training_rows

    with working_in_project(asked.project) as (_, session, found):
        frozen = find_training_set(session, found.id, str(asked.set_name))
        return _write(asked, training_rows(session, frozen.id), left_out)


def _write(asked: ExportOptions, rows: Iterable[TrainingRow], left_out: LeftOut) -> int:
    """Write the rows of the format's kind; what is of another kind is counted."""
    from backend.errors import InvalidInput
    from backend.services.curation.formats import export_rows, get_format

    kind = get_format(asked.format).kind

    def of_kind() -> Iterable[TrainingRow]:
        for row in rows:
            if row.kind == kind:
                yield row
            else:
                left_out.reasons[f"of kind {row.kind}"] += 1

    count = 0
    with whole_file(asked.out, force=asked.force) as stream:
        for line in export_rows(of_kind(), asked.format):
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")
            count += 1
        if not count:
            why = _listed(left_out.reasons) or "there is none"
            raise InvalidInput(f"No row can be written as {asked.format}: {why}.")
    return count


def _report(name: str, out: Path, written: int, left_out: LeftOut, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "format": name,
                "out": str(out),
                "rows": written,
                "left_out": dict(left_out.reasons),
            }
        )
        return
    from evaluators.files.mapping import count_rows

    rest = f" Left out: {_listed(left_out.reasons)}." if left_out.reasons else ""
    typer.echo(f"{count_rows(written)} written to {out}.{rest}")


def _listed(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in reasons.items())
