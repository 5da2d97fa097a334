"""From the rows of a file to examples: which column is what, and what every example needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from backend.engines.base import Message
from backend.errors import InvalidInput, raised_as
from backend.schemas.turns import transcript
from backend.services.datasets.conversations import (
    check_conversation,
    prompt_text,
)
from backend.services.datasets.importing.layouts import (
    BECOMES,
    Layout,
    answer_texts,
    field_columns,
    layout_of,
    unfolded,
)
from backend.services.datasets.importing.origins import origin_in
from backend.services.datasets.importing.shapes import (
    ANSWERS,
    PROMPTS,
    TURNS,
    CannotCarry,
    PlainRow,
    RowValues,
    parse_row,
    renamed,
    turns_before,
    two_answers,
)
from backend.services.datasets.versions import ExampleRow
from evaluators.errors import EvaluatorError
from evaluators.files.fields import Fields, each_row
from evaluators.files.formats.folders import SPLITS
from evaluators.files.mapping import ColumnNames, Notes, RowShape, count_rows, name_unused, nearest
from evaluators.files.readers import FileTable

EXAMPLE = RowShape(
    (
        *("id", "input", "context", "reference", "references", "group", "slices", "split"),
        *("messages", "system", "history"),
    )
)
_OF_TURNS = frozenset({"messages", "system", "history"})
_QUESTIONS = frozenset({"instruction", "prompt", "question"})
BARE = "no reference"
ORIGIN = "origin"
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


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that is no example: its number in the file, why, and what to do about it."""

    row: int
    reason: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class TableReading:
    """What a table says: its examples, and the rows that are none.

    Attributes:
        name: the file as messages name it.
        layout: the layout that was recognised, by name.
        columns: every column -> what it becomes; None: it is not used.
        refused: rows that are no examples, in order; an import of any is refused.
    """

    name: str
    layout: str
    columns: Mapping[str, str | None]
    rows: Sequence[ExampleRow]
    refused: Sequence[RefusedRow] = ()


def rows_from_table(
    table: FileTable,
    column_map: ColumnMap,
    *,
    notes: Notes | None = None,
    split: str | None = None,
    need_reference: bool = True,
) -> list[ExampleRow]:
    """Turn rows into examples; all of them, or an error that names file, row and remedy.

    Arguments as `read_examples`.
    """
    reading = read_examples(
        table, column_map, notes=notes, split=split, need_reference=need_reference
    )
    if reading.refused:
        raise refusal(reading)
    return list(reading.rows)


def refusal(reading: TableReading) -> InvalidInput:
    """The error of a table of which rows are no examples: the first, what is worst before."""
    first = next((one for one in reading.refused if one.reason != BARE), reading.refused[0])
    where = f"{reading.name}: row {first.row}"
    if first.reason != BARE:
        return InvalidInput(f"{where}: {first.reason}", hint=first.hint)
    others = sum(one.reason == BARE for one in reading.refused) - 1
    near = nearest("reference", [column for column, field in reading.columns.items() if not field])
    return InvalidInput(
        f"{where}: {BARE}"
        + (f" (nor in {count_rows(others)} more)" if others else "")
        + (f": did you mean reference by {near!r}?" if near else "."),
        hint=first.hint,
    )


def read_examples(
    table: FileTable,
    column_map: ColumnMap,
    *,
    notes: Notes | None = None,
    split: str | None = None,
    need_reference: bool = True,
) -> TableReading:
    """The examples of a table, and the rows that are none.

    Rows of other tools (`backend.services.datasets.importing.layouts`) are read where no column is
    mapped to `input`: a question or a conversation with its answer, which is the reference.

    Args:
        notes: told what was guessed, what counts as missing and which columns are not used.
        split: the split of every row of this file; else the file's own split column, if any.
        need_reference: refuse rows without a reference.

    Raises:
        InvalidInput: a field or a column that is named is not there.
    """
    table = unfolded(table)
    plan = _plan(table, column_map, notes or Notes(), split)
    rows, refused = [], []
    names = ColumnNames(plan.columns)
    with raised_as(InvalidInput, EvaluatorError):
        bound = each_row(table, EXAMPLE, names=names, notes=plan.notes, name_rest=False)
    for fields in bound:
        number = fields.record.row
        try:
            row = _example(plan, fields)
        except CannotCarry as error:
            refused.append(RefusedRow(number, f"a row {error.message}.", error.hint))
        except (InvalidInput, EvaluatorError) as error:
            reason = error.message.removeprefix(f"{table.name}: row {number}: ")
            refused.append(RefusedRow(number, reason, error.hint))
        else:
            if row.references or not need_reference:
                rows.append(row)
            else:
                refused.append(RefusedRow(number, BARE, _hint_for_bare(plan)))
    becomes = _becomes(plan)
    _say_columns(plan, becomes)
    if not refused:
        _say_unread(rows, table, becomes, plan.notes)
    columns = {column: becomes.get(column) for column in table.columns}
    return TableReading(table.name, plan.layout.name, columns, rows, refused)


@dataclass(frozen=True, slots=True)
class _ColumnPlan:
    """How one table is read, and what is used of it so far.

    Attributes:
        columns: field -> column, of those whose column has another name.
        used: what was asked for by `shapes`.
        asked, answered: where prompts stand, and the references that no column of their own gives.
    """

    table: FileTable
    column_map: ColumnMap
    layout: Layout
    columns: Mapping[str, str]
    notes: Notes
    split: str | None
    used: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)


def _plan(table: FileTable, column_map: ColumnMap, notes: Notes, split: str | None) -> _ColumnPlan:
    if absent := [name for name in column_map.slice_columns if name not in table.columns]:
        raise InvalidInput(
            f"{table.name}: no column {absent[0]!r}; it has {', '.join(table.columns)}.",
            hint="Mend --slice.",
        )
    layout = layout_of(table.columns, column_map.columns)
    columns = field_columns(layout, table.columns, column_map.columns)
    return _ColumnPlan(table, column_map, layout, columns, notes, split)


def _example(plan: _ColumnPlan, fields: Fields) -> ExampleRow:
    values = renamed(fields.record.values, plan.column_map.columns)
    asked = RowValues(values, spelled=plan.table.spelled)
    references, context = plan.layout.references(fields), fields.text("context")
    prompt: Sequence[Message]
    if plan.layout.turns:
        plain = parse_row(asked)
        plan.asked.add(plain.asked_by)
        prompt, references = plain.prompt, _references(plan, plain, references)
    else:
        prompt = _question(plan, fields, asked)
    plan.used.update(asked.used)
    for extra in sorted(asked.unused):
        plan.notes.add(f"{plan.table.name}: not used: {extra}.")
    text, messages = _conversation(prompt, context, plan)
    split = fields.code("split")
    # By its own name, whichever field the column may be mapped to.
    own = Fields(fields.table, fields.record, {}, fields.notes)
    columns = plan.column_map.slice_columns
    picked = {name: value for name in columns if (value := own.text(name)) is not None}
    if (marked := origin_in(fields.record.values)) is not None:
        plan.used.add(ORIGIN)
    row = ExampleRow(
        external_id=fields.name("id") or f"{plan.column_map.id_prefix}-{fields.record.row}",
        input=text,
        messages=messages,
        context=context,
        references=references,
        group=fields.code("group"),
        slices=fields.mapping("slices") | picked,
        split=plan.split or (split and SPLITS.get(split.lower(), split)),
        origin=marked and marked[0],
        provenance=marked and marked[1],
    )
    _check_texts(row)
    return row


def _question(plan: _ColumnPlan, fields: Fields, asked: RowValues) -> Sequence[Message]:
    """What is asked in columns: the input, after the turns of `system` and `history`."""
    text = fields.text("input")
    if not text and not fields.text("context"):
        raise _no_prompt(fields)
    named = {"system", "history"} & {*plan.column_map.columns}
    before = turns_before(asked) if plan.layout.before or named else []
    return [*before, {"role": "user", "content": text or ""}]


def _references(plan: _ColumnPlan, plain: PlainRow, given: tuple[str, ...]) -> tuple[str, ...]:
    """The references: those of a column of their own, or the answer of the turns.

    Raises:
        InvalidInput: the turns end with an answer that the column does not have.
    """
    known = plain.answer if plain.label is not False else plain.correction
    if known is None or not known.strip():
        return given
    by = plain.answered_by if plain.correction is None else "correction"
    if given and by not in TURNS:
        plan.notes.add(f"{plan.table.name}: there is a reference, so that {by} is not used.")
        return given
    if given and known.strip() not in [one.strip() for one in given]:
        name = "references" if "references" in plan.table.columns else "reference"
        raise two_answers(by, plan.columns.get(name, name))
    plan.answered.add(by)
    return given or (known,)


def _hint_for_bare(plan: _ColumnPlan) -> str:
    if plan.layout.references is answer_texts:
        return "Leave out the questions that have no answer, or say --no-references."
    becomes = _becomes(plan)
    near = nearest("reference", [column for column in plan.table.columns if column not in becomes])
    return f"Name the column (--map reference={near or 'COLUMN'}), or say --no-references."


def _becomes(plan: _ColumnPlan) -> dict[str, str]:
    """Column -> what it becomes, of those that are used."""
    apart = _OF_TURNS | ({"input"} if plan.layout.turns else set())
    named = {plan.columns.get(name, name): name for name in EXAMPLE.known if name not in apart}
    found = {column: name for column, name in named.items() if column in plan.table.columns}
    for key in sorted(plan.used & {*BECOMES}):
        if key in (*ANSWERS, "correction") and key not in plan.answered:
            continue
        if key in PROMPTS and key not in {*plan.asked, "input"}:
            continue
        both = key in plan.answered & plan.asked
        words = f"{BECOMES[TURNS[0]]} and reference" if both else BECOMES[key]
        found.setdefault(plan.column_map.columns.get(key, key), words)
    if ORIGIN in plan.used:
        for column in (ORIGIN, "provenance"):
            if column in plan.table.columns:
                found.setdefault(column, "origin: synthetic")
    for column in plan.column_map.slice_columns:
        found[column] = f"{found[column]}, slice" if column in found else "slice"
    return found


def _say_columns(plan: _ColumnPlan, becomes: Mapping[str, str]) -> None:
    if plan.layout.marks:
        pairs = ", ".join(f"{column} -> {words}" for column, words in becomes.items())
        plan.notes.add(f"{plan.table.name}: read as {plan.layout.name}: {pairs}.")
    name_unused(plan.table, becomes, EXAMPLE, plan.notes, mapped=plan.columns)
    if "rejected" in plan.used and "rejected" in plan.table.columns:
        plan.notes.add("rejected answers are no part of an example: strop export dpo --in FILE.")


def _no_prompt(fields: Fields) -> InvalidInput:
    there = fields.table.columns
    found = [("messages", _turns_in(fields))]
    found += [(name, nearest(name, there)) for name in ("input", "context")]
    name, near = next(((n, c) for n, c in found if c and c != n), ("input", None))
    return InvalidInput(
        f"neither input nor context; it has {', '.join(there)}"
        + (f": did you mean {name} by {near!r}?" if near else "."),
        hint=f"Name the column: --map {name}={near or 'COLUMN'}.",
    )


def _turns_in(fields: Fields) -> str | None:
    """The column that holds turns, whatever it is called."""
    for column, value in fields.record.values.items():
        first = value[0] if isinstance(value, list) and value else None
        keys = {*first} if isinstance(first, dict) else set()
        if {"role", "content"} <= keys or {"from", "value"} <= keys:
            return column
    return None


def _conversation(
    turns: Sequence[Message], context: str | None, plan: _ColumnPlan
) -> tuple[str, tuple[Message, ...] | None]:
    """The one question of a row's turns, or its conversation as a text and as messages."""
    told = [t for t in turns if t["role"] != "system" or t["content"].strip()]
    if len(told) < len(turns):
        plan.notes.add("empty system messages are left out.")
    if (instruction := plan.column_map.instruction) and told:
        told[-1] = {**told[-1], "content": prompt_text(instruction, told[-1]["content"])}
    if len(told) != 1 or not context:  # a document alone may be all that is asked
        check_conversation(told)
    if len(told) == 1:
        return told[0]["content"], None
    return transcript(told), tuple(told)


def _check_texts(row: ExampleRow) -> None:
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


def _say_unread(
    rows: Sequence[ExampleRow], table: FileTable, used: Mapping[str, str], notes: Notes
) -> None:
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
    documents = [c for c in table.columns if used.get(c) == "input" and c not in _QUESTIONS]
    if unused:
        hint = f"did you mean context by {unused!r}, --map context={unused}?"
    elif documents:
        hint = (
            f"if {documents[0]!r} is the document that answers must be true to, say "
            f'--map context={documents[0]} --instruction "WHAT TO DO WITH IT".'
        )
    else:
        hint = "map the source document, if there is one: --map context=COLUMN."
    named = ", ".join(checks[:SHOWN]) + (" and others" if len(checks) > SHOWN else "")
    notes.add(f"{table.name}: no context, so that {named} will have nothing to read; {hint}")
