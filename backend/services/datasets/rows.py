"""From the rows of a file to examples: which column is what, and what every example needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from backend.engines.base import Message
from backend.errors import InvalidInput
from backend.schemas.turns import transcript
from backend.services.datasets.conversations import (
    check_conversation,
    prompt_text,
)
from backend.services.datasets.shapes import CannotCarry, PlainRow, RowValues, parse_row
from backend.services.datasets.versions import Row
from evaluators.errors import EvaluatorError
from evaluators.files.fields import Fields, bind_columns
from evaluators.files.mapping import ColumnNames, Notes, Shape, count_rows, name_unused, nearest
from evaluators.files.predictions import references_of
from evaluators.files.readers import Table

EXAMPLE = Shape(
    ("id", "input", "context", "reference", "references", "group", "slices", "split"),
)
_TURNS = ("messages", "conversations", "prompt", "chosen")
_ALPACA = {"input": "instruction", "context": "input", "reference": "output"}
SHOWN = 5


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
        if unknown := sorted(set(self.columns) - set(EXAMPLE.known)):
            near = nearest(unknown[0], EXAMPLE.known)
            raise InvalidInput(
                f"An example has no field {unknown[0]!r}"
                + (f": did you mean {near}?" if near else "."),
                hint=f"Fields are {', '.join(EXAMPLE.known)}.",
            )


def rows_from_table(
    table: Table,
    column_map: ColumnMap,
    *,
    notes: Notes | None = None,
    split: str | None = None,
    need_reference: bool = True,
) -> list[Row]:
    """Turn rows into examples; all of them, or an error that names file, row and remedy.

    Rows of other tools (`backend.services.datasets.shapes`) are read where no column is named
    `input` or mapped to it: a question with its answer, which is the reference.

    Args:
        notes: told what was guessed, what counts as missing and which columns are not used.
        split: the split of every row of this file; else the file's own split column, if any.
        need_reference: refuse rows without a reference.
    """
    told = notes or Notes()
    try:
        rows, used = _read(table, column_map, told, split)
    except EvaluatorError as error:
        raise InvalidInput(error.message, hint=error.hint) from None
    lacking = [record.row for record, row in zip(table.records, rows, strict=True) if _bare(row)]
    if need_reference and lacking:
        others = f" (nor in {count_rows(len(lacking) - 1)} more)" if len(lacking) > 1 else ""
        free = [column for column in table.columns if column not in used]
        near = nearest("reference", free)
        raise InvalidInput(
            f"{table.name}: row {lacking[0]}: no reference{others}"
            + (f": did you mean reference by {near!r}?" if near else "."),
            hint=f"Name the column (--map reference={near or 'COLUMN'}), or say --no-references.",
        )
    _say_unread(rows, table, used, told)
    return rows


def _bare(row: Row) -> bool:
    return not row.references


def _read(
    table: Table, column_map: ColumnMap, notes: Notes, split: str | None
) -> tuple[list[Row], dict[str, str]]:
    """The examples, and the columns that were used -> the field that each is."""
    columns, in_turns = _columns(table, column_map, notes)
    names = ColumnNames(columns)
    fields = bind_columns(table, EXAMPLE, names=names, notes=notes, name_rest=False)
    if absent := [name for name in column_map.slice_columns if name not in table.columns]:
        raise InvalidInput(
            f"{table.name}: no column {absent[0]!r}; it has {', '.join(table.columns)}.",
            hint="Mend --slice.",
        )
    used = {columns.get(name, name) for name in EXAMPLE.known} | {*column_map.slice_columns}
    rows = []
    for one in fields:
        try:
            asked = RowValues(one.record.values, spelled=table.spelled)
            turns = parse_row(asked) if in_turns else None
            used |= asked.used
            rows.append(_row(one, column_map, split, turns))
        except InvalidInput as error:
            what = f"a row {error.message}." if isinstance(error, CannotCarry) else error.message
            message = f"{table.name}: row {one.record.row}: {what}"
            raise InvalidInput(message, hint=error.hint) from None
    name_unused(table, used, EXAMPLE, notes, mapped=columns)
    fields_of = {columns.get(name, name): name for name in EXAMPLE.known}
    return rows, {column: fields_of.get(column, column) for column in used}


def _columns(table: Table, column_map: ColumnMap, notes: Notes) -> tuple[dict[str, str], bool]:
    """Which column is which field, and whether the rows are turns of another tool."""
    columns, there = dict(column_map.columns), set(table.columns)
    if {"input", "context"} & {*columns}:
        return columns, False
    if "instruction" in there:
        for name, column in _ALPACA.items():
            if column in there and name not in columns and (name == "input" or name not in there):
                columns[name] = column
        pairs = ", ".join(f"{name}={columns[name]}" for name in _ALPACA if name in columns)
        notes.add(f"{table.name}: read as Alpaca rows: {pairs}.")
        return columns, False
    return columns, not {"input", "context"} & there and bool(there & {*_TURNS})


def _row(fields: Fields, column_map: ColumnMap, split: str | None, turns: PlainRow | None) -> Row:
    asked, context = fields.text("input"), fields.text("context")
    references, messages = references_of(fields), None
    text = prompt_text(column_map.instruction or "", asked)
    if turns is not None:
        text, messages = _asked(turns.prompt, column_map.instruction, fields.notes)
        known = turns.answer if turns.label is not False else turns.correction
        references = references or ((known,) if known and known.strip() else ())
    elif not asked and not context:
        raise _no_prompt(fields)
    given = fields.name("id")
    row = Row(
        external_id=given or f"{column_map.id_prefix}-{fields.record.row}",
        input=text,
        messages=messages,
        context=context,
        references=references,
        group=fields.code("group"),
        slices=_slices(fields, column_map.slice_columns),
        split=split or fields.code("split"),
    )
    _check_texts(row)
    return row


def _no_prompt(fields: Fields) -> InvalidInput:
    there = fields.table.columns
    found = [(name, nearest(name, there)) for name in ("input", "context")]
    name, near = next(((n, c) for n, c in found if c and c != n), ("input", None))
    return InvalidInput(
        f"neither input nor context; it has {', '.join(there)}"
        + (f": did you mean {name} by {near!r}?" if near else "."),
        hint=f"Name the column: --map {name}={near or 'COLUMN'}.",
    )


def _asked(
    turns: Sequence[Message], instruction: str | None, notes: Notes
) -> tuple[str, tuple[Message, ...] | None]:
    """The one question of a row's turns, or its conversation as a text and as messages."""
    told = [t for t in turns if t["role"] != "system" or t["content"].strip()]
    if len(told) < len(turns):
        notes.add("empty system messages are left out.")
    if instruction and told:
        told[-1] = {**told[-1], "content": prompt_text(instruction, told[-1]["content"])}
    check_conversation(told)
    if len(told) == 1:
        return told[0]["content"], None
    return transcript(told), tuple(told)


def _slices(fields: Fields, slice_columns: Sequence[str]) -> dict[str, str]:
    picked = {column: _slice(fields, column) for column in slice_columns}
    return {
        **fields.mapping("slices"),
        **{column: value for column, value in picked.items() if value is not None},
    }


def _slice(fields: Fields, column: str) -> str | None:
    # By its own name, whichever field the column may be mapped to.
    return Fields(fields.table, fields.record, {}, fields.notes).text(column)


def _check_texts(row: Row) -> None:
    """PostgreSQL cannot store NUL; lone surrogates are not text in any encoding."""
    texts = (row.external_id, row.input, row.context, row.group, row.split, *row.references)
    names = ("id", "input", "context", "group", "split", *("reference" for _ in row.references))
    sliced = [("slices", text) for pair in row.slices.items() for text in pair]
    for name, text in [*zip(names, texts, strict=True), *sliced]:
        if text and ("\x00" in text or any("\ud800" <= char <= "\udfff" for char in text)):
            raise InvalidInput(
                f"{name} holds a character that is not text (NUL or a lone surrogate).",
                hint="Remove it from the file.",
            )


def _say_unread(rows: Sequence[Row], table: Table, used: Mapping[str, str], notes: Notes) -> None:
    """Say which checks will have nothing to read, and which mapping gives it to them."""
    from evaluators.registry import METRICS

    lacking = sum(row.context is None for row in rows)
    if not lacking:
        return
    if lacking < len(rows):
        notes.add(f"{table.name}: {lacking} of {len(rows)} examples have no context.")
        return
    checks = [name for name, metric in METRICS.items() if "context" in metric.needs]
    unused = nearest("context", [column for column in table.columns if column not in used])
    source = next((c for c in table.columns if used.get(c) == "input" and c != "instruction"), None)
    if unused:
        hint = f"did you mean context by {unused!r}, --map context={unused}?"
    elif source:
        hint = (
            f"if {source!r} is the document that answers must be true to, say "
            f'--map context={source} --instruction "WHAT TO DO WITH IT".'
        )
    else:
        hint = "map the source document, if there is one: --map context=COLUMN."
    named = ", ".join(checks[:SHOWN]) + (" and others" if len(checks) > SHOWN else "")
    notes.add(f"{table.name}: no context, so that {named} will have nothing to read; {hint}")
