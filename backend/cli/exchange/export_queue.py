"""`strop export ratings|votes|label-studio|argilla --queue Q`: a review queue as a file.

    strop export ratings --queue q --out ratings.csv        the ending says the kind of file
    strop export label-studio --queue q --out tasks.json --resume

A file is written whole or not at all, beside its place and then moved there. `--resume` takes up
what a broken export left, or a file that was cut on its way.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from backend.cli.common import open_installation, print_json
from backend.cli.output import check_target, put_in_place, whole_file

if TYPE_CHECKING:
    from backend.services.exchange.review_exports import ExportAsk, FileKind, Format
    from backend.services.review.reports.contents import OpenSession, QueueFacts

SETTINGS = ("label-studio-config", "argilla-settings")


def export_queue(
    format: str,
    out: Path,
    *,
    queue: str,
    project: str | None,
    resume: bool,
    force: bool,
    all_purposes: bool,
    offsets: str,
    people: list[str] | None,
    as_json: bool,
) -> None:
    """Write a queue in a format of `review_exports`, or the settings of another tool for it.

    Raises:
        InvalidInput: the file to take up is not an export in this format.
        UnknownName: there is no such format, kind of file or way to count offsets.
    """
    from backend.services.exchange import review_exports
    from backend.services.exchange.text_offsets import Offsets
    from backend.services.review.reports.contents import queue_facts

    # What a broken export left is taken up, so that it may be there.
    check_target(out, force=force or resume)
    sessions, queue_id = _find_queue(queue, project)
    if format in SETTINGS:
        with sessions() as session, whole_file(out, force=force) as file:
            file.write(_settings_text(queue_facts(session, queue_id), format))
        typer.echo(f"Written to {out}.")
        return
    chosen = review_exports.export_format(format)
    kind = review_exports.file_kind(chosen, _ending(out))
    ask = review_exports.ExportAsk(
        all_purposes=all_purposes,
        offsets=Offsets(counted(offsets)),
        addresses=None if people is None else _addresses(people),
    )
    part = out.with_name(f"{out.name}.part")
    if part.exists() or part.is_symlink():
        check_target(part, force=True)
    after = _take_up(out, part, chosen, kind) if resume else None
    if after is COMPLETE:
        typer.echo(f"{out} is whole; nothing is missing.")
        return
    pieces = review_exports.export_text(sessions, queue_id, format, ask, kind=kind, after=after)
    size = _append(part, pieces, fresh=after is None)
    put_in_place(part, out, force=force or resume)
    _report(format, out, size, ask, as_json=as_json)


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


def _settings_text(facts: QueueFacts, format: str) -> str:
    from backend.services.exchange import argilla
    from backend.services.exchange.label_studio import labelling_config

    pair = facts.kind == "pair"
    if format == "label-studio-config":
        return labelling_config(facts.rubric, pair=pair)
    settings = argilla.settings_of(facts.rubric, pair=pair)
    return json.dumps(settings, ensure_ascii=False, indent=2) + "\n"


def _ending(out: Path) -> str | None:
    return out.suffix.lower().removeprefix(".") or None


def counted(offsets: str) -> str:
    from backend.errors import UnknownName
    from backend.services.exchange.text_offsets import Offsets

    if offsets not in set(Offsets):
        raise UnknownName("way to count offsets", offsets, [one.value for one in Offsets])
    return offsets


def _take_up(out: Path, part: Path, chosen: Format, kind: FileKind) -> int | None:
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


def _report(format: str, out: Path, size: int, ask: ExportAsk, *, as_json: bool) -> None:
    if as_json:
        told = {"format": format, "out": str(out), "bytes": size, "left_out": dict(ask.left_out)}
        print_json(told)
        return
    listed = ", ".join(f"{count} {reason}" for reason, count in ask.left_out.items())
    rest = f" Left out: {listed}." if listed else ""
    typer.echo(f"{size:,} bytes written to {out}.{rest}")
