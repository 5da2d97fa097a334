"""Texts unlike the others of their field: far too long or short, or in another language."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from backend.errors import CannotCompute
from backend.services.datasets.health.findings import (
    CONTEXT,
    INPUT,
    REFERENCE,
    Flagged,
    HealthMaterial,
    KindFindings,
    Task,
    nothing_to_gain,
)
from backend.services.datasets.health.languages import guess_language
from backend.services.datasets.versions import ExampleRow

FENCE = 3.0
LEAST_ROWS = 20
LEAST_FACTOR = 4.0
LEAST_MAIN = 0.8

PARTS: Mapping[str, Callable[[ExampleRow], str]] = {
    INPUT: lambda row: row.input,
    CONTEXT: lambda row: row.context or "",
    REFERENCE: lambda row: row.references[0] if row.references else "",
}


def texts_of(material: HealthMaterial, *, free: bool) -> dict[str, list[tuple[str, str]]]:
    """By part (id, text) of the rows that have one; the names of classes are no free text."""
    parts = dict(PARTS)
    if free and material.task is Task.CLASSES:
        del parts[REFERENCE]
    texts = {
        part: [(row.external_id, text) for row in material.rows if (text := read(row)).strip()]
        for part, read in parts.items()
    }
    return {part: found for part, found in texts.items() if found}


def find_length_outliers(material: HealthMaterial) -> KindFindings:
    """Texts beyond three times the interquartile range of the logarithm of the length.

    Tukey 1977, "Exploratory Data Analysis" (far out). A text must be four times longer or shorter
    than the median, too, so that texts of nearly one length are not flagged for a word.

    Raises:
        CannotCompute: no part has twenty texts.
    """
    parts = {p: t for p, t in texts_of(material, free=True).items() if len(t) >= LEAST_ROWS}
    if not parts:
        raise CannotCompute(f"It takes {LEAST_ROWS} texts to say which are unlike the others.")
    rows = tuple(flag for part, texts in parts.items() for flag in _far_out(part, texts))
    details = tuple(_lengths(part, texts) for part, texts in parts.items())
    why = "a long text may be the best of all; look at those that a training would cut."
    return KindFindings(rows, len(material.rows), nothing_to_gain(why), details=details)


def _far_out(part: str, texts: Sequence[tuple[str, str]]) -> Iterator[Flagged]:
    logs = sorted(math.log(len(text)) for _, text in texts)
    low, middle, high = (logs[int(share * (len(logs) - 1))] for share in (0.25, 0.5, 0.75))
    reach = max(FENCE * (high - low), math.log(LEAST_FACTOR))
    for identity, text in texts:
        length = math.log(len(text))
        beyond = max(
            length - max(high + FENCE * (high - low), middle + reach),
            min(low - FENCE * (high - low), middle - reach) - length,
        )
        if beyond > 0:
            factor = math.exp(abs(length - middle))
            than = "longer" if length > middle else "shorter"
            why = f"{len(text)} characters: {factor:.0f} times {than} than the median."
            yield Flagged(identity, part, why, score=round(beyond, 3))


def _lengths(part: str, texts: Sequence[tuple[str, str]]) -> dict[str, object]:
    lengths = sorted(len(text) for _, text in texts)
    marks = {"median": 0.5, "95%": 0.95, "longest": 1.0}
    said = {name: lengths[int(share * (len(lengths) - 1))] for name, share in marks.items()}
    return {"part": part, "n": len(lengths), "shortest": lengths[0], **said}


def find_other_languages(material: HealthMaterial) -> KindFindings:
    """Texts in another language than most of their part; without a main language, none.

    Raises:
        CannotCompute: the language of no twenty texts can be told.
    """
    rows: list[Flagged] = []
    details, looked_at = [], set[str]()
    for part, texts in texts_of(material, free=True).items():
        told = [(i, code) for i, text in texts if (code := guess_language(text)) is not None]
        if len(told) < LEAST_ROWS:
            continue
        counted = Counter(code for _, code in told)
        main, most = counted.most_common(1)[0]
        looked_at |= {identity for identity, _ in told}
        details.append({"part": part, "n": len(told), **dict(counted.most_common(5))})
        if most / len(told) >= LEAST_MAIN:
            why = f"In another language ({{}}) than most ({main})."
            rows += [
                Flagged(i, part, why.format(code), score=most / len(told))
                for i, code in told
                if code != main
            ]
    if not details:
        raise CannotCompute(f"The language of fewer than {LEAST_ROWS} texts can be told.")
    notes = ("told by small words and scripts; texts under four words are not told",)
    gain = nothing_to_gain("whether other languages are wanted is not in the data.")
    return KindFindings(tuple(rows), len(looked_at), gain, details=tuple(details), notes=notes)
