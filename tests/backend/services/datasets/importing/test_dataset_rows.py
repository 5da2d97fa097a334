"""From rows of files to examples: what is missing, what is JSON, and what is said of the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from backend.errors import InvalidInput
from backend.services.datasets.importing.rows import ColumnMap, rows_from_table
from backend.services.datasets.splits import assign_splits
from backend.services.datasets.versions import ExampleRow
from evaluators.files.mapping import Notes
from evaluators.files.readers import FileTable

NAN = float("nan")
ASK = [{"role": "user", "content": "Ask"}]
YES = [{"role": "assistant", "content": "Yes"}]
NO = [{"role": "assistant", "content": "No"}]
SYSTEM = [{"role": "system", "content": "Be brief"}]
EMPTY_SYSTEM = [{"role": "system", "content": " "}]
EMPTY = [{"role": "assistant", "content": ""}]
EXAMPLE = ExampleRow("row-1", "Ask", references=("Yes",))


def talk(*turns: dict[str, str]) -> ExampleRow:
    text = "\n\n".join(f"{turn['role'].capitalize()}: {turn['content']}" for turn in turns)
    return ExampleRow("row-1", text, references=("Yes",), messages=turns)


def read(
    *rows: dict[str, Any], notes: Notes | None = None, spelled: bool = False, **given: Any
) -> list[ExampleRow]:
    table = FileTable.of_rows("a.jsonl", rows)
    table = FileTable(table.name, table.records, table.columns, spelled=spelled)
    need = given.pop("need_reference", True)
    return rows_from_table(table, ColumnMap(**given), notes=notes, need_reference=need)


@pytest.mark.parametrize("missing", [NAN, None, "", " ", "nan", "NaN", "#N/A", "NaT"])
def test_that_missing_values_are_no_values(missing: Any) -> None:
    notes = Notes()
    values = {"group": missing, "context": missing, "slices": {"task": missing, "n": 3}}
    rows = [{"id": i, "input": f"text {i}", "reference": missing, **values} for i in range(40)]
    found = read(*rows, need_reference=False, notes=notes)
    assert {(row.references, row.group, row.context) for row in found} == {((), None, None)}
    assert {tuple(row.slices.items()) for row in found} == {(("n", "3"),)}
    splits = assign_splits([(row.group, row.content_digest) for row in found], seed=7)
    assert [splits.count(name) for name in ("train", "validation", "test")] == [32, 4, 4]
    assert ("in 40 rows" in str(notes.sentences())) == (missing not in (None, "", " "))


def test_that_rows_without_a_reference_are_counted() -> None:
    rows = [{"input": "a", "reference": NAN}, {"input": "b", "reference": "x"}, {"input": "c"}]
    with pytest.raises(InvalidInput, match=r"row 1: no reference \(nor in 1 row more\)"):
        read(*rows)


@pytest.mark.parametrize("word", ["NA", "None", "null", "N/A"])
def test_that_an_answer_may_be_a_word_for_nothing(word: str) -> None:
    notes = Notes()
    [row] = read({"input": "a", "reference": word, "group": word}, notes=notes)
    assert (row.references, row.group) == ((word,), None)
    said = notes.sentences()
    assert any(f"reference: {word!r} in 1 row" in one for one in said if "kept" in one)
    assert any(f"group: {word!r} in 1 row" in one for one in said if "missing" in one)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"references": '["a", "b"]'}, (("a", "b"), {})),
        ({"reference": "a", "references": '["a", "b"]'}, (("a", "b"), {})),
        ({"reference": '["a"]'}, (('["a"]',), {})),
        ({"reference": "a", "slices": '{"task": "x"}'}, (("a",), {"task": "x"})),
        ({"reference": ["a", "b"]}, (("a", "b"), {})),
        ({"reference": True}, (("true",), {})),
        ({"reference": 3.0}, (("3",), {})),
    ],
)
def test_that_cells_hold_lists_and_objects_as_json(values: Any, expected: Any) -> None:
    [row] = read({"input": "x", **values}, spelled=True)
    assert (row.references, dict(row.slices)) == expected


@pytest.mark.parametrize(
    ("values", "expected", "unused"),
    [
        ({"instruction": "Ask", "input": "", "output": "Yes"}, EXAMPLE, None),
        (
            {"instruction": "Ask", "input": "Doc", "output": "Yes", "system": "Be brief"},
            replace(talk(*SYSTEM, *ASK), context="Doc"),
            None,
        ),
        ({"messages": ASK + YES, "source": "x"}, EXAMPLE, "source"),
        ({"messages": SYSTEM + ASK + YES}, talk(*SYSTEM, *ASK), None),
        ({"messages": ASK + YES + ASK + YES}, talk(*ASK, *YES, *ASK), None),
        ({"messages": ASK + YES + ASK, "completion": "Yes"}, talk(*ASK, *YES, *ASK), None),
        ({"messages": EMPTY_SYSTEM + ASK + YES}, EXAMPLE, None),
        (
            {"conversations": [{"from": "human", "value": "Ask"}, {"from": "gpt", "value": "Yes"}]},
            EXAMPLE,
            None,
        ),
        ({"prompt": "Ask", "completion": "Yes"}, EXAMPLE, None),
        ({"prompt": "Ask", "reference": "Yes"}, EXAMPLE, None),
        ({"chosen": ASK + YES, "rejected": ASK + NO, "score": 3}, EXAMPLE, "score"),
    ],
)
def test_that_rows_of_other_tools_are_read(
    values: Any, expected: ExampleRow, unused: str | None
) -> None:
    notes = Notes()
    assert read(values, notes=notes) == [expected]
    said = [one for one in notes.sentences() if "not used" in one]
    assert [unused in one for one in said if unused] == ([True] if unused else [])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"messages": ASK + SYSTEM + ASK + YES}, "whose system message is not the first"),
        ({"messages": ASK + EMPTY + ASK + YES}, "whose turn 2 is empty"),
        ({"messages": SYSTEM + YES}, "messages hold no question of the user"),
        ({"messages": ASK + YES, "tools": [{}]}, "a row with tools"),
        ({"prompt": ASK, "completion": NO, "label": False}, "no reference"),
        ({"question": "x", "target": "y"}, "did you mean input by 'question'"),
        ({"input": "x", "target": "y"}, "did you mean reference by 'target'"),
        ({"input": "x\x00", "reference": "y"}, "NUL"),
        ({"input": "x", "reference": "y", "slices": {"a": "\ud800"}}, "slices holds"),
    ],
)
def test_that_what_is_no_example_is_refused_by_its_name(values: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        read(values)
    assert "a.jsonl: row 1: " in str(caught.value)


@pytest.mark.parametrize(
    ("values", "columns", "said"),
    [
        ({"dialogue": "talk", "reference": "y"}, {"input": "dialogue"}, "--map context=dialogue"),
        ({"input": "ask", "reference": "y", "document": "d"}, {}, "--map context=document?"),
        ({"messages": ASK + YES}, {}, "--map context=COLUMN"),
        ({"input": "ask", "reference": "y", "context": "c"}, {}, None),
    ],
)
def test_that_import_says_which_checks_will_have_nothing_to_read(
    values: Any, columns: dict[str, str], said: str | None
) -> None:
    notes = Notes()
    read(values, columns=columns, notes=notes)
    told = [one for one in notes.sentences() if "grounding" in one]
    assert [said in one for one in told if said] == ([True] if said else [])
    if said is None:
        assert not told


def test_that_a_slice_column_is_there_and_empty_cells_are_no_slice() -> None:
    rows = [{"input": "a", "reference": "x", "part": "p"}, {"input": "b", "reference": "y"}]
    found = read(*rows, slice_columns=["part"])
    assert [dict(row.slices) for row in found] == [{"part": "p"}, {}]
    with pytest.raises(InvalidInput, match="no column 'prat'"):
        read(*rows, slice_columns=["prat"])
