"""Rows of plain files: which shapes are read, what each kind takes from them, what is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.errors import InvalidInput
from backend.services.curation.formats import TrainingRow
from backend.services.exchange.plain_rows import LeftOut, read_plain_rows
from evaluators.files.mapping import ColumnNames, Notes

ASK = [{"role": "user", "content": "Ask"}]
YES = [{"role": "assistant", "content": "Yes"}]
NO = [{"role": "assistant", "content": "No"}]
BRIEF = {"role": "system", "content": "Be brief"}
HELLO = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
PARTS = [{"type": "text", "text": "A"}, {"type": "text", "text": "sk"}]
HH = "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Ask\n\nAssistant:"
HH_PAIR = TrainingRow("dpo", [*HELLO, *ASK], "Yes", rejected="No")
IMAGE = [{"type": "image_url", "image_url": {"url": "x"}}]
CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
PAIR = TrainingRow("dpo", ASK, "Yes", rejected="No")


def read(folder: Path, kind: str, *rows: dict[str, Any]) -> tuple[list[TrainingRow], LeftOut]:
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    left_out = LeftOut()
    return list(read_plain_rows(file, kind, left_out)), left_out


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("sft", {"input": "Ask", "output": "Yes"}, TrainingRow("sft", ASK, "Yes")),
        (
            "sft",
            {"input": "Ask", "context": "Doc", "output": "No", "correction": "Yes"},
            TrainingRow("sft", [{"role": "user", "content": "Ask\n\nDoc"}], "Yes"),
        ),
        ("sft", {"prompt": "Ask", "completion": "Yes"}, TrainingRow("sft", ASK, "Yes")),
        ("sft", {"prompt": ASK, "completion": YES}, TrainingRow("sft", ASK, "Yes")),
        ("sft", {"prompt": ASK, "chosen": YES, "rejected": NO}, TrainingRow("sft", ASK, "Yes")),
        ("sft", {"messages": ASK + YES}, TrainingRow("sft", ASK, "Yes")),
        (
            "dpo",
            {"input": "Ask", "output": "No", "correction": "Yes"},
            TrainingRow("dpo", ASK, "Yes", rejected="No"),
        ),
        (
            "dpo",
            {"input": "Ask", "output": "Yes", "rejected": "No"},
            TrainingRow("dpo", ASK, "Yes", rejected="No"),
        ),
        (
            "dpo",
            {"prompt": ASK, "chosen": YES, "rejected": NO},
            TrainingRow("dpo", ASK, "Yes", rejected="No"),
        ),
        (
            "kto",
            {"input": "Ask", "output": "No", "label": False},
            TrainingRow("kto", ASK, "No", label=False),
        ),
        (
            "kto",
            {"prompt": ASK, "completion": YES, "label": True},
            TrainingRow("kto", ASK, "Yes", label=True),
        ),
        ("sft", {"input": "Ask", "output": True}, TrainingRow("sft", ASK, "true")),
        ("sft", {"input": "Ask", "output": 3.0}, TrainingRow("sft", ASK, "3")),
        (
            "sft",
            {"input": "Ask", "output": "Yes", "correction": None, "label": True},
            TrainingRow("sft", ASK, "Yes"),
        ),
        ("sft", {"instruction": "Ask", "output": "Yes"}, TrainingRow("sft", ASK, "Yes")),
        (
            "sft",
            {"instruction": "Ask", "input": float("nan"), "output": "Yes", "history": []},
            TrainingRow("sft", ASK, "Yes"),
        ),
        (
            "sft",
            {"instruction": "Ask", "input": "Doc", "output": "Yes", "system": "Be brief"},
            TrainingRow("sft", [BRIEF, {"role": "user", "content": "Ask\n\nDoc"}], "Yes"),
        ),
        (
            "sft",
            {"instruction": "Ask", "output": "Yes", "history": [["Hi", "Hello"]]},
            TrainingRow("sft", [*HELLO, *ASK], "Yes"),
        ),
        (
            "dpo",
            {"instruction": "Ask", "input": "", "chosen": "Yes", "rejected": "No"},
            TrainingRow("dpo", ASK, "Yes", rejected="No"),
        ),
        (
            "sft",
            {"conversations": [{"from": "human", "value": "Ask"}, {"from": "gpt", "value": "Yes"}]},
            TrainingRow("sft", ASK, "Yes"),
        ),
        (
            "dpo",
            {
                "conversations": [{"from": "human", "value": "Ask"}],
                "chosen": {"from": "gpt", "value": "Yes"},
                "rejected": {"from": "gpt", "value": "No"},
            },
            TrainingRow("dpo", ASK, "Yes", rejected="No"),
        ),
        ("dpo", {"chosen": ASK + YES, "rejected": ASK + NO}, PAIR),
        ("dpo", {"chosen": HH + " Yes", "rejected": HH + " No"}, HH_PAIR),
        (
            "dpo",
            {"prompt": "Ask", "chosen": ASK + YES, "rejected": ASK + NO, "messages": ASK + YES},
            PAIR,
        ),
        ("sft", {"chosen": ASK + YES, "rejected": ASK + NO}, TrainingRow("sft", ASK, "Yes")),
        (
            "dpo",
            {"chosen": [BRIEF, *HELLO, *ASK, *YES], "rejected": [BRIEF, *HELLO, *ASK, *NO]},
            TrainingRow("dpo", [BRIEF, *HELLO, *ASK], "Yes", rejected="No"),
        ),
        (
            "dpo",
            {"system": "Be brief", "prompt": "Ask", "chosen": "Yes", "rejected": "No"},
            TrainingRow("dpo", [BRIEF, *ASK], "Yes", rejected="No"),
        ),
        (
            "sft",
            {"messages": [{"role": "user", "content": PARTS}, *YES], "tools": []},
            TrainingRow("sft", ASK, "Yes"),
        ),
        (
            "sft",
            {"messages": ASK + YES, "context": "Doc", "tools": "[]"},
            TrainingRow("sft", [{"role": "user", "content": "Ask\n\nDoc"}], "Yes"),
        ),
        (
            "sft",
            {"prompt": ASK, "completion": YES, "weight": 0.5, "order": 3, "provenance": '{"a": 1}'},
            TrainingRow("sft", ASK, "Yes", weight=0.5, order=3, provenance={"a": 1}),
        ),
        (
            "sft",
            {"input": "Ask", "output": "Yes", "weight": "70 kg", "order": 1.5, "provenance": "x"},
            TrainingRow("sft", ASK, "Yes"),
        ),
        (
            "sft",
            {"messages": [{"role": "developer", "content": "Be brief"}, *ASK, *YES]},
            TrainingRow("sft", [BRIEF, *ASK], "Yes"),
        ),
    ],
)
def test_that_a_shape_is_read(
    tmp_path: Path, kind: str, values: dict[str, Any], expected: TrainingRow
) -> None:
    rows, left_out = read(tmp_path, kind, values)
    assert rows == [expected]
    assert not left_out.reasons


@pytest.mark.parametrize(
    ("kind", "values", "reason"),
    [
        ("sft", {"input": "Ask"}, "without an answer"),
        ("sft", {"messages": ASK}, "without an answer"),
        ("sft", {"messages": [*ASK, {**YES[0], "weight": 0}]}, "without an answer"),
        ("sft", {"input": "Ask", "output": "No", "label": False}, "labelled as wrong"),
        ("dpo", {"input": "Ask", "output": "Yes"}, "without a rejected answer"),
        ("dpo", {"input": "Ask", "output": "Yes", "correction": "Yes"}, "are the same"),
        ("kto", {"input": "Ask", "output": "Yes"}, "without a label"),
        ("sft", {"input": "Ask", "output": "wrong", "correction": ""}, "an empty correction"),
        ("sft", {"input": "Ask", "output": "wrong", "correction": None}, "an empty correction"),
        ("dpo", {"input": "Ask", "output": "wrong", "correction": " "}, "an empty correction"),
        ("sft", {"messages": ASK + YES, "tools": [{"type": "function"}]}, "with tools"),
        ("sft", {"messages": [*ASK, CALL, *YES]}, "with calls of tools (tool_calls)"),
        (
            "sft",
            {"conversations": [*ASK, {"from": "function_call", "value": "{}"}, *YES]},
            "with calls of tools",
        ),
        ("sft", {"messages": [{"role": "user", "content": IMAGE}, *YES]}, "no text (image_url)"),
        ("dpo", {"chosen": ASK + YES, "rejected": HELLO[:1] + NO}, "different turns"),
    ],
)
def test_that_what_does_not_serve_is_counted(
    tmp_path: Path, kind: str, values: dict[str, Any], reason: str
) -> None:
    rows, left_out = read(tmp_path, kind, values)
    assert rows == []
    assert [(reason in why, n) for why, n in left_out.reasons.items()] == [(True, 1)]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"question": "Ask"}, "row 2: it has no .* or input: did you mean input by 'quest"),
        ({"input": {}, "output": "Yes"}, "row 2: input is not text"),
        ({"prompt": [1], "completion": "Yes"}, "row 2: prompt is not a list of messages"),
        ({"prompt": ASK, "completion": ASK}, "completion is not one message of the assistant"),
        ({"messages": YES}, "messages hold no question of the user"),
        ({"messages": [*ASK, {"role": "critic", "content": "x"}]}, "a turn of the role 'critic'"),
        ({"messages": [*ASK, {"role": "assistant", "content": None}]}, "a turn without text"),
        ({"messages": ASK + YES, "completion": "No"}, "completion says another"),
        ({"input": "Ask", "output": "Yes", "label": "maybe"}, "neither true nor false"),
    ],
)
def test_that_a_bad_row_is_named(tmp_path: Path, values: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read(tmp_path, "sft", {"input": "Ask", "output": "Yes"}, values)


def test_that_csv_is_read_with_its_labels_and_empty_cells(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text('input,context,output,label\nAsk,,"Yes\nindeed",true\nAsk,,No,0\n')
    rows = list(read_plain_rows(file, "kto", LeftOut()))
    assert [(row.prompt, row.completion, row.label) for row in rows] == [
        (ASK, "Yes\nindeed", True),
        (ASK, "No", False),
    ]


def test_that_a_table_holds_turns_as_json_and_says_what_it_does_not_use(tmp_path: Path) -> None:
    file, notes = tmp_path / "rows.csv", Notes()
    cell = json.dumps(ASK + YES).replace('"', '""')
    file.write_text(f'messages;source\n"{cell}";x\n')
    [row] = read_plain_rows(file, "sft", LeftOut(), notes=notes)
    assert (row.prompt, row.completion) == (ASK, "Yes")
    assert "not used: source" in notes.sentences()[1]


def test_that_columns_are_mapped_and_keys_of_turns_are_named(tmp_path: Path) -> None:
    file, notes = tmp_path / "rows.jsonl", Notes()
    turns = [{"role": "user", "content": "Ask", "name": "eva"}, *YES]
    file.write_text(json.dumps({"talk": turns}) + "\n")
    names = ColumnNames({"messages": "talk"})
    [row] = read_plain_rows(file, "sft", LeftOut(), names=names, notes=notes)
    assert row.prompt == ASK
    assert notes.sentences() == [f"{file}: not used: name in messages."]
