"""What a row says: each field as a value of its kind, by one set of rules for every file.

A value is missing where it is null, not a number or blank. Spelled, it depends on the field: what
only programs write (`nan`, `#N/A`, `NaT`) is missing everywhere but in a model's own words; `NA`,
`None` and `null` are missing in coded fields (a group, a rating, a number), while in a text or a
label they may be the answer, and are kept. Either is counted, and said.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluators.errors import UnreadableRecord
from evaluators.files.mapping import (
    ColumnNames,
    Notes,
    RowShape,
    chosen_columns,
    listed,
    name_unused,
    nearest,
)
from evaluators.files.readers import MAX_ROW_BYTES, FileTable, Record, is_missing, read_table

WRITTEN_BY_PROGRAMS = frozenset(
    {"nan", "-nan", "#n/a", "#na", "#n/a n/a", "#nv", "<na>", "nat", "1.#qnan", "1.#ind"}
    | {"-1.#qnan", "-1.#ind", "#null!", "#ref!", "#value!", "#name?", "#div/0!", "#num!"}
)
WORDS_FOR_NOTHING = frozenset({"NA", "N/A", "n/a", "NULL", "null", "None"})
"""As pandas has them, by case: `none` is a word of many rubrics."""
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'")
"""What a text of a cell begins with when an apostrophe guards it
(`backend.services.exchange.csv_cells`)."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
_LIKE_A_LIST = re.compile(r"""\s*\[\s*(?:'.*'|".*"|None)?\s*,?\s*\]\s*""", re.DOTALL)
TRUTH = {"true": True, "false": False, "wahr": True, "falsch": False}
"""Also as a German spreadsheet writes them."""


def read_rows(
    source: str | Path,
    shape: RowShape,
    *,
    names: ColumnNames | None = None,
    notes: Notes | None = None,
    max_row_bytes: int = MAX_ROW_BYTES,
) -> list[Fields]:
    """The rows of a file with their fields; `notes` is told what was guessed or not used.

    Raises:
        UnreadableRecord: as `read_table`; a field or column of `names` that is not there; a row
            without a required field.
    """
    table = read_table(source, max_row_bytes=max_row_bytes)
    return bind_columns(table, shape, names=names or ColumnNames(), notes=notes or Notes())


def bind_columns(
    table: FileTable,
    shape: RowShape,
    *,
    names: ColumnNames,
    notes: Notes,
    also_used: Collection[str] = (),
    name_rest: bool = True,
) -> list[Fields]:
    """The rows of a table with their fields; see `read_rows`.

    Args:
        also_used: columns that serve something else.
        name_rest: name the columns that are not used; else `name_unused` is for the caller.
    """
    chosen = chosen_columns(table, shape, names)
    rows = list(_bound(table, shape, chosen, notes))
    used = {chosen.get(name, name) for name in shape.known} | set(also_used)
    if name_rest:
        name_unused(table, used, shape, notes, mapped=chosen)
    return rows


def each_row(
    table: FileTable, shape: RowShape, *, names: ColumnNames, notes: Notes, name_rest: bool = True
) -> Iterator[Fields]:
    """As `bind_columns`, a row at a time: none is kept, and the first that is at fault is named."""
    chosen = chosen_columns(table, shape, names)
    if name_rest:
        used = {chosen.get(name, name) for name in shape.known}
        name_unused(table, used, shape, notes, mapped=chosen)
    return _bound(table, shape, chosen, notes)


def _bound(
    table: FileTable, shape: RowShape, chosen: Mapping[str, str], notes: Notes
) -> Iterator[Fields]:
    for note in table.notes:
        notes.add(note)
    for record in table.records:
        row = Fields(table, record, chosen, notes)
        for wanted in shape.required:
            row.require(*((wanted,) if isinstance(wanted, str) else wanted))
        yield row


def number_text(value: float) -> str:
    """A number as text: 3 and 3.0 are one."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return repr(value)


def parse_number(text: str) -> float | None:
    """The finite number that a text is in plain or scientific notation; None: it is none."""
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


@dataclass(frozen=True, slots=True)
class Fields:
    """Typed access to the fields of one row; each method raises UnreadableRecord."""

    table: FileTable
    record: Record
    columns: Mapping[str, str] = field(default_factory=dict)
    notes: Notes = field(default_factory=Notes)

    def refuse(self, problem: str, *, hint: str = "Mend the row.") -> UnreadableRecord:
        """The error that names file, row and problem."""
        end = "" if problem.endswith("?") else "."
        where = f"{self.table.name}: row {self.record.row}"
        return UnreadableRecord(f"{where}: {problem}{end}", hint=hint)

    def raw(self, key: str) -> Any:
        """The value as the file has it; None where it is missing."""
        value = self.record.values.get(self.columns.get(key, key))
        return None if is_missing(value) else value

    def has(self, key: str) -> bool:
        """Whether the row has a column for the field, be it empty."""
        return self.columns.get(key, key) in self.record.values

    def require(self, *keys: str) -> None:
        """Raise unless the row has a column for one of the fields."""
        if any(self.has(key) for key in keys):
            return
        near = [(key, nearest(key, self.record.values)) for key in keys]
        guess = next(((key, column) for key, column in near if column), None)
        problem = f"no {' and no '.join(keys)}; it has {listed(self.record.values)}"
        if guess is None:
            raise self.refuse(problem, hint="Name the columns so, or map them: --map FIELD=COLUMN.")
        key, column = guess
        raise self.refuse(
            f"{problem}: did you mean {key} by {column!r}?",
            hint=f"Rename it, or say --map {key}={column}.",
        )

    def text(self, key: str) -> str | None:
        """A text, or None where it is missing; see the module for what is."""
        found = self.written(key)
        if found is None or is_missing(found):
            return None
        spelled = found.strip()
        if spelled.lower() in WRITTEN_BY_PROGRAMS:
            self.notes.missing[key, spelled] += 1
            return None
        if spelled in WORDS_FOR_NOTHING:
            self.notes.kept[key, spelled] += 1
        return found

    def written(self, key: str) -> str | None:
        """Words as they are, be they empty; numbers, true and false as JSON has them."""
        value = self.record.values.get(self.columns.get(key, key))
        match value:
            case None | str():
                return value
            case bool():
                return "true" if value else "false"
            case float() if not math.isfinite(value):
                if math.isnan(value):
                    self.notes.missing[key, "NaN"] += 1
                    return None
                raise self.refuse(f"{key!r} is {value!r}, not a finite number")
            case int() | float():
                return number_text(value)
            case _:
                raise self.refuse(f"{key!r} is not text")

    def name(self, key: str) -> str | None:
        """An identity: a text or number without white space around it; None where missing."""
        found = self._unguarded(key)
        if found is not None and found.lower() in WRITTEN_BY_PROGRAMS:
            self.notes.missing[key, found] += 1
            return None
        return found

    def need_name(self, key: str) -> str:
        """As name, and it must be there."""
        value = self.name(key)
        if value is None:
            raise self.refuse(f"{key!r} is empty")
        return value

    def code(self, key: str, *, named: Collection[str] = ()) -> str | None:
        """A coded value, such as a group or a rating; missing in every spelling but `named`."""
        found = self._unguarded(key)
        if found is None or found in named:
            return found
        if found.lower() in WRITTEN_BY_PROGRAMS or found in WORDS_FOR_NOTHING:
            self.notes.missing[key, found] += 1
            return None
        return found

    def _unguarded(self, key: str) -> str | None:
        found = self.written(key)
        if found is None or is_missing(found):
            return None
        if self.table.spelled and found[0] == "'" and found[1:].startswith(FORMULA_SIGNS):
            found = found[1:]
        return found.strip()

    def number(self, key: str, *, truth: bool = False) -> float | None:
        """A finite number, or None where missing.

        Args:
            truth: take true for 1 and false for 0.
        """
        found = self.code(key)
        if found is None:
            return None
        if truth and found.lower() in TRUTH:
            return float(TRUTH[found.lower()])
        number = self.as_number(key, found)
        if number is None:
            raise self.refuse(f"{key!r} is {found[:60]!r}, not a finite number")
        return number

    def truth(self, key: str) -> bool:
        """Yes or no, as true and false or 1 and 0; no where missing."""
        found = self.code(key)
        if found is None:
            return False
        said = TRUTH.get(found.lower(), {"1": True, "0": False}.get(found))
        if said is None:
            raise self.refuse(f"{key!r} is {found[:60]!r}", hint="Write true or false.")
        return said

    def as_number(self, key: str, found: str) -> float | None:
        """The number that a text of this row is; None where it is none."""
        if self.table.decimal_comma and _DECIMAL_COMMA.fullmatch(found):
            self.notes.decimal_commas[key] += 1
            return float(found.replace(",", "."))
        return parse_number(found)

    def count(self, key: str) -> int | None:
        """A whole number from 0, or None."""
        number = self.number(key)
        if number is not None and (number < 0 or number != int(number)):
            raise self.refuse(f"{key!r} is not a count")
        return None if number is None else int(number)

    def decoded(self, key: str) -> Any:
        """A structured field; text that is JSON (as in CSV) is parsed."""
        value = self.raw(key)
        if value is None:
            self.written(key)  # counts what is not a number
            return None
        if isinstance(value, str) and value.strip()[:1] in ("[", "{"):
            try:
                return json.loads(value)
            except (ValueError, RecursionError):
                return value
        if isinstance(value, str) and value.strip().lower() in WRITTEN_BY_PROGRAMS:
            self.notes.missing[key, value.strip()] += 1
            return None
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts without the missing ones; a single one is a list of one."""
        value = self.decoded(key)
        if self.table.spelled and isinstance(value, str) and _LIKE_A_LIST.fullmatch(value):
            raise self.refuse(
                f"{key!r} looks like a list, and is not JSON",
                hint='Write ["a", "b"], with double quotes (Python: json.dumps).',
            )
        value = [] if value is None else value if isinstance(value, list) else [value]
        found = []
        for part in value:
            one = Fields(self.table, Record(self.record.row, {key: part}), {}, self.notes)
            if isinstance(part, list | dict):
                raise self.refuse(f"{key!r} is not a list of texts")
            found.append(one.text(key))
        return tuple(text for text in found if text is not None)

    def numbers(self, key: str) -> list[float]:
        """A list of finite numbers."""
        value = self.decoded(key)
        value = [] if value is None else value
        if not isinstance(value, list) or not all(_is_number(part) for part in value):
            raise self.refuse(f"{key!r} is not a list of finite numbers")
        return [float(part) for part in value]

    def mapping(self, key: str) -> dict[str, str]:
        """An object of texts, without those that are missing."""
        value = self.decoded(key)
        value = {} if value is None else value
        if not isinstance(value, dict):
            raise self.refuse(f"{key!r} is not an object", hint='Write {"task": "summary"}.')
        found = {}
        for name, part in value.items():
            if isinstance(part, list | dict):
                found[str(name)] = json.dumps(part, ensure_ascii=False)
                continue
            inner = Fields(self.table, Record(self.record.row, {name: part}), {}, self.notes)
            if (text := inner.text(name)) is not None:
                found[str(name)] = text
        return found


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def same_truth(columns: Sequence[Sequence[str]]) -> bool:
    """Whether all values of all columns are true or false, however they are written."""
    return all(value.strip().lower() in TRUTH for column in columns for value in column)
