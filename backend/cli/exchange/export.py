"""`strop export`: training data in the formats of other tools, and review queues as files.

    strop export dpo --set round-1 --out pairs.jsonl
    strop export sft --in rows.jsonl --out train.jsonl
    strop export ratings --queue q --out ratings.csv

Rows of a plain file have one of the shapes of `backend.services.datasets.importing.shapes`; any
kind of file that Strop reads. A plain file needs no database.

`strop export ratings|votes|label-studio|argilla --queue Q`: a review queue as a file.

    strop export ratings --queue q --out ratings.csv        the ending says the kind of file
    strop export label-studio --queue q --out tasks.json --resume

A file is written whole or not at all, beside its place and then moved there. `--resume` takes up
what a broken export left, or a file that was cut on its way.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from backend.cli.common import open_installation
from backend.cli.inputs import column_names
from backend.cli.options import FILE_HELP, JsonOption, MapOption, ProjectOption, takes
from backend.cli.terminal.output import (
    ForceOption,
    check_target,
    put_in_place,
    said_ending,
    whole_file,
)
from backend.cli.terminal.printing import print_notes, print_result

if TYPE_CHECKING:
    from backend.services.curation.formats import TrainingRow
    from backend.services.exchange.plain_rows import LeftOut
    from backend.services.exchange.review_exports import FileKind, QueueFormat
    from backend.services.review.reports.contents import OpenSession, QueueFacts


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What `strop export` is asked for."""

    format: Annotated[
        str,
        Argument(
            help="Training rows: sft, dpo, kto, openai, alpaca or sharegpt. A queue: ratings, "
            "votes, label-studio, argilla, label-studio-config or argilla-settings."
        ),
    ]
    out: Annotated[Path, Option(help="File to write, whole or not at all.")]
    source: Annotated[
        str | None, Option("--in", help=f"Plain rows; needs no database. {FILE_HELP}")
    ] = None
    map_: MapOption = None
    force: ForceOption = False
    set_name: Annotated[str | None, Option("--set", help="Frozen training set of the project.")] = (
        None
    )
    queue: Annotated[
        str | None, Option(help="Review queue; the ending of --out is jsonl, csv or json.")
    ] = None
    resume: Annotated[bool, Option("--resume", help="Go on with a queue's file that was cut.")] = (
        False
    )
    everything: Annotated[
        bool, Option("--all", help="Also a queue's gold items, verdicts and extra answers.")
    ] = False
    offsets: Annotated[
        str, Option(help="What the offsets of marks count: code_points or utf16.")
    ] = "code_points"
    people: Annotated[
        list[str] | None,
        Option("--person", help="PSEUDONYM=ADDRESS of a reviewer in Label Studio, or: nobody."),
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
    from evaluators.files.mapping import count_rows

    _report(asked, "rows", written, count_rows(written), left_out.reasons)


def _write_set(asked: ExportOptions, left_out: LeftOut) -> int:
    from backend.cli.common import in_project
    from backend.db import utc_now
    from backend.services.curation import find_training_set, training_rows
    from backend.services.exports import note_export

    with in_project(asked.project) as (_, session, found):
        frozen = find_training_set(session, found.id, str(asked.set_name))
        subject = f"training_set:{frozen.id}"
        target, now = str(asked.out.absolute()), utc_now()
        note_export(session, subject, asked.format, project_id=found.id, target=target, now=now)
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


def _report(
    asked: ExportOptions, unit: str, written: int, words: str, left_out: Mapping[str, int]
) -> None:
    told = {"format": asked.format, "out": str(asked.out), unit: written}
    rest = f" Left out: {_listed(left_out)}." if left_out else ""
    print_result(
        {**told, "left_out": dict(left_out)},
        f"{words} written to {asked.out}.{rest}",
        json=asked.as_json,
    )


def _listed(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in reasons.items())


SETTINGS = ("label-studio-config", "argilla-settings")


def _export_queue(asked: ExportOptions, queue: str) -> None:
    """Write a queue in a format of `review_exports`, or the settings of another tool for it.

    Raises:
        InvalidInput: the file to take up is not an export in this format.
        UnknownName: there is no such format, kind of file or way to count offsets.
    """
    from backend.errors import InvalidInput
    from backend.services.exchange import review_exports
    from backend.services.exchange.text_offsets import Offsets
    from backend.services.review.reports.contents import queue_facts

    if asked.source is not None or asked.set_name is not None:
        raise InvalidInput("Rows come from one place.", hint="Give --queue, --in or --set.")
    format, out = asked.format, asked.out
    over = asked.force or asked.resume  # what a broken export left is taken up: it may be there
    check_target(out, force=over)
    sessions, queue_id = _find_queue(queue, asked.project)
    if format in SETTINGS:
        with sessions() as session, whole_file(out, force=asked.force) as file:
            file.write(_settings_text(queue_facts(session, queue_id), format))
        typer.echo(f"Written to {out}.")
        return
    chosen = review_exports.export_format(format)
    kind = review_exports.file_kind(chosen, out.suffix.lower().removeprefix(".") or None)
    ask = review_exports.ExportAsk(
        all_purposes=asked.everything,
        offsets=Offsets(counted(asked.offsets)),
        addresses=None if asked.people is None else _addresses(asked.people),
    )
    part = out.with_name(f"{out.name}.part")
    if part.exists() or part.is_symlink():
        check_target(part, force=True)
    _note_queue(queue_id, format, out)
    after = _take_up(out, part, chosen, kind) if asked.resume else None
    if after is COMPLETE:
        typer.echo(f"{out} is whole; nothing is missing.")
        return
    pieces = review_exports.export_text(sessions, queue_id, format, ask, kind=kind, after=after)
    size = _append(part, pieces, fresh=after is None)
    put_in_place(part, out, force=over)
    _report(asked, "bytes", size, f"{size:,} bytes", ask.left_out)


COMPLETE = -1


def _addresses(people: list[str]) -> dict[str, str]:
    """PSEUDONYM=ADDRESS of each; `nobody` names none."""
    from backend.errors import InvalidInput

    found = dict(one.partition("=")[::2] for one in people if one != "nobody")
    if not all(found) or not all(found.values()):
        raise InvalidInput("A person is PSEUDONYM=ADDRESS.", hint="Or: --person nobody")
    return found


def _find_queue(name: str, project: str | None) -> tuple[OpenSession, int]:
    from backend.db import reading
    from backend.services.projects import get_project
    from backend.services.review.queues import find_queue

    installation = open_installation()

    def open_reading() -> Any:
        return reading(installation.sessions)

    with open_reading() as session:
        return open_reading, find_queue(session, get_project(session, project).id, name).id


def _note_queue(queue_id: int, format: str, out: Path) -> None:
    """Write down that the queue goes out, before its first row does."""
    from backend.db import utc_now
    from backend.services.exports import note_export
    from backend.tables.review import ReviewQueue

    with open_installation().sessions.begin() as session:
        project_id = session.get_one(ReviewQueue, queue_id).project_id
        target, now = str(out.absolute()), utc_now()
        subject = f"queue:{queue_id}"
        note_export(session, subject, format, project_id=project_id, target=target, now=now)


def _settings_text(facts: QueueFacts, format: str) -> str:
    from backend.services.exchange import argilla
    from backend.services.exchange.label_studio import labelling_config

    pair = facts.kind == "pair"
    if format == "label-studio-config":
        return labelling_config(facts.rubric, pair=pair)
    settings = argilla.settings_of(facts.rubric, pair=pair)
    return json.dumps(settings, ensure_ascii=False, indent=2) + "\n"


def counted(offsets: str) -> str:
    from backend.errors import UnknownName
    from backend.services.exchange.text_offsets import Offsets

    if offsets not in set(Offsets):
        raise UnknownName("way to count offsets", offsets, [one.value for one in Offsets])
    return offsets


def _take_up(out: Path, part: Path, chosen: QueueFormat, kind: FileKind) -> int | None:
    """Cut what is there back to whole items; the last of them, None for none, or COMPLETE."""
    from backend.services.exchange.export_files import cut_back

    if not part.exists():
        if not out.exists():
            return None
        os.replace(out, part)
    try:
        found = cut_back(part, chosen, kind)
    except BaseException:
        if not out.exists():
            os.replace(part, out)
        raise
    if found.complete:
        os.replace(part, out)
        return COMPLETE
    return found.after


def _append(part: Path, pieces: Iterable[str], *, fresh: bool) -> int:
    with part.open("wb" if fresh else "ab") as stream:
        for piece in pieces:
            stream.write(piece.encode())
        return stream.tell()
