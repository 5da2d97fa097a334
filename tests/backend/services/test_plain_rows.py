"""Rows of plain files: which shapes are read, what each kind takes from them, what is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.errors import InvalidInput
from backend.services.exports import TrainingRow
from backend.services.plain_rows import LeftOut, read_plain_rows

ASK = [{"role": "user", "content": "Ask"}]
YES = [{"role": "assistant", "content": "Yes"}]
NO = [{"role": "assistant", "content": "No"}]


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
        ("sft", {"input": "Ask"}, "no answer"),
        ("sft", {"input": "Ask", "output": "No", "label": False}, "labelled as wrong"),
        ("dpo", {"input": "Ask", "output": "Yes"}, "no rejected answer"),
        ("dpo", {"input": "Ask", "output": "Yes", "correction": "Yes"}, "are the same"),
        ("kto", {"input": "Ask", "output": "Yes"}, "no label"),
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
        ({"question": "Ask"}, "row 2: it has no input, prompt or messages"),
        ({"input": 5, "output": "Yes"}, "row 2: input is not text"),
        ({"prompt": [1], "completion": "Yes"}, "row 2: prompt is not a list of messages"),
        ({"prompt": ASK, "completion": ASK}, "completion is not one message of the assistant"),
        ({"messages": ASK}, "do not end with an answer"),
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
