"""Files of predictions: what is read, and the one line that each bad file gets."""

from __future__ import annotations

import gzip
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluators.errors import UnreadableRecord
from evaluators.files.predictions import read_samples
from tests.depth import examples

GOOD = '{"id":"1","prediction":"a","reference":"b"}\n'


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", GOOD),
        ("a.jsonl", "\ufeff" + GOOD),
        ("a.jsonl", GOOD.replace("\n", "\r\n") + "\r\n\n"),
        ("a.jsonl.gz", gzip.compress(GOOD.encode(), mtime=0)),
        ("a.csv", "id,prediction,reference\n1,a,b\n"),
        ("a.csv", "\ufeffid,prediction,reference\r\n\r\n1,a,b\n,,\n"),
        ("a.csv", 'id,prediction,references\n1,a,"[""b""]"\n'),
        ("a.csv.gz", gzip.compress(b"id,prediction,reference\n1,a,b\n", mtime=0)),
        ("a.jsonl", '{"id":1,"prediction":"a","references":["b"]}'),
    ],
)
def test_read(tmp_path: Path, name: str, content: str | bytes) -> None:
    [sample] = read_samples(write(tmp_path, name, content))
    assert (sample.id, sample.prediction, sample.references) == ("1", "a", ("b",))


def test_line_breaks_in_cells_are_kept(tmp_path: Path) -> None:
    content = 'id,prediction,context\n1,"two\nlines","x"\n2,b,\n'
    samples = read_samples(write(tmp_path, "a.csv", content))
    assert [s.prediction for s in samples] == ["two\nlines", "b"]


def test_all_fields(tmp_path: Path) -> None:
    content = (
        '{"id":"1","prediction":"","context":"c","input":"i","group":7,"slices":{"t":1},'
        '"model":"m","logprobs":[-0.5],"sources":{"1":"x"},"samples":["y"],"seconds":0.5,'
        '"tokens":3,"cost":0.01}'
    )
    [sample] = read_samples(write(tmp_path, "a.jsonl", content))
    assert (sample.group, dict(sample.slices), sample.tokens) == ("7", {"t": "1"}, 3)
    assert (sample.logprobs, sample.samples, sample.references) == ((-0.5,), ("y",), ())


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", "", "empty"),
        ("a.jsonl", "\n\n", "no record"),
        ("a.jsonl", b"\xff\xfe\x00", "not UTF-16"),
        ("a.jsonl", GOOD + '{"id":"2","pred', "row 2: not a whole JSON object"),
        ("a.jsonl", "[1]", "not an object"),
        ("a.jsonl", '{"id":"1"}', "row 1: no prediction; it has id"),
        ("a.jsonl", GOOD + GOOD, "row 2: the id '1' was used in row 1 already"),
        ("a.jsonl", '{"id":"","prediction":"a"}', "'id' is empty"),
        ("a.jsonl", '{"id":"1","prediction":[5]}', "'prediction' is not text"),
        ("a.jsonl", '{"id":"1","prediction":NaN}', "'prediction' is null"),
        ("a.jsonl", '{"id":"1","prediction":null}', "'prediction' is null"),
        ("a.jsonl", '{"id":"1","prediction":"a","references":[[1]]}', "not a list of texts"),
        ("a.jsonl", '{"id":"1","prediction":"a","logprobs":[NaN]}', "finite"),
        ("a.jsonl", '{"id":"1","prediction":"a","seconds":Infinity}', "not a finite number"),
        ("a.jsonl", '{"id":"1","prediction":"a","tokens":1.5}', "not a count"),
        ("a.jsonl", '{"id":"1","prediction":"a","slices":[]}', "not an object"),
        ("a.csv", "name,text\n1,a\n", "no prediction; it has name, text"),
        ("a.csv", "id,prediction\n1,a,b\n", "3 cells under 2 columns"),
        ("a.csv", 'id,prediction\n1,"a\n', "not CSV"),
        ("a.jsonl.gz", b"\x1f\x8bxx", "gzip"),
    ],
)
def test_refused_in_one_line(tmp_path: Path, name: str, content: str | bytes, words: str) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises(UnreadableRecord) as caught:
        read_samples(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_an_over_long_row_is_refused(tmp_path: Path, name: str) -> None:
    text = "x" * 3000
    rows = {"a.jsonl": f'{{"id":"1","prediction":"{text}"}}', "a.csv": f"id,prediction\n1,{text}"}
    with pytest.raises(UnreadableRecord, match="longer than"):
        read_samples(write(tmp_path, name, rows[name]), max_row_bytes=2000)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableRecord, match="no such file"):
        read_samples(tmp_path / "none.jsonl")


@given(st.binary(max_size=120), st.sampled_from(["a.jsonl", "a.csv", "a.jsonl.gz", "a.csv.gz"]))
@settings(
    max_examples=examples(300),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes, name: str) -> None:
    with suppress(UnreadableRecord):
        read_samples(write(tmp_path, name, content))
