"""Training rows: what is read, what is refused, which tokens are trained on, in which order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures_models import byte_tokenizer, write_chat_rows
from training.rows.data import (
    IGNORED,
    ChatRow,
    DataError,
    TokenRow,
    encode_rows,
    length_bucketed_order,
    read_rows,
)

USER = [{"role": "user", "content": "Hi"}]
ANSWER = [{"role": "assistant", "content": "Yes"}]


def line(**changes: Any) -> bytes:
    return json.dumps({"prompt": USER, "completion": ANSWER} | changes).encode() + b"\n"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(line(), id="plain"),
        pytest.param(line(source=3, kind="sft"), id="provenance is ignored"),
        pytest.param(b"\xef\xbb\xbf" + line(), id="byte-order mark"),
        pytest.param(b"\r\n" + line().replace(b"\n", b"\r\n") + b"\n", id="mixed line ends"),
    ],
)
def test_that_a_row_is_read(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "train.jsonl"
    file.write_bytes(content)
    (row,) = read_rows(file)
    assert (row.prompt, row.completion) == (USER, ANSWER)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no rows"),
        (b"\n \n", "holds no rows"),
        (line() + b'{"prompt": [', "line 2: not JSON"),
        (line() + b"\xff\xfe\n", "line 2: not UTF-8"),
        (b"[1]\n", "line 1: not an object"),
        (line(prompt="Hi"), "'prompt' is not a list of chat messages"),
        (line(completion=[]), "'completion' is not a list of chat messages"),
        (line(prompt=[{"role": "robot", "content": "x"}]), "'prompt' is not a list"),
        (line(prompt=[{"role": "user", "content": None}]), "'prompt' is not a list"),
        (line(completion=USER), "the completion is not the assistant's"),
        (line(completion=[{"role": "assistant", "content": " "}]), "the completion is empty"),
    ],
)
def test_that_a_bad_row_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "train.jsonl"
    file.write_bytes(content)
    with pytest.raises(DataError) as refused:
        read_rows(file)
    assert said in str(refused.value)
    assert refused.value.hint
    assert len(str(refused.value).splitlines()) == 1


def test_that_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_rows(tmp_path / "absent.jsonl")


def encode(rows: list[ChatRow], **changes: Any) -> Any:
    options = {"max_length": 100, "truncate": False, "completion_only": True} | changes
    return encode_rows(rows, byte_tokenizer(), **options)


def trained_text(row: TokenRow) -> str:
    kept = [label for label in row.labels if label != IGNORED]
    return str(byte_tokenizer().decode(kept, skip_special_tokens=False))


def test_a_checker_learns_the_first_token_of_its_answer_alone() -> None:
    (row,), _ = encode([ChatRow(1, USER, ANSWER)])
    (first,), report = encode([ChatRow(1, USER, ANSWER)], first_token_only=True)
    trained = [at for at, label in enumerate(row.labels) if label != IGNORED]
    assert len(trained) > 1
    assert [at for at, label in enumerate(first.labels) if label != IGNORED] == trained[:1]
    assert (first.labels[trained[0]], report.trained_tokens) == (row.labels[trained[0]], 1)


@pytest.mark.parametrize(
    ("completion_only", "text"),
    [(True, "Yes<|end|>"), (False, "<|begin|><|user|>Hi<|end|><|assistant|>Yes<|end|>")],
)
def test_which_tokens_are_trained_on(completion_only: bool, text: str) -> None:
    (row,), report = encode([ChatRow(1, USER, ANSWER)], completion_only=completion_only)
    assert trained_text(row) == text
    assert report.trained_tokens == sum(label != IGNORED for label in row.labels)


def test_that_a_long_row_is_refused_with_its_length() -> None:
    long = [{"role": "assistant", "content": "y" * 200}]
    rows = [ChatRow(4, USER, ANSWER), ChatRow(9, USER, long)]
    with pytest.raises(
        DataError, match=r"1 of 2 rows .* line 9 with 207 tokens\. Set max_length: 207"
    ):
        encode(rows)


def test_that_truncation_is_counted() -> None:
    question = [{"role": "user", "content": "q" * 200}]
    long = [{"role": "assistant", "content": "y" * 200}]
    rows = [ChatRow(1, USER, ANSWER), ChatRow(2, USER, long), ChatRow(3, question, ANSWER)]
    kept, report = encode(rows, truncate=True)
    assert [len(row.input_ids) for row in kept] == [10, 100]
    assert (report.rows, report.cut, report.dropped, report.longest) == (2, 2, 1, 208)


def test_that_nothing_left_to_train_on_is_refused() -> None:
    with pytest.raises(DataError, match="No row has a token to train on"):
        encode([ChatRow(1, USER, ANSWER)], truncate=True, max_length=3)


@given(
    lengths=st.lists(st.integers(1, 500), min_size=1, max_size=300),
    batch=st.integers(1, 9),
    epoch=st.integers(0, 3),
)
def test_that_an_epoch_visits_every_row_once(lengths: list[int], batch: int, epoch: int) -> None:
    order = length_bucketed_order(lengths, batch, seed=1, epoch=epoch)
    assert sorted(order) == list(range(len(lengths)))
    assert order == length_bucketed_order(lengths, batch, seed=1, epoch=epoch)


def test_that_buckets_pad_less_and_stay_random() -> None:
    lengths = [(i * 7919) % 400 for i in range(800)]

    def padded(order: list[int]) -> int:
        batches = [order[i : i + 8] for i in range(0, len(order), 8)]
        return sum(8 * max(lengths[i] for i in batch) for batch in batches)

    orders = [length_bucketed_order(lengths, 8, seed=0, epoch=epoch) for epoch in (0, 1)]
    assert padded(orders[0]) < 0.7 * padded(list(range(800)))
    assert orders[0] != orders[1]
    first = [lengths[order[0]] for order in orders]
    assert first != [max(lengths)] * 2


def test_that_rows_written_for_tests_are_rows(tmp_path: Path) -> None:
    assert len(read_rows(write_chat_rows(tmp_path / "rows.jsonl", 5))) == 5
