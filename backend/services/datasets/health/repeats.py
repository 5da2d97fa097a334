"""Rows that say the same: exact, near and of one meaning; and rows that contradict each other."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, islice

import numpy as np

from backend.errors import CannotCompute, raised_as
from backend.schemas.health import Gain
from backend.services.datasets.health.findings import (
    INPUT,
    REFERENCE,
    FindingSeverity,
    Flagged,
    HealthMaterial,
    KindFindings,
    Task,
    nothing_to_gain,
)
from backend.tables.datasets import Split
from evaluators.spread import Spread, cut

BLOCK = 512
MOST_OTHERS = 5
MOST_CHARACTERS = 4_000
_FIGURE = re.compile(r"\d+(?:[.,]\d+)*")


def find_exact(material: HealthMaterial) -> KindFindings:
    """Rows of which prompt and references are those of an earlier row, case and marks folded."""
    rows = []
    for found in material.same_prompts:
        by_answer: dict[str, list[int]] = defaultdict(list)
        for number in found:
            by_answer[material.answers[number]].append(number)
        for same in by_answer.values():
            rows += [_repeat(material, n, same[0], "Repeats", 1.0) for n in same[1:]]
    return _found(material, rows, "exact copies")


def find_near(material: HealthMaterial) -> KindFindings:
    """Rows of which the prompt repeats an earlier one in other words (`near_duplicates`)."""
    firsts: dict[int, int] = {}
    for one, other in sorted(material.near_pairs):
        firsts.setdefault(other, one)
    rows = [_repeat(material, n, first, "Nearly repeats", None) for n, first in firsts.items()]
    return _found(material, rows, "near copies")


def find_semantic(material: HealthMaterial) -> KindFindings:
    """Rows of which the prompt means what an earlier one means, by the encoder that is named.

    Raises:
        CannotCompute: no encoder is named.
    """
    if material.encoder is None:
        raise CannotCompute(
            "No encoder is named, and meaning is not told without one.", hint="--encoder FOLDER"
        )
    known = {frozenset(pair) for pair in material.near_pairs}
    pairs = [pair for pair in _alike(material) if frozenset(pair[:2]) not in known]
    best = dict[int, tuple[int, float]]()
    for one, other, cosine in pairs:
        if cosine > best.get(other, (0, 0.0))[1]:
            best[other] = (one, cosine)
    rows = [
        _repeat(material, n, first, "Means the same as", round(cosine, 4))
        for n, (first, cosine) in sorted(best.items())
    ]
    note = f"cosine of at least {material.alike:g} by the encoder {encoder_name(material.encoder)}"
    return _found(material, rows, "copies in meaning", notes=(note,))


def find_contradictions(material: HealthMaterial) -> KindFindings:
    """The same prompt with another reference; a nearly same one with another label or number."""
    rows = [*_same_prompt(material), *_near_prompt(material)]
    distinct = {(row.id, row.others): row for row in reversed(rows)}
    rows = sorted(distinct.values(), key=lambda row: -(row.score or 0))
    n = sum(bool(row.references) for row in material.rows)
    if material.task is Task.CLASSES:
        return KindFindings(tuple(rows), n, _bound_of_contradictions(material))
    gain = nothing_to_gain(
        "two texts that differ may both be right, and only a reader can tell whether they "
        "contradict each other."
    )
    severity = FindingSeverity.WARNING if rows else None
    return KindFindings(tuple(rows), n, gain, severity=severity)


def _same_prompt(material: HealthMaterial) -> Iterator[Flagged]:
    for found in material.same_prompts:
        by_answer: dict[str, list[int]] = defaultdict(list)
        for number in found:
            if material.answers[number]:
                by_answer[material.answers[number]].append(number)
        n = sum(map(len, by_answer.values()))
        for answer, same in by_answer.items():
            if len(same) == n:
                continue
            elsewhere = (rows for other, rows in by_answer.items() if other != answer)
            others = sorted(islice(chain.from_iterable(elsewhere), MOST_OTHERS))
            why = (
                f"The same is asked {n} times and answered in {len(by_answer)} ways; "
                f"{n - len(same)} rows have another reference than this one."
            )
            yield from (_against(material, number, others, why, 1.0) for number in same)


def _near_prompt(material: HealthMaterial) -> Iterator[Flagged]:
    """Nearly the same prompt: another class, or texts with other numbers."""
    opposed: dict[int, list[int]] = defaultdict(list)
    for one, other in material.near_pairs:
        if _differ(material, one, other):
            opposed[one].append(other)
            opposed[other].append(one)
    what = "label" if material.task is Task.CLASSES else "numbers in the reference"
    for number, others in sorted(opposed.items()):
        why = f"Nearly the same is asked in {len(others)} other rows, with other {what}."
        yield _against(material, number, others, why, 0.5)


def _differ(material: HealthMaterial, one: int, other: int) -> bool:
    a, b = material.answers[one], material.answers[other]
    if not a or not b or a == b:
        return False
    if material.task is Task.CLASSES:
        return True
    said = [set(_FIGURE.findall(material.rows[n].references[0])) for n in (one, other)]
    return said[0] != said[1] and bool(said[0] and said[1])


def _against(
    material: HealthMaterial, number: int, others: Sequence[int], why: str, score: float
) -> Flagged:
    ids = tuple(material.rows[n].external_id for n in others[:MOST_OTHERS])
    return Flagged(material.rows[number].external_id, REFERENCE, why, score=score, others=ids)


def _bound_of_contradictions(material: HealthMaterial) -> Gain:
    """A model gives one answer to one prompt: what it must get wrong, whatever it learns."""
    lost = judged = 0
    for found in material.same_prompts:
        counted = Counter(material.answers[n] for n in found if material.answers[n])
        judged += counted.total()
        lost += counted.total() - max(counted.values(), default=0)
    n = sum(bool(answer) for answer in material.answers)
    if not lost:
        return nothing_to_gain("no prompt that is the same has two labels.")
    sentence = (
        f"A model gives one answer to one prompt, so {lost} of these {n} rows disagree with any "
        f"model: accuracy on them cannot exceed {1 - lost / n:.2%} as they stand."
    )
    return Gain(sentence, "most that accuracy can be", 1 - lost / n, n=n)


def _repeat(
    material: HealthMaterial, number: int, first: int, verb: str, score: float | None
) -> Flagged:
    row, other = material.rows[number], material.rows[first]
    across = row.split != other.split and Split.TRAIN in (row.split, other.split)
    apart = f" ({row.split} and {other.split}: a leak)" if across else ""
    why = f"{verb} the prompt of {other.external_id}{apart}."
    return Flagged(row.external_id, INPUT, why, score=score, others=(other.external_id,))


def _found(
    material: HealthMaterial, rows: Sequence[Flagged], what: str, *, notes: Sequence[str] = ()
) -> KindFindings:
    leaks = sum(row.why.endswith("a leak).") for row in rows)
    severity = FindingSeverity.SEVERE if leaks else None
    said = [f"{leaks} of them lie across training and held-out rows"] if leaks else []
    n = len(material.rows)
    distinct = n - len({row.id for row in rows})
    sentence = (
        f"Of {n} rows {distinct} are left without {what}: intervals are as wide as those of "
        f"{distinct} rows, and a model sees the others twice."
    )
    gain = Gain(sentence, "rows that count", float(distinct), n=n)
    return KindFindings(tuple(rows), n, gain, severity=severity, notes=(*notes, *said))


def _alike(material: HealthMaterial) -> Iterator[tuple[int, int, float]]:
    """Pairs of different prompts by their cosine, the smaller number first, block by block."""
    firsts = material.firsts
    prompts = [material.prompts[number] for number in firsts]
    vectors = embed(prompts, str(material.encoder), spread=material.spread_model)
    for start in range(0, len(vectors), BLOCK):
        likeness = vectors[start : start + BLOCK] @ vectors.T
        rows, columns = np.nonzero(likeness >= material.alike)
        for row, other in zip(rows.tolist(), columns.tolist(), strict=True):
            if start + row < other:
                yield firsts[start + row], firsts[other], float(likeness[row, other])


def embed(texts: Sequence[str], encoder: str, *, spread: Spread = map) -> np.ndarray:
    """Unit vectors of texts, shape (texts, width), float32: mean token states of the encoder.

    Args:
        spread: where blocks of texts are encoded; the encoder lies under the same path there.

    Raises:
        CannotCompute: the encoder cannot be loaded.
    """
    from evaluators.errors import EvaluatorError
    from evaluators.metrics.encoders import mean_states

    order = sorted(range(len(texts)), key=lambda n: len(texts[n]))  # alike long: little padding
    read = [texts[n][:MOST_CHARACTERS] or " " for n in order]
    with raised_as(CannotCompute, EvaluatorError):
        found = list(chain.from_iterable(spread(partial(mean_states, encoder), cut(read, BLOCK))))
    vectors = np.empty((len(order), len(found[0])), dtype=np.float32)
    vectors[order] = np.stack(found)
    unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return unit


def encoder_name(encoder: str) -> str:
    """The last part of a path: where a folder lies is nobody's business."""
    return encoder.rstrip("/").rpartition("/")[2]
