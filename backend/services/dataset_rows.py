"""From the records of a file to examples: which column is what, and what every example needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.errors import InvalidInput
from backend.services.datasets import Row
from evaluators.readers import Record

FIELDS = ("id", "input", "context", "reference", "references", "group", "split")


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """How a file names its columns.

    Attributes:
        columns: field of an example -> column of the file; a field that is not named here has the
            column of its own name, where there is one.
        instruction: a sentence put before every input, for files that hold only the material.
        slice_columns: columns whose values become slices of the same name.
        id_prefix: put before the row number where the file has no ids.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    instruction: str | None = None
    slice_columns: Sequence[str] = ()
    id_prefix: str = "row"

    def __post_init__(self) -> None:
        if unknown := set(self.columns) - set(FIELDS):
            raise InvalidInput(
                f"An example has no field {sorted(unknown)[0]!r}.",
                hint=f"Fields are {', '.join(FIELDS)}.",
            )


def rows_from_records(
    records: Sequence[Record],
    column_map: ColumnMap,
    *,
    source_name: str,
    split: str | None = None,
    need_reference: bool = True,
) -> list[Row]:
    """Turn records into examples; all of them or an error that names file, row and remedy.

    Args:
        split: the split of every row of this file; else the file's own split column, if any.
        need_reference: refuse rows without a reference.
    """
    rows = []
    for record in records:
        try:
            rows.append(_row(record, column_map, split, need_reference))
        except InvalidInput as error:
            message = f"{source_name}: row {record.row}: {error.message}"
            raise InvalidInput(message, hint=error.hint) from None
    return rows


def _row(record: Record, column_map: ColumnMap, split: str | None, need_reference: bool) -> Row:
    values, columns = record.values, column_map.columns
    text = _text(values, columns.get("input", "input"), given="input" in columns)
    context = _text(values, columns.get("context", "context"), given="context" in columns)
    if not text and not context:
        raise InvalidInput("neither input nor context.", hint="Name the column: --map input=TEXT.")
    references = _references(values, columns)
    if need_reference and not references:
        raise InvalidInput(
            "no reference.",
            hint="Name the column (--map reference=COLUMN), or say --no-references.",
        )
    return Row(
        external_id=_text(values, columns.get("id", "id"))
        or f"{column_map.id_prefix}-{record.row}",
        input=_with_instruction(column_map.instruction, text),
        context=context,
        references=references,
        group=_text(values, columns.get("group", "group"), given="group" in columns),
        slices=_slices(values, column_map.slice_columns),
        split=split or _text(values, columns.get("split", "split"), given="split" in columns),
    )


def _with_instruction(instruction: str | None, text: str | None) -> str:
    return "\n\n".join(part for part in (instruction, text) if part)


def _text(values: Mapping[str, Any], column: str, *, given: bool = False) -> str | None:
    if column not in values:
        if given:
            have = ", ".join(map(str, values)) or "nothing"
            raise InvalidInput(f"no column {column!r}; it has {have}.", hint="Mend --map.")
        return None
    value = values[column]
    if value is None:
        return None
    if not isinstance(value, str | int | float):
        kind = type(value).__name__
        raise InvalidInput(f"{column} is a {kind}, not a text.", hint="Make it a string.")
    return _checked(str(value), column) or None


def _checked(text: str, column: str) -> str:
    """PostgreSQL cannot store NUL; lone surrogates are not text in any encoding."""
    if "\x00" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise InvalidInput(
            f"{column} holds a character that is not text (NUL or a lone surrogate).",
            hint="Remove it from the file.",
        )
    return text if text.strip() else ""


def _references(values: Mapping[str, Any], columns: Mapping[str, str]) -> tuple[str, ...]:
    many = values.get(columns.get("references", "references"))
    if isinstance(many, list):
        found = [_text({"references": item}, "references") for item in many]
        return tuple(text for text in found if text)
    one = _text(values, columns.get("reference", "reference"), given="reference" in columns)
    return (one,) if one else ()


def _slices(values: Mapping[str, Any], slice_columns: Sequence[str]) -> dict[str, str]:
    own = values.get("slices") or {}
    if not isinstance(own, dict):
        raise InvalidInput("slices is not an object.", hint='Write {"task": "summary"}.')
    picked = {column: _text(values, column, given=True) or "" for column in slice_columns}
    return {**{str(k): str(v) for k, v in own.items()}, **picked}
