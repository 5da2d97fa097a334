"""What options and files say: lists of names, texts, columns and rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.services.datasets.importing.rows import TableReading
    from evaluators.files.mapping import ColumnNames, Notes


def names_in(text: str | None) -> list[str]:
    """`a, b` as two names."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def distinct_names(text: str | None) -> tuple[str, ...]:
    """`a, b` as two names, each once."""
    return tuple(dict.fromkeys(names_in(text)))


def read_text(path: Path) -> str:
    """The text of a file. Raises InvalidInput: it is not UTF-8, or it cannot be read."""
    from backend.errors import InvalidInput

    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{path} is not UTF-8: {error.reason}.", hint="Save it as UTF-8."
        ) from None
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from None


def column_names(maps: Sequence[str] | None, *, several: bool = False) -> ColumnNames:
    """What `--map` says; with several files a column need be in one of them alone."""
    from evaluators.files.mapping import ColumnNames, column_pairs

    return ColumnNames(column_pairs(maps or ()), several=several)


def read_rows(
    files: Sequence[str],
    notes: Notes,
    maps: Sequence[str] | None,
    slices: Sequence[str] | None = None,
    *,
    instruction: str | None = None,
    need_reference: bool,
) -> list[TableReading]:
    """Rows of files that are named for a dataset, by what --map, --slice and the like say."""
    from backend.services.datasets.importing.incoming import read_sources
    from backend.services.datasets.importing.rows import ColumnMap
    from backend.settings import load_settings
    from evaluators.files.mapping import column_pairs

    return read_sources(
        files,
        ColumnMap(column_pairs(maps or ()), instruction=instruction, slice_columns=slices or ()),
        notes=notes,
        need_reference=need_reference,
        max_row_bytes=load_settings().max_row_bytes,
    )
