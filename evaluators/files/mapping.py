"""Which column is which field, and what is said of the columns and values of a file.

`--map FIELD=COLUMN` names columns; one that nearly fits is suggested, and those that serve nothing
are named once.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from evaluators.errors import UnreadableRecord
from evaluators.files.readers import FileTable

_OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "id": ("item", "item_id", "example", "example_id", "key", "index", "uid"),
    "item": ("id", "item_id", "task_id", "record_id", "example", "example_id"),
    "rater": (
        "rater_id",
        "annotator",
        "annotator_id",
        "reviewer",
        "user",
        "worker",
        "judge",
        "labeler",
    ),
    "output": ("response", "answer", "reply", "target", "generated", "model_output"),
    "value": ("rating", "score", "label", "answer", "vote"),
    "winner": ("preference", "vote", "choice", "label"),
    "prediction": ("output", "response", "answer", "completion", "generated", "model_output"),
    "reference": ("target", "gold", "label", "expected", "ground_truth", "answer", "output"),
    "context": ("document", "source", "passage", "article", "dialogue"),
    "input": ("prompt", "question", "text", "query", "instruction"),
}


@dataclass(slots=True)
class Notes:
    """What a reader took upon itself; filled while rows are read, and said once."""

    said: list[str] = field(default_factory=list)
    missing: Counter[tuple[str, str]] = field(default_factory=Counter)
    kept: Counter[tuple[str, str]] = field(default_factory=Counter)
    decimal_commas: Counter[str] = field(default_factory=Counter)

    def add(self, sentence: str) -> None:
        """Say a sentence, once."""
        if sentence not in self.said:
            self.said.append(sentence)

    def sentences(self) -> list[str]:
        """All of it, one sentence each."""
        missing = [f"{key}: {text!r} in {count_rows(n)}" for (key, text), n in self.missing.items()]
        kept = [f"{key}: {text!r} in {count_rows(n)}" for (key, text), n in self.kept.items()]
        commas = [f"{key} in {count_rows(n)}" for key, n in self.decimal_commas.items()]
        return [
            *self.said,
            *([f"taken as missing: {'; '.join(missing)}."] if missing else []),
            *([f"kept as text, though it may mean missing: {'; '.join(kept)}."] if kept else []),
            *([f"decimal commas read as points: {'; '.join(commas)}."] if commas else []),
        ]


def count_rows(count: int) -> str:
    """So many rows, as a sentence has it."""
    return counted(count, "row")


def counted(count: int, noun: str) -> str:
    """A number and its noun, in the plural but for one."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """Which column holds a field, where it is not the one of the field's own name.

    Attributes:
        several: there are several files, and a column need be in one of them alone.
        fields, met: fields and columns of the files read so far.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    several: bool = False
    fields: dict[str, None] = field(default_factory=dict, compare=False)
    met: set[str] = field(default_factory=set, compare=False)

    def check_met(self) -> None:
        """Raise UnreadableRecord for a field or a column that none of the files has."""
        for name, column in self.columns.items():
            if name not in self.fields:
                raise _no_field(name, self.fields)
            if column not in self.met:
                raise UnreadableRecord(
                    f"No file has a column {column!r}.", hint=f"Mend --map {name}."
                )


def column_pairs(maps: Iterable[str]) -> dict[str, str]:
    """FIELD=COLUMN of each, as `--map` takes it."""
    pairs: dict[str, str] = {}
    for text in maps:
        name, equals, column = text.partition("=")
        if not (equals and name.strip() and column):
            raise UnreadableRecord(f"--map {text!r} is not FIELD=COLUMN.", hint="Try input=text.")
        if name.strip() in pairs:
            raise UnreadableRecord(f"--map names {name.strip()!r} twice.", hint="Name it once.")
        pairs[name.strip()] = column
    return pairs


@dataclass(frozen=True, slots=True)
class RowShape:
    """The fields that a kind of row has; each of `required` must be in every row.

    An entry of `required` may offer several fields, of which one is enough. Those of `guessed` are
    looked for under other words among columns that are not used.
    """

    known: tuple[str, ...]
    required: tuple[str | tuple[str, ...], ...] = ()
    guessed: tuple[str, ...] = ()


def _no_field(name: str, known: Collection[str]) -> UnreadableRecord:
    near = nearest(name, known)
    return UnreadableRecord(
        f"A row has no field {name!r}" + (f": did you mean {near}?" if near else "."),
        hint=f"Fields are {', '.join(known)}.",
    )


def chosen_columns(table: FileTable, shape: RowShape, names: ColumnNames) -> dict[str, str]:
    """Field -> column for what is mapped.

    Raises:
        UnreadableRecord: a field that the rows do not have, or a column that the file has not.
    """
    found: dict[str, str] = {}
    names.fields.update(dict.fromkeys(shape.known))
    for name, column in names.columns.items():
        if name not in shape.known:
            if not names.several:
                raise _no_field(name, shape.known)
        elif column in table.columns:
            names.met.add(column)
            found[name] = column
        elif not names.several:
            near = nearest(column, table.columns)
            raise UnreadableRecord(
                f"{table.name}: no column {column!r}; it has {listed(table.columns)}"
                + (f": did you mean {near}?" if near else "."),
                hint=f"Mend --map {name}.",
            )
    return found


def name_unused(
    table: FileTable,
    used: Collection[str],
    shape: RowShape,
    notes: Notes,
    *,
    mapped: Collection[str] = (),
) -> None:
    """Name the columns that serve nothing, and the fields that they may be meant for.

    Args:
        mapped: fields that have a column of another name.
    """
    unused = [column for column in table.columns if column not in used]
    if not unused:
        return
    guesses: list[str] = []
    meant: set[str] = set()
    for name in shape.known:
        strict = name not in shape.guessed
        if name in table.columns or name in mapped:
            continue
        if (column := nearest(name, unused, strict=strict)) and column not in meant:
            meant.add(column)
            guesses.append(f"did you mean {name} by {column!r}, --map {name}={column}?")
    end = "; " + " ".join(guesses) if guesses else "."
    notes.add(f"{table.name}: not used: {', '.join(unused)}{end}")


def listed(columns: Iterable[str]) -> str:
    """Columns as a message names them."""
    return ", ".join(columns) or "nothing"


def nearest(name: str, others: Iterable[str], *, strict: bool = False) -> str | None:
    """The one that nearly is `name`: by case, by spelling or, unless strict, by another word."""
    folded = {other.strip().lower().replace(" ", "_").replace("-", "_"): other for other in others}
    wanted = name.strip().lower()
    if wanted in folded:
        return folded[wanted]
    if close := difflib.get_close_matches(wanted, folded, n=1, cutoff=0.8):
        return folded[close[0]]
    if strict:
        return None
    return next((folded[word] for word in _OTHER_NAMES.get(wanted, ()) if word in folded), None)
