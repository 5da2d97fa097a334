"""Files of outputs: what each row becomes, and one sentence for each that cannot be one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from backend.errors import InvalidInput
from backend.services.runs.importing.output_rows import (
    ImportedOutput,
    ImportedOutputs,
    read_outputs,
)
from backend.tables.packed import pack_logprobs
from evaluators.errors import EvaluatorError
from evaluators.files.mapping import ColumnNames, Notes
from evaluators.files.readers import read_table

Rows = Sequence[dict[str, Any]]


def _read(path: Path, rows: Rows, **asked: Any) -> ImportedOutputs:
    file = path / "out.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read_outputs(read_table(file), **{"model": "vendor", **asked})


def test_a_row_becomes_an_output_with_what_it_says(tmp_path: Path) -> None:
    row = {
        "id": "e1",
        "prediction": "Fine.",
        "finish_reason": "stop",
        "logprobs": [-0.5, -1],
        "tokens": 2,
        "prompt_tokens": 7,
        "seconds": 0.25,
    }
    assert _read(tmp_path, [row, {"id": 2, "error": "refused", "prediction": None}]).rows == [
        ImportedOutput(
            1,
            "e1",
            "vendor",
            0,
            "Fine.",
            None,
            None,
            "stop",
            pack_logprobs([-0.5, -1.0]) or b"",
            2,
            7,
            0.25,
        ),
        ImportedOutput(2, "2", "vendor", 0, None, "refused"),
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("out.csv", "key,answer\ne1,Fine.\n"),
        ("out.json", '[{"key": "e1", "answer": "Fine."}]'),
    ],
)
def test_columns_of_other_names_are_mapped(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    names = ColumnNames({"id": "key", "prediction": "answer"})
    found = read_outputs(read_table(tmp_path / name), model="vendor", names=names)
    assert [(row.id, row.text) for row in found.rows] == [("e1", "Fine.")]


def test_a_file_may_hold_several_models_and_samples(tmp_path: Path) -> None:
    rows = [
        {"id": "e1", "prediction": f"{model} {sample}", "model": model, "sample": sample}
        for model in ("large", "small")
        for sample in (0, 1)
    ]
    found = _read(tmp_path, rows, model=None)
    assert (found.models, found.samples) == (["large", "small"], 2)


def test_what_is_assumed_is_said(tmp_path: Path) -> None:
    notes = Notes()
    rows = [
        {"id": "e1", "prediction": "", "model": "org/large", "reference": "x"},
        {"id": "e2", "prediction": "Fine.", "model": "org/large", "reference": "x"},
    ]
    assert _read(tmp_path, rows, notes=notes).models == ["vendor"]
    said = " ".join(notes.sentences())
    assert "outputs of 'org/large' are taken as those of 'vendor'" in said
    assert "1 prediction empty, taken as they are" in said
    assert "not used: reference" in said


GOOD = {"id": "e1", "prediction": "Fine."}
MANY = [{"id": f"e{n}", "prediction": "x"} for n in range(7)]


@pytest.mark.parametrize(
    ("rows", "asked", "said"),
    [
        ([GOOD, {"id": "e1", "prediction": "Other."}], {}, "row 2: the id 'e1' was used in row 1"),
        ([*MANY, *MANY], {}, "7 ids so (e0, e1, e2, e3, e4, ...)"),
        ([{**GOOD, "sample": 1}], {}, "samples begin at 1"),
        ([GOOD, {**GOOD, "sample": 7}], {}, "there is a sample 7, and none 1"),
        ([{**GOOD, "sample": 100}], {}, "row 1: sample 100; 100 at most"),
        ([{**GOOD, "sample": -1}], {}, "'sample' is not a count"),
        ([{"prediction": "x"}], {}, "row 1: no id"),
        ([{"id": "e1", "output": "x"}], {}, "did you mean prediction by 'output'?"),
        ([{"id": " ", "prediction": "x"}], {}, "'id' is empty"),
        ([{"id": "e1", "prediction": None}], {}, "row 1: 'prediction' is null"),
        ([{"id": "e1", "prediction": " "}], {}, "every prediction is empty"),
        ([{"id": "e1", "prediction": ["x"]}], {}, "'prediction' is not text"),
        ([{"id": "e1", "prediction": "a\x00b"}], {}, "'prediction' holds a character that is not"),
        ([{"id": "e\x00", "prediction": "a"}], {}, "'id' holds a character that is not text"),
        ([{**GOOD, "error": "timeout"}], {}, "it has a prediction and an error"),
        ([{**GOOD, "tokens": 2**40}], {}, "out of all bounds"),
        ([{**GOOD, "seconds": -1}], {}, "out of all bounds"),
        ([{**GOOD, "logprobs": [0.5]}], {}, "a number above 0"),
        ([{**GOOD, "logprobs": "x"}], {}, "'logprobs' is not a list of finite numbers"),
        ([{**GOOD, "finish_reason": "x" * 33}], {}, "'finish_reason' is longer than 32"),
        ([GOOD], {"model": None}, "no model is named"),
        ([{**GOOD, "model": None}], {"model": None}, "'model' is empty"),
        ([{**GOOD, "model": "org/large"}], {"model": None}, "row 1: 'org/large' cannot name"),
        ([{**GOOD, "model": "base"}], {"model": None}, "is the project's base model"),
        ([GOOD], {"model": "base"}, "is the project's base model"),
        ([GOOD], {"model": "v1@2"}, "'v1@2' cannot name"),
        (
            [{**GOOD, "model": "a"}, {"id": "e2", "prediction": "x", "model": "b"}],
            {},
            "the file has outputs of 2 models (a, b), and one name is given, 'vendor'",
        ),
    ],
)
def test_what_is_no_output_is_one_sentence(
    tmp_path: Path, rows: Rows, asked: dict[str, Any], said: str
) -> None:
    with pytest.raises((InvalidInput, EvaluatorError)) as refused:
        _read(tmp_path, rows, **asked)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_row_too_long_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text(json.dumps({"id": "e1", "prediction": "x" * 900}))
    with pytest.raises(EvaluatorError, match="row 1: longer than 500 bytes"):
        read_outputs(read_table(tmp_path / "out.jsonl", max_row_bytes=500), model="vendor")
