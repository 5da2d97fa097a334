"""Totals and differences: numbers that the source does not write, but that follow from it.

Where the output calls a number a total, a sum, a difference or a remainder, it is supported if it
is the sum of a run of the source's or of the output's own numbers of that unit, or the sum,
difference or (count times quantity) product of two; such a claim is of the kind `derived`. Without
such a word a number must stand in the source: with enough numbers anything is a sum of some. Means,
percentages and growth are not derived, and a source with very many numbers derives nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence

from evaluators.checks.facts import Number

MOST_IN_RUN = 30
MOST_IN_PAIR = 12
_CUE = re.compile(
    r"\b(?:total(?:s|ing|l?ed)?|in\sall|altogether|sums?|combined|together|remaining|remainder|"
    r"balance|difference|adds?\sup|insgesamt|gesamt\w*|summe|zusammen|differenz|restbetrag)\b",
    re.IGNORECASE,
)
_NEAR = 60


def is_called_derived(output: str, number: Number) -> bool:
    """Whether the words around a number, in its sentence, call it a total or a difference."""
    before = re.split(r"[.!?]\s|\n", output[max(0, number.start - _NEAR) : number.start])[-1]
    after = re.split(r"[.!?](?:\s|$)|\n", output[number.end : number.end + _NEAR])[0]
    return _CUE.search(before) is not None or _CUE.search(after) is not None


def is_derived(
    number: Number, measures: Mapping[str, Sequence[tuple[float, str]]], beside: Sequence[Number]
) -> bool:
    """Whether the number follows from those of the source.

    Args:
        measures: quantities of the source in base units, with the name of their unit, by dimension;
            "" holds bare numbers.
        beside: the output's own numbers, this one among them.
    """
    counts = [value for value, _ in measures.get("", ())]
    dimensions = [number.unit.dimension] if number.unit else list(measures)
    for dimension in dimensions:
        own = [_base(other) for other in beside if other is not number and _is_of(other, dimension)]
        told = [base for base, _ in measures.get(dimension, ())]
        for value in number.values:
            wanted = number.unit.to_base(value) if number.unit else value
            if any(_is_run(wanted, run) for run in (told, own)):
                return True
            if _is_pair(wanted, told, counts):
                return True
    return False


def _base(number: Number) -> float:
    return number.unit.to_base(number.values[0]) if number.unit else number.values[0]


def _is_of(number: Number, dimension: str) -> bool:
    return (number.unit.dimension if number.unit else "") == dimension


def _is_run(wanted: float, values: Sequence[float]) -> bool:
    """Whether two or more values in a row add up to it."""
    if len(values) > MOST_IN_RUN:
        return False
    return any(_same(wanted, total) for total in _runs(values))


def _runs(values: Sequence[float]) -> Iterator[float]:
    for start in range(len(values)):
        total = values[start]
        for value in values[start + 1 :]:
            total += value
            yield total


def _is_pair(wanted: float, values: Sequence[float], counts: Sequence[float]) -> bool:
    distinct = list(dict.fromkeys(values))
    if len(distinct) > MOST_IN_PAIR:
        return False
    pairs = [(a, b) for i, a in enumerate(distinct) for b in distinct[i + 1 :]]
    if any(_same(wanted, a + b) or _same(wanted, abs(a - b)) for a, b in pairs):
        return True
    few = list(dict.fromkeys(counts))[: MOST_IN_PAIR + 1]
    if len(few) > MOST_IN_PAIR:
        return False
    return any(_same(wanted, a * b) for a in distinct for b in few if b > 1 and a != b)


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
