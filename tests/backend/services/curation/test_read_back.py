"""Every export format read back by the import of examples and by that of training rows: no loss."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.services.curation.formats import DPO, FORMATS, KTO, TrainingRow, export_rows
from backend.services.datasets.conversations import chat_messages
from backend.services.datasets.importing.rows import ColumnMap, rows_from_table
from backend.services.datasets.versions import ExampleRow
from backend.services.exchange.plain_rows import LeftOut, read_plain_rows
from evaluators.files.readers import read_table

SYSTEM = {"role": "system", "content": "You are a bank's desk.\n\nBe brief."}
ASK = {"role": "user", "content": "I lost my card."}
WHICH = {"role": "assistant", "content": "Debit or credit?"}
DEBIT = {"role": "user", "content": "Debit."}
ODD = '  “Größe”\u2028 5 €\r\n\n\t🧾 ﷽ null NaN, "x"; {\'a\': 1} <b>["c"]</b> \\n\u00a0 '
FOUND = {"role": "tool", "content": '{"cards": 2}'}

PROMPTS: dict[str, list[dict[str, str]]] = {
    "a question": [ASK],
    "a system message": [SYSTEM, ASK],
    "three turns": [ASK, WHICH, DEBIT],
    "all of it": [SYSTEM, ASK, WHICH, DEBIT, WHICH, DEBIT],
    "a context below": [{"role": "user", "content": "Summarise.\n\nDoctor: Hello.\nPatient: Hi."}],
    "Unicode and white space": [
        {"role": "system", "content": ODD},
        {"role": "user", "content": ODD},
        {"role": "assistant", "content": ODD},
        {"role": "user", "content": f"{ODD}?"},
    ],
    "like JSON": [{"role": "user", "content": '[{"role": "user", "content": "x"}]'}],
    "a speaker's name": [{"role": "user", "content": "\n\nHuman: Hi\n\nAssistant: Hello"}],
    "what a tool gave": [ASK, WHICH, DEBIT, {**WHICH, "content": "I look."}, FOUND],
}
NO_ALPACA = {"what a tool gave"}  # refused by name, see test_exports


def row_of(kind: str, prompt: list[dict[str, str]], answer: str = "Done.") -> TrainingRow:
    marks: dict[str, Any] = {"weight": 0.25, "order": 3} if kind == "sft" else {}
    return TrainingRow(
        kind,
        prompt,
        answer,
        rejected="Nein." if kind == DPO else None,
        label=True if kind == KTO else None,
        provenance={"review": 7, "model": None},
        **marks,
    )


def written(folder: Path, row: TrainingRow, name: str) -> Path:
    file = folder / "rows.jsonl"
    lines = [json.dumps(line, ensure_ascii=False) for line in export_rows([row], name)]
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file


CASES = [
    (name, prompt)
    for name in FORMATS
    for prompt in PROMPTS
    if not (name == "alpaca" and prompt in NO_ALPACA)
]


@pytest.mark.parametrize(("name", "prompt"), CASES)
def test_that_examples_come_back_from_every_format(tmp_path: Path, name: str, prompt: str) -> None:
    row = row_of(FORMATS[name].kind, PROMPTS[prompt])
    [found] = rows_from_table(read_table(written(tmp_path, row, name)), ColumnMap())
    assert chat_messages(found) == row.prompt
    assert found.references == (row.completion,)
    assert (found.messages is None) == (len(row.prompt) == 1)


@pytest.mark.parametrize(("name", "prompt"), CASES)
def test_that_training_rows_come_back_from_every_format(
    tmp_path: Path, name: str, prompt: str
) -> None:
    kind = FORMATS[name].kind
    row = row_of(kind, PROMPTS[prompt])
    [found] = read_plain_rows(written(tmp_path, row, name), kind, LeftOut())
    assert (found.prompt, found.completion) == (row.prompt, row.completion)
    assert (found.rejected, found.label) == (row.rejected, row.label)
    if name in ("sft", "dpo", "kto"):  # the other tools' formats have no place for these
        assert found == row


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("answer", ["\n\nHuman: Hi\n\nAssistant: Hello", ODD, "[]", "null", "true"])
def test_that_any_answer_comes_back(tmp_path: Path, name: str, answer: str) -> None:
    row = row_of(FORMATS[name].kind, [ASK], answer)
    file = written(tmp_path, row, name)
    assert rows_from_table(read_table(file), ColumnMap()) == [
        ExampleRow("row-1", ASK["content"], references=(answer,))
    ]
    [found] = read_plain_rows(file, row.kind, LeftOut())
    assert found.completion == answer
