"""A file of an export that was cut, brought to where the export can be taken up.

Cutting back removes an incomplete last record and then every record of the last item, since the
rest of that item's may be missing; the export goes on after the item before it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backend.errors import InvalidInput
from backend.services.exchange.review_exports import FileKind, QueueFormat


@dataclass(frozen=True, slots=True)
class Resumed:
    """Where an export goes on.

    Attributes:
        after: the last item whose rows are whole; None: from the start.
        complete: the file's end was written; nothing is missing.
    """

    after: int | None
    complete: bool = False


def cut_back(path: Path, chosen: QueueFormat, kind: FileKind) -> Resumed:
    """Cut the file to whole items and say where to go on.

    Raises:
        InvalidInput: the file is not an export in this format.
    """
    before, last, start = None, None, 0
    with path.open("rb") as stream:
        for offset, record in _whole_records(stream, kind):
            text = record.strip()
            if kind is FileKind.JSON and text == b"]":
                return Resumed(None, complete=True)
            item = _item_in(path, text, offset, chosen, kind)
            if item is not None and item != last:
                before, last, start = last, item, offset
    with path.open("rb+") as stream:
        stream.truncate(start if before is not None else 0)
    return Resumed(before)


def _item_in(
    path: Path, text: bytes, offset: int, chosen: QueueFormat, kind: FileKind
) -> int | None:
    """The item that a record names; None for a head."""
    try:
        decoded = text.decode()
        match kind:
            case FileKind.CSV if offset == 0:
                if next(csv.reader([decoded])) != list(chosen.columns):
                    raise ValueError("another header")
                return None
            case FileKind.CSV:
                cells = next(csv.reader(decoded.splitlines(keepends=True), strict=True))
                return chosen.item_of(dict(zip(chosen.columns, cells, strict=True)))
            case FileKind.JSON if offset == 0:
                if decoded != "[":
                    raise ValueError("no array")
                return None
            case _:
                return chosen.item_of(json.loads(decoded.removesuffix(",")))
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise InvalidInput(
            f"{path}: at byte {offset}: this is not an export in this format.",
            hint="Name the file that was cut, or export without --resume.",
        ) from error


def _whole_records(stream: Iterator[bytes], kind: FileKind) -> Iterator[tuple[int, bytes]]:
    """Records with their offsets, those whose end was written.

    A record ends with a line end; in CSV one outside of quotes, which is where the quotes so far
    are even in number.
    """
    offset, quotes = 0, 0
    lines: list[bytes] = []
    for line in stream:
        lines.append(line)
        quotes += line.count(b'"') if kind is FileKind.CSV else 0
        if line.endswith(b"\n") and quotes % 2 == 0:
            record = b"".join(lines)
            yield offset, record
            offset, lines, quotes = offset + len(record), [], 0
