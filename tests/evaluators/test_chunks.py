"""A chunk of outputs is scored the same wherever it is scored."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from backend.executors.local import LocalExecutor
from evaluators.chunks import OutputToScore, ScoreChunk, score_chunk
from evaluators.errors import UnknownMetric
from evaluators.types import Sample

SAMPLE = Sample("a", "the dose is 5 mg", ("the dose is 5 mg",), "dose: 5 mg\x00<b>")


def chunk(*metrics: str, made_of: dict[str, str] | None = None, n: int = 3) -> ScoreChunk:
    outputs = [OutputToScore(i, SAMPLE, metrics) for i in range(n)]
    failed = OutputToScore(n, SAMPLE, metrics, error="the prompt is too long")
    return ScoreChunk((*outputs, failed), made_of or {})


def test_another_process_gives_the_same_rows(tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object"}')
    made_of = {"json_schema:note.json": str(schema), r"regex:\d+ mg": r"\d+ mg"}
    given = chunk("rouge1", "bleu", "grounding", *made_of, made_of=made_of)
    executor = LocalExecutor(2)
    try:
        (there,) = executor.map(score_chunk, [given])
    finally:
        executor.close()
    here = score_chunk(given)
    assert there == here
    assert len(here) == 4 * 5
    assert {row["metric"] for row in here} == {"rouge1", "bleu", "grounding", *made_of}
    lost = [row["error"] for row in here if row["generation_id"] == 3]
    assert lost == ["nothing was generated: the prompt is too long"] * 5


def test_each_output_gets_the_metrics_that_it_lacks() -> None:
    outputs = (
        OutputToScore(1, SAMPLE, ("length",)),
        OutputToScore(2, SAMPLE, ("length", "chrf")),
    )
    found = {(row["generation_id"], row["metric"]) for row in score_chunk(ScoreChunk(outputs))}
    assert found == {(1, "length"), (2, "length"), (2, "chrf")}


def test_a_chunk_and_its_rows_can_be_carried() -> None:
    given = chunk("rouge1")
    assert pickle.loads(pickle.dumps(given)) == given
    assert pickle.loads(pickle.dumps(score_chunk(given))) == score_chunk(given)


def test_what_nobody_looked_at_is_made_of_nothing() -> None:
    with pytest.raises(KeyError, match="regex"):
        score_chunk(chunk("regex:a"))
    with pytest.raises(UnknownMetric, match="rouge1"):
        score_chunk(chunk("rogue1"))
