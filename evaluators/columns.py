"""Scores of one metric kept small: numbers in arrays, words packed away until they are asked for.

A hundred thousand outputs under twenty metrics are two million `Score` objects; as objects they
take gigabytes. A column keeps them chunk by chunk, as they also travel between processes, and makes
each score anew when it is read, equal to the one that was put in.
"""

from __future__ import annotations

import json
import math
import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from evaluators.types import Score, Span

_LEVEL = 1  # of compression: the reasons of a check repeat themselves, so the quickest does

Words = tuple[str | None, str | None, tuple[Span, ...]]  # label, explanation, spans
NO_WORDS: Words = (None, None, ())


@dataclass(frozen=True, slots=True)
class FloatRows:
    """Tuples of floats, each as long as it likes, end to end in one array."""

    cells: array[float]
    ends: array[int]

    def __iter__(self) -> Iterator[tuple[float, ...]]:
        start = 0
        for end in self.ends:
            yield tuple(self.cells[start:end])
            start = end


@dataclass(frozen=True, slots=True)
class PackedScores:
    """The scores of a chunk under one metric.

    Attributes:
        values: not a number where a score has no value, which a value never is.
        errors, silent: one for each score; None where no score has an error, or is silent.
        stats: None where no score has any.
        words: label, explanation and spans of each score, compressed; None where there are none.
    """

    size: int
    values: array[float] | list[float | None]
    errors: list[str | None] | None
    silent: list[bool] | None
    stats: FloatRows | list[tuple[float | str, ...]] | None
    words: bytes | None

    def scores(self, *, with_words: bool = True) -> Iterator[Score]:
        """The scores again; without words, label, explanation and spans are left empty."""
        words: Iterator[Words] = repeat(NO_WORDS, self.size)
        if with_words and self.words is not None:
            words = map(_read_words, json.loads(zlib.decompress(self.words)))
        errors, silent = self._or(self.errors, None), self._or(self.silent, False)
        stats = self._or(self.stats, ())
        for value, error, no, said, row in zip(
            self.values, errors, silent, words, stats, strict=True
        ):
            known = None if value is None or math.isnan(value) else value
            label, explanation, spans = said
            yield Score(known, error, no, label, explanation, spans, row)

    def _or(self, column: Any, absent: Any) -> Any:
        return repeat(absent, self.size) if column is None else column


def pack_scores(scores: Sequence[Score]) -> PackedScores:
    """The scores of a chunk, small."""
    errors = [score.error for score in scores]
    silent = [score.not_applicable for score in scores]
    return PackedScores(
        len(scores),
        _pack_values([score.value for score in scores]),
        errors if any(error is not None for error in errors) else None,
        silent if any(silent) else None,
        _pack_stats([score.stats for score in scores]),
        _pack_words(scores),
    )


def _pack_values(values: list[float | None]) -> array[float] | list[float | None]:
    if all(value is None or type(value) is float for value in values):
        return array("d", [math.nan if value is None else value for value in values])
    return values  # such as whole numbers, which stay what they are


def _pack_stats(
    rows: list[tuple[float | str, ...]],
) -> FloatRows | list[tuple[float | str, ...]] | None:
    if not any(rows):
        return None
    cells = [cell for row in rows for cell in row if type(cell) is float]
    if len(cells) != sum(map(len, rows)):
        return rows  # names of classes, or whole numbers, which stay what they are
    ends, end = array("L"), 0
    for row in rows:
        end += len(row)
        ends.append(end)
    return FloatRows(array("d", cells), ends)


def _pack_words(scores: Sequence[Score]) -> bytes | None:
    if not any(s.label is not None or s.explanation is not None or s.spans for s in scores):
        return None
    words = [
        (s.label, s.explanation, [(x.start, x.end, x.reason, x.kind) for x in s.spans])
        for s in scores
    ]
    return zlib.compress(json.dumps(words).encode(), _LEVEL)


def _read_words(row: tuple[str | None, str | None, list[tuple[int, int, str, str]]]) -> Words:
    label, explanation, spans = row
    return label, explanation, tuple(Span(*fields) for fields in spans)


class ScoreColumn:
    """The scores of one metric in the order of the samples, added chunk by chunk."""

    def __init__(self) -> None:
        self._chunks: list[PackedScores] = []

    def add(self, chunk: PackedScores) -> None:
        """Put the scores of the next samples behind those that are there."""
        self._chunks.append(chunk)

    def __len__(self) -> int:
        return sum(chunk.size for chunk in self._chunks)

    def __iter__(self) -> Iterator[Score]:
        for chunk in self._chunks:
            yield from chunk.scores()

    def errors(self) -> Iterator[str | None]:
        """The reason of each sample that could not be scored; None for the others."""
        for chunk in self._chunks:
            yield from repeat(None, chunk.size) if chunk.errors is None else chunk.errors

    def without_words(self) -> list[Score]:
        """The scores with value, error and statistics alone: all that a figure is made of."""
        return [score for chunk in self._chunks for score in chunk.scores(with_words=False)]
