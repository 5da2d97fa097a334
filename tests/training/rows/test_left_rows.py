"""Rows that a limit leaves nothing of, and answers without an end: counted, and said everywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.cli.training import describe_result
from tests.fixtures_models import TEMPLATE, byte_tokenizer, make_tiny_base
from tests.fixtures_training import train_and_read, write_small_config
from training import sft
from training.results.card import data_warnings
from training.rows.data import DataError, encode_documents, encode_rows, read_rows
from training.rows.preferences import fit_rows, read_labels, read_pairs

SHORT, LONG = "Hi", "word " * 60
LIMIT = 64


def _message(role: str, text: str) -> list[dict[str, str]]:
    return [{"role": role, "content": text}]


def row(method: str, prompt: str, number: int) -> dict[str, Any]:
    """A row of a method; labels of KTO take turns."""
    asked = {"prompt": _message("user", prompt)}
    yes, no = _message("assistant", "Yes"), _message("assistant", "No")
    match method:
        case "sft":
            return {**asked, "completion": yes}
        case "dpo":
            return {**asked, "chosen": yes, "rejected": no}
        case _:
            return {**asked, "completion": yes, "label": bool(number % 2)}


def write_rows(file: Path, method: str, prompts: list[str]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [row(method, prompt, i) for i, prompt in enumerate(prompts)]
    file.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return file


def config(folder: Path, base: Path, method: str, prompts: list[str], **changes: Any) -> Path:
    values = {
        "method": method,
        "train_file": str(write_rows(folder / "train.jsonl", method, prompts)),
        "epochs": 1,
        "max_length": LIMIT,
        "truncate": True,
    }
    return write_small_config(folder, base, values | changes)


@pytest.mark.parametrize("method", ["sft", "dpo", "kto"])
def test_rows_that_were_not_trained_on_are_said_everywhere(
    tmp_path: Path, tiny_base: Path, capfd: pytest.CaptureFixture[str], method: str
) -> None:
    prompts = [SHORT, SHORT + "!", LONG, LONG, LONG, SHORT]
    result = train_and_read(config(tmp_path, tiny_base, method, prompts))
    train = result["train"]
    assert (train["rows"], train["cut"], train["dropped"]) == (3, 3, 3)
    assert train["ended"] == 3
    said = "3 of 6 rows were not trained on"
    assert said in capfd.readouterr().out
    card = (tmp_path / "v1" / "README.md").read_text()
    assert "on 3 rows" in card
    assert said in card
    assert any(said in line for line in describe_result("v1", result, []))


@pytest.mark.parametrize("method", ["sft", "dpo", "kto"])
def test_no_row_left_is_one_sentence(
    tmp_path: Path, tiny_base: Path, capfd: pytest.CaptureFixture[str], method: str
) -> None:
    assert sft.main(["--config", str(config(tmp_path, tiny_base, method, [LONG, LONG]))]) == 1
    assert "No row has a token to train on." in capfd.readouterr().err
    assert not (tmp_path / "v1").exists()


def test_what_is_left_of_labels_holds_both(tmp_path: Path) -> None:
    rows = read_labels(write_rows(tmp_path / "t.jsonl", "kto", [SHORT, LONG, SHORT, LONG]))
    with pytest.raises(DataError, match="does not hold both good and bad answers"):
        fit_rows(rows, byte_tokenizer(), max_length=LIMIT, truncate=True)


def test_documents_of_nothing_are_one_sentence() -> None:
    tokenizer = byte_tokenizer()
    with pytest.raises(DataError, match="No document has two tokens"):
        encode_documents([""], tokenizer, max_length=8)


ENDLESS = TEMPLATE.replace(" + eos_token", "")
ANOTHER_END = TEMPLATE.replace("eos_token", "'<|system|>'")
LINE_AFTER = TEMPLATE.replace(" + eos_token", " + eos_token + '\n'")


@pytest.mark.parametrize(
    ("template", "ended"), [(TEMPLATE, 4), (ENDLESS, 0), (ANOTHER_END, 0), (LINE_AFTER, 4)]
)
@pytest.mark.parametrize("completion_only", [True, False])
def test_answers_that_end_are_counted(
    tmp_path: Path, template: str, ended: int, completion_only: bool
) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = template
    limits: dict[str, Any] = {"max_length": LIMIT, "truncate": False}
    rows = read_rows(write_rows(tmp_path / "a.jsonl", "sft", [SHORT] * 4))
    _, report = encode_rows(rows, tokenizer, completion_only=completion_only, **limits)
    assert report.ended == ended
    pairs = read_pairs(write_rows(tmp_path / "b.jsonl", "dpo", [SHORT] * 4))
    assert fit_rows(pairs, tokenizer, **limits)[1].ended == ended


def test_a_template_without_an_end_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    base = make_tiny_base(tmp_path / "base")
    (base / "chat_template.jinja").write_text(ENDLESS)
    result = train_and_read(config(tmp_path, base, "sft", [SHORT] * 3))
    said = "0 of 3 rows end with the base's end token"
    assert said in capfd.readouterr().out
    assert said in (tmp_path / "v1" / "README.md").read_text()
    assert said in " ".join(data_warnings(result))


def test_that_an_end_of_the_generation_config_counts(tmp_path: Path) -> None:
    """Llama 3 ends an answer with another token than its tokeniser ends a text with."""
    base = make_tiny_base(tmp_path / "base")
    (base / "chat_template.jinja").write_text(ANOTHER_END)
    settings = {"eos_token_id": [2, byte_tokenizer().convert_tokens_to_ids("<|system|>")]}
    (base / "generation_config.json").write_text(json.dumps(settings))
    assert train_and_read(config(tmp_path, base, "sft", [SHORT] * 3))["train"]["ended"] == 3


REFUSES = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system here') }}{% endif %}"
)


@pytest.mark.parametrize("template", [REFUSES + TEMPLATE, "{{ messages[9].content + 1 }}", "{% if"])
@pytest.mark.parametrize("method", ["sft", "dpo", "kto"])
def test_what_a_template_refuses_is_one_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], template: str, method: str
) -> None:
    base = make_tiny_base(tmp_path / "base")
    (base / "chat_template.jinja").write_text(template)
    file = config(tmp_path, base, method, [SHORT] * 2)
    rows = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    for one in rows:
        one["prompt"] = _message("system", "Be short.") + one["prompt"]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    assert sft.main(["--config", str(file)]) == 1
    said = capfd.readouterr().err.strip()
    assert said.startswith("Line 1: the base's chat template refuses its messages (system, user")
    assert len(said.splitlines()) == 1
