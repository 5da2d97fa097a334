"""Packed scores are the scores that were put in, and few chunks are on their way at once."""

from __future__ import annotations

import pickle
from array import array
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, cast

import pytest

from evaluators.columns import FloatRows, ScoreColumn, pack_scores
from evaluators.registry import resolve_metrics
from evaluators.scoring import CHUNK, _in_turn, score_columns, score_samples
from evaluators.types import Sample, Score, Span

SPANS = (Span(0, 2, "😀 is not in the source", "name"), Span(3, 4, "", "number"))
CHUNKS = {
    "nothing": [],
    "plain values": [Score(0.1), Score(-0.0), Score(1e308)],
    "whole numbers": [Score(1), Score(0.5)],
    "errors and silence": [
        Score(None, error="no source"),
        Score(None, not_applicable=True),
        Score(1.0),
    ],
    "statistics": [Score(0.5, stats=(1.0, 2.5)), Score(None, error="too long"), Score(1.0)],
    "classes": [Score(1.0, label="a", stats=("a", "b")), Score(0.0, stats=("", 1.0))],
    "whole statistics": [Score(1.0, stats=(1, 2.0))],
    "words": [Score(0.0, explanation="why\ud800", spans=SPANS), Score(1.0, label="")],
}


@pytest.mark.parametrize("scores", CHUNKS.values(), ids=CHUNKS)
def test_a_column_gives_back_what_was_put_in(scores: list[Score]) -> None:
    column = ScoreColumn()
    for _ in range(2):
        column.add(pickle.loads(pickle.dumps(pack_scores(scores))))
    assert repr(list(column)) == repr(scores * 2)  # 1 and 1.0 are not the same
    assert len(column) == 2 * len(scores)
    assert list(column.errors()) == [score.error for score in scores * 2]


def test_a_figure_is_made_of_values_errors_and_statistics_alone() -> None:
    score = Score(0.5, label="a", explanation="b", spans=SPANS, stats=(1.0,))
    column = ScoreColumn()
    column.add(pack_scores([score]))
    assert column.without_words() == [Score(0.5, stats=(1.0,))]


def test_numbers_are_kept_in_arrays() -> None:
    packed = pack_scores([Score(0.5, stats=(1.0, 2.0)), Score(None, error="none")])
    assert isinstance(packed.values, array)
    assert isinstance(packed.stats, FloatRows)
    assert packed.words is None


def test_columns_hold_the_scores_of_one_process() -> None:
    samples = [Sample(str(i), f"EUR {i}", context="EUR 29") for i in range(CHUNK + 5)]
    metrics, steps = resolve_metrics(["invented", "rougeL"]), list[int]()
    columns = score_columns(metrics, iter(samples), len(samples), progress=steps.append)
    assert {name: list(column) for name, column in columns.items()} == score_samples(
        metrics, samples
    )
    assert steps == [CHUNK, 5]


class CountingPool:
    """Does the work at once, and notes the most results that nobody has taken yet."""

    def __init__(self) -> None:
        self.given, self.taken, self.most = 0, 0, 0

    def submit(self, work: Callable[[Any], Any], chunk: Any) -> Future[Any]:
        self.given += 1
        self.most = max(self.most, self.given - self.taken)
        done: Future[Any] = Future()
        done.set_result(work(chunk))
        return done


def test_no_more_chunks_are_on_their_way_than_asked_for_and_all_come_back_in_order() -> None:
    pool, found = CountingPool(), list[Any]()
    chunks: Iterator[Any] = iter(range(20))
    for result in _in_turn(cast(Any, pool), lambda chunk: chunk, chunks, 3):
        found.append(result)
        pool.taken += 1
    assert found == list(range(20))
    assert pool.most == 3
