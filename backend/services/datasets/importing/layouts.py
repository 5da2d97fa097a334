"""How files of other tools lay out their columns: by which a file is known, and what each becomes.

A layout of turns is read by `backend.services.datasets.importing.shapes`; the columns of the others
are fields under other names. What is in no layout is a plain row with the fields' own names.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from backend.services.datasets.importing.shapes import ANSWERS, TURNS
from evaluators.files.fields import Fields
from evaluators.files.predictions import references_of
from evaluators.files.readers import FileTable


@dataclass(frozen=True, slots=True)
class Layout:
    """A way to lay out a prompt and its answers in columns.

    Attributes:
        marks: the columns by which a file is known, all of them.
        fields: field -> columns that hold it, where none has the field's name; the first that is
            there.
        turns: prompt and answer are read from turns; else from `fields`.
        before: `system` and `history` are turns before the question.
        yields: a file that has a column `input` is no such file.
        references: the references of a row.
    """

    name: str
    marks: frozenset[str] = frozenset()
    fields: Mapping[str, Sequence[str]] = field(default_factory=dict)
    turns: bool = False
    before: bool = False
    yields: bool = False
    references: Callable[[Fields], tuple[str, ...]] = references_of


def answer_texts(fields: Fields) -> tuple[str, ...]:
    """The distinct texts of SQuAD's `answers`: {"text": [...]}, or [{"text": ...}, ...]."""
    value = fields.decoded("references")
    if isinstance(value, dict):
        value = value.get("text")
    elif isinstance(value, list):
        value = [one.get("text") if isinstance(one, dict) else one for one in value]
    value = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise fields.refuse(
            "'answers' holds no texts", hint='Write {"text": ["..."], "answer_start": [0]}.'
        )
    return tuple(dict.fromkeys(text for text in value if text.strip()))


def unfolded(table: FileTable) -> FileTable:
    """The questions of a file of SQuAD as it is published: articles of paragraphs, in one object.

    Any other table is returned as it is.
    """
    if "data" not in table.columns or len(table.records) != 1:
        return table
    try:
        rows = [
            {"id": asked.get("id"), "title": of.get("title"), "context": part["context"], **asked}
            for of in table.records[0].values["data"]
            for part in of["paragraphs"]
            for asked in part["qas"]
        ]
    except (TypeError, KeyError, AttributeError):  # some other object with data in it
        return table
    return FileTable.of_rows(table.name, rows) if rows else table


_OF_TURNS = {"context": ("document",)}
PLAIN = Layout("plain rows")
LAYOUTS = (
    Layout("preferences", frozenset({"chosen", "rejected"}), _OF_TURNS, turns=True),
    Layout(
        "Alpaca rows",
        frozenset({"instruction"}),
        {"input": ("instruction",), "context": ("input",), "reference": ("output",)},
        before=True,
    ),
    Layout("OpenAI chat", frozenset({"messages"}), _OF_TURNS, turns=True),
    Layout("ShareGPT", frozenset({"conversations"}), _OF_TURNS, turns=True),
    Layout(
        "SQuAD",
        frozenset({"question", "answers"}),
        {"input": ("question",), "references": ("answers",), "group": ("title",)},
        yields=True,
        references=answer_texts,
    ),
    Layout("preferences", frozenset({"chosen"}), _OF_TURNS, turns=True, yields=True),
    Layout("prompts and answers", frozenset({"prompt"}), _OF_TURNS, turns=True, yields=True),
)
BECOMES = {
    **dict.fromkeys(TURNS, "messages"),
    **dict.fromkeys(ANSWERS, "reference"),
    "prompt": "input",
    "input": "input",
    "instruction": "input",
    "system": "messages (system)",
    "history": "messages (before the question)",
    "correction": "reference",
    "label": "whether the answer is a reference",
}
"""What a column of turns, or of what stands beside them, is for an example."""


def layout_of(columns: Collection[str], mapped: Mapping[str, str]) -> Layout:
    """The layout of a file; whoever maps a column to `input` says that the rows are plain."""
    if "input" in mapped:
        return PLAIN
    there = {*columns} - {*mapped.values()} | {*mapped}
    for layout in LAYOUTS:
        if layout.marks <= there and not (layout.yields and "input" in there):
            return layout
    return PLAIN


def field_columns(
    layout: Layout, columns: Collection[str], mapped: Mapping[str, str]
) -> dict[str, str]:
    """Field -> column: what is mapped, and what the layout has under another name."""
    found = dict(mapped)
    for name, others in layout.fields.items():
        if name in mapped or (name != "input" and name in columns):
            continue
        column = next((one for one in others if one in columns), None)
        if column is not None and column not in mapped.values():
            found[name] = column
    return found
