"""Relative features: what a check says of an answer, less what it says of the other answers.

Where several models or samples answer one source, much of a feature is the source's: a long or a
numerous one raises `invented` of all its answers. What is left after the mean over the other
answers is taken away (the jackknife's leave-one-out mean; within-cluster centring, Kreft, de Leeuw
and Aiken 1995) is the answer's own. No label is used.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from evaluators.errors import InvalidValues
from evaluators.types import Sample

MARK = "~others"
Row = Mapping[str, float | None]
_DIGITS = 16  # of a digest: two of a million texts meet once in ten million files


class AnswerKey(NamedTuple):
    """Which answer a row is of.

    Attributes:
        source: what it answers; None where that is not known.
        text: the answer, or what stands for it: equal texts are one answer; None for an own one.
    """

    source: str | None
    text: str | None = None


def digest_text(*parts: str) -> str:
    """A short name of texts, equal for equal ones."""
    joined = "\x1f".join(part.strip() for part in parts)
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


def answered(sample: Sample) -> AnswerKey:
    """What a sample answers, its context with its input, and with which text."""
    asked = ((sample.context or "").strip(), (sample.input or "").strip())
    return AnswerKey(digest_text(*asked) if any(asked) else None, digest_text(sample.prediction))


def relative_name(feature: str) -> str:
    """The name of a feature less its mean over the other answers."""
    return feature + MARK


def is_relative(feature: str) -> bool:
    """Whether a feature is one less its mean over the other answers."""
    return feature.endswith(MARK)


def base_name(feature: str) -> str:
    """The feature that a relative one is made of; any other is itself."""
    return feature.removesuffix(MARK)


def others_of(answers: Sequence[AnswerKey]) -> list[tuple[int, ...]]:
    """For each answer the places of the other answers to its source, each text once.

    An answer of the same text is no other answer.
    """
    places: dict[str, dict[object, int]] = defaultdict(dict)
    for i, one in enumerate(answers):
        if one.source is not None:
            places[one.source].setdefault(_key(i, one), i)
    return [
        ()
        if one.source is None
        else tuple(j for key, j in places[one.source].items() if key != _key(i, one))
        for i, one in enumerate(answers)
    ]


def _key(place: int, one: AnswerKey) -> object:
    return (place,) if one.text is None else one.text


def relative_rows(
    rows: Sequence[Row], answers: Sequence[AnswerKey], names: Sequence[str] | None = None
) -> list[dict[str, float | None]]:
    """The rows with, for every feature, its difference to the mean over the other answers.

    None where the feature has no value here, or in no other answer of the source.

    Args:
        answers: of each row. Rows that nobody labelled are other answers too: give all there are.
        names: the features to compare; all by default.

    Raises:
        InvalidValues: the lengths differ.
    """
    if len(rows) != len(answers):
        raise InvalidValues(f"{len(rows)} rows for {len(answers)} answers.")
    chosen = sorted({k for row in rows for k in row}) if names is None else list(names)
    found = [dict(row) for row in rows]
    for members in _by_source(answers):
        for name in chosen:
            for i, value in zip(members, _apart(rows, answers, members, name), strict=True):
                found[i][relative_name(name)] = value
    return found


def _by_source(answers: Sequence[AnswerKey]) -> list[list[int]]:
    """Places of the answers to each source; one that has no source is alone."""
    places: dict[object, list[int]] = defaultdict(list)
    for i, one in enumerate(answers):
        places[(i,) if one.source is None else one.source].append(i)
    return list(places.values())


def _apart(
    rows: Sequence[Row], answers: Sequence[AnswerKey], members: Sequence[int], name: str
) -> list[float | None]:
    """Each member's value less the mean of the others': sums, so that it takes one pass."""
    known: dict[object, float] = {}  # the first value of each text counts
    for i in members:
        value = rows[i].get(name)
        if value is not None and answers[i].source is not None:
            known.setdefault(_key(i, answers[i]), float(value))
    total = math.fsum(known.values())
    return [_less_others(rows[i].get(name), known, total, _key(i, answers[i])) for i in members]


def _less_others(
    value: float | None, known: Mapping[object, float], total: float, key: object
) -> float | None:
    others = len(known) - (key in known)
    if value is None or not others:
        return None
    return float(value) - (total - known.get(key, 0.0)) / others
