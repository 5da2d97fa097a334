"""Rows of a spreadsheet (.xlsx), as its library reads them."""

from __future__ import annotations

import warnings
import xml.etree.ElementTree as ElementTree
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

from evaluators.errors import UnreadableRecord
from evaluators.files.formats.columnar import json_value
from evaluators.files.formats.opening import unpacked_bytes

_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, ElementTree.ParseError, EOFError, OSError),
    *(KeyError, ValueError, TypeError, IndexError, AttributeError, NotImplementedError),
)

Cells = tuple[int, list[Any]]


def read_workbook(stream: IO[bytes], name: str) -> tuple[Iterator[Cells], list[str]]:
    """Numbered rows of the first sheet, all equally long, and what is to be said of them.

    Raises:
        UnreadableRecord: no workbook, or one that unpacks to too much.
    """
    import openpyxl

    _check_archive(stream, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of validations and styles, which are not read
            values = openpyxl.load_workbook(stream, read_only=True, data_only=True)
            sheet = values.worksheets[0]
            sheet.reset_dimensions()
            rows = [(i, [json_value(cell) for cell in row]) for i, row in _numbered(sheet)]
            said = []
            if _has_formulas(stream):
                said += _without_value(openpyxl.load_workbook(stream, read_only=True), rows)
    except _BROKEN as error:
        reason = str(error) or type(error).__name__
        raise UnreadableRecord(
            f"{name}: not a whole .xlsx file ({reason}).", hint="Save it again, or as CSV."
        ) from None
    if len(values.sheetnames) > 1:
        said.append(f"the first of {len(values.sheetnames)} sheets is read, {sheet.title!r}.")
    width = max((len(cells) for _, cells in rows), default=0)
    return (
        ((i, cells + [None] * (width - len(cells))) for i, cells in rows),
        [f"{name}: {sentence}" for sentence in said],
    )


def _numbered(sheet: Any) -> Iterator[tuple[int, tuple[Any, ...]]]:
    for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
        if any(cell is not None for cell in row):
            yield number, row


def _check_archive(stream: IO[bytes], name: str) -> None:
    try:
        with zipfile.ZipFile(stream) as archive:
            entries = archive.infolist()
    except _BROKEN as error:
        raise UnreadableRecord(f"{name}: not a whole .xlsx file ({error}).") from None
    allowed = unpacked_bytes(sum(entry.compress_size for entry in entries))
    if sum(entry.file_size for entry in entries) > allowed:
        raise UnreadableRecord(f"{name}: it unpacks to more than {allowed:,} bytes.")
    if not any(entry.filename == "xl/workbook.xml" for entry in entries):
        raise UnreadableRecord(
            f"{name}: a zip archive, and no .xlsx file.", hint="Unpack it and name the file in it."
        )
    stream.seek(0)


def _has_formulas(stream: IO[bytes]) -> bool:
    stream.seek(0)
    with zipfile.ZipFile(stream) as archive:
        sheets = [entry for entry in archive.namelist() if entry.startswith("xl/worksheets/")]
        return any(b"<f" in archive.read(entry) for entry in sheets)


def _without_value(workbook: Any, rows: list[Cells]) -> list[str]:
    """Cells that hold a formula which no spreadsheet has computed yet count as empty."""
    known = dict(rows)
    sheet = workbook.worksheets[0]
    sheet.reset_dimensions()
    lacking = 0
    for number, row in enumerate(sheet.iter_rows(), start=1):
        cells = known.get(number, [])
        for place, cell in enumerate(row):
            if cell.data_type == "f" and (place >= len(cells) or cells[place] is None):
                lacking += 1
    if not lacking:
        return []
    return [
        f"formulas without a stored value count as empty ({lacking} of them): "
        "open and save it in a spreadsheet."
    ]
