"""Why a draft is dropped before an expert ever sees it.

In this order: what is no draft (failed, malformed, empty, cut off or too long, a refusal, a text
that repeats itself), what repeats the held-out, what repeats training rows, what the source does
not hold, what repeats another draft. Each draft has the first reason that holds of it.

A draft is held against every held-out text of the project, whatever its dataset, by its input, its
whole prompt and its answer; nearness is that of `near_duplicates`, and of an encoder where one is
named. Its source is its document or the document of its example: input and answer may state
nothing that the rules of `invented` find unsupported, and their words must stand there as far as
`least_overlap` says. Where there is no source, `unchecked` says so, and an expert is told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol

from backend.schemas.common import unstorable
from backend.services.datasets.leaks import LeakSide, canned_answers
from backend.services.datasets.near_duplicates import (
    NearDuplicate,
    find_near_duplicates,
    fold,
    near_duplicate_pairs,
)
from backend.services.synthetic.parsing import parse_answer, parse_pair
from backend.tables.synthetic import DraftShape
from evaluators.registry import METRICS
from evaluators.spread import Spread, cut
from evaluators.types import Sample, Score

LONGEST = 8000
REPEATED = 0.5
LEAST_OVERLAP = 0.2
SEMANTIC = 0.9
AT_ONCE = 5


class DropReason(StrEnum):
    """Why a draft is dropped."""

    FAILED = "failed"
    MALFORMED = "malformed"
    EMPTY = "empty"
    TOO_LONG = "too_long"
    REFUSAL = "refusal"
    REPETITIVE = "repetitive"
    LIKE_HELD_OUT = "like_held_out"
    UNGROUNDED = "ungrounded"
    LIKE_TRAIN = "like_train"
    LIKE_DRAFT = "like_draft"
    RISKY = "risky"


IN_WORDS: Mapping[str, str] = {
    DropReason.FAILED: "the engine gave no answer",
    DropReason.MALFORMED: "not in the form that was asked for",
    DropReason.EMPTY: "empty",
    DropReason.TOO_LONG: "cut off, or far longer than the answers there are",
    DropReason.REFUSAL: "a refusal",
    DropReason.REPETITIVE: "repeats itself",
    DropReason.LIKE_HELD_OUT: "repeats a held-out text",
    DropReason.UNGROUNDED: "states what its source does not say",
    DropReason.LIKE_TRAIN: "repeats a training row",
    DropReason.LIKE_DRAFT: "repeats another draft",
    DropReason.RISKY: "above the risk that was allowed",
}
DUPLICATES = (DropReason.LIKE_TRAIN, DropReason.LIKE_DRAFT)


@dataclass(frozen=True, slots=True)
class DraftText:
    """A text as it was drafted, with what it was asked by.

    Attributes:
        key: of the caller.
        source: the document that it must be true to.
        given_input: what it answers, of the shape `answer`.
    """

    key: int
    text: str | None
    error: str | None = None
    is_cut: bool = False
    source: str | None = None
    given_input: str | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """How strict the checks are.

    Attributes:
        longest: characters of an answer.
        least_overlap: least share of content words that stand in the source, sentence by sentence.
        semantic: least cosine at which an encoder calls two texts the same.
    """

    longest: int = LONGEST
    least_overlap: float = LEAST_OVERLAP
    semantic: float = SEMANTIC


@dataclass(frozen=True, slots=True)
class Beside:
    """What drafts are held against.

    Attributes:
        held_out: prompts and references that are held out (`leaks.held_out_sides`).
        held_out_inputs: the inputs alone, each with its example, but for those that several share.
        train, train_answers: inputs (or whole prompts) and references to train on.
        drafts: inputs (or whole prompts) of drafts that were kept before.
    """

    held_out: Sequence[LeakSide] = ()
    held_out_inputs: Mapping[str, str] = field(default_factory=dict)
    train: Sequence[str] = ()
    train_answers: Sequence[str] = ()
    drafts: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Sifted:
    """A draft with what was read of it, and why it is dropped, if it is."""

    written: DraftText
    input: str | None = None
    answer: str | None = None
    reason: DropReason | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def prompt(self) -> str:
        """Its input with its source below."""
        return "\n\n".join(part for part in (self.input, self.written.source) if part)


class Encode(Protocol):
    """Texts to unit vectors, one row each."""

    def __call__(self, texts: Sequence[str], /) -> Any: ...


def sift(
    written: Sequence[DraftText],
    beside: Beside,
    *,
    shape: DraftShape,
    bounds: Bounds | None = None,
    encode: Encode | None = None,
    spread: Spread = map,
) -> list[Sifted]:
    """Each draft with the first reason that holds of it, in their order.

    Args:
        encode: finds texts of one meaning too; None: by words alone.
        spread: where blocks of texts are prepared to be compared.
    """
    limits = bounds or Bounds()
    found = [read(one, shape, limits) for one in written]
    found = _drop(found, DropReason.LIKE_HELD_OUT, _held_out(_open(found), beside, shape))
    found = _drop(found, DropReason.LIKE_TRAIN, _like_train(_open(found), beside, shape, spread))
    found = _drop(found, DropReason.UNGROUNDED, _ungrounded(_open(found), shape, limits))
    if encode is not None:
        for reason, rows in _same_meaning(_open(found), beside, encode, limits.semantic):
            found = _drop(found, reason, rows)
    found = _drop(found, DropReason.LIKE_DRAFT, _like_drafts(_open(found), beside, shape, spread))
    unchecked = {"unchecked": "it has no source to be held against"}
    return [
        one
        if one.reason is not None or (one.written.source or "").strip()
        else replace(one, detail={**one.detail, **unchecked})
        for one in found
    ]


def read(one: DraftText, shape: DraftShape, bounds: Bounds) -> Sifted:
    """What the model wrote as input and answer, or why it is no draft."""
    if one.text is None:
        return Sifted(one, reason=DropReason.FAILED, detail={"error": one.error or ""})
    given, pair = one.given_input or "", shape is DraftShape.PAIR
    parsed = parse_pair(one.text) if pair else parse_answer(one.text, given)
    if parsed is None or unstorable(parsed.input) or unstorable(parsed.answer):
        reason = DropReason.MALFORMED if one.text.strip() else DropReason.EMPTY
        return Sifted(one, reason=reason, detail={"text": one.text[:240].replace("\x00", "")})
    sifted = Sifted(one, parsed.input, parsed.answer, detail={"form": parsed.form})
    if not parsed.answer.strip() or (pair and not parsed.input.strip()):
        return replace(sifted, reason=DropReason.EMPTY)
    if one.is_cut or max(len(parsed.input), len(parsed.answer)) > bounds.longest:
        return replace(sifted, reason=DropReason.TOO_LONG, detail={"characters": len(one.text)})
    sample = Sample(id="draft", prediction=parsed.answer)
    if _value(METRICS["refusal"].score([sample])[0]) > 0:
        return replace(sifted, reason=DropReason.REFUSAL)
    if (share := _value(METRICS["repetition"].score([sample])[0])) > REPEATED:
        return replace(sifted, reason=DropReason.REPETITIVE, detail={"share": round(share, 3)})
    return sifted


def _value(score: Score) -> float:
    return 0.0 if score.value is None else score.value


def _open(found: Sequence[Sifted]) -> list[Sifted]:
    return [one for one in found if one.reason is None]


Details = Mapping[int, Mapping[str, Any]]  # key of the draft -> why


def _drop(found: Sequence[Sifted], reason: DropReason, rows: Details) -> list[Sifted]:
    return [
        replace(one, reason=reason, detail={**one.detail, **rows[one.written.key]})
        if one.reason is None and one.written.key in rows
        else one
        for one in found
    ]


def _held_out(found: Sequence[Sifted], beside: Beside, shape: DraftShape) -> Details:
    """Drafts of which input, prompt or answer repeats what is held out.

    A few at a time: what many texts share counts as their template, and a model that writes one
    held-out text again and again would make a template of it.
    """
    told: dict[int, Mapping[str, Any]] = {}
    for some in cut(found, AT_ONCE):
        told |= _some_held_out(some, beside, shape)
    return told


def _some_held_out(found: Sequence[Sifted], beside: Beside, shape: DraftShape) -> Details:
    canned = canned_answers([], beside.held_out)
    prompts = [side for side in beside.held_out if not side.is_answer]
    answers = [side for side in beside.held_out if side.is_answer and side.digest not in canned]
    inputs = list(beside.held_out_inputs.items()) if shape is DraftShape.PAIR else []
    theirs = [*(side.text for side in prompts), *(text for text, _ in inputs)]
    theirs += [side.text for side in answers]
    where = [f"{side.example} ({side.where})" for side in prompts]
    where += [f"{example} (its input)" for _, example in inputs]
    where += [f"{side.example} ({side.where})" for side in answers]
    below = [one for one in found if shape is DraftShape.PAIR and one.written.source]
    asked = [(one, one.prompt) for one in found]
    asked += [(one, one.input or "") for one in below]
    asked += [(one, one.answer or "") for one in found]
    texts = [text for _, text in asked]
    pairs = find_near_duplicates(
        texts, theirs, train_answers=len(found), held_out_answers=len(answers)
    )
    keys = [one.written.key for one, _ in asked]
    return {keys[pair.train]: _alike(pair, where[pair.held_out]) for pair in reversed(pairs)}


def _alike(pair: NearDuplicate, what: str) -> dict[str, Any]:
    return {"like": what, "kind": str(pair.kind), "similarity": round(pair.similarity, 3)}


def _ungrounded(found: Sequence[Sifted], shape: DraftShape, bounds: Bounds) -> Details:
    """Drafts that state what their source does not hold; those without a source are left alone."""
    sourced = [one for one in found if (one.written.source or "").strip()]
    samples = [_as_sample(one, shape) for one in sourced]
    invented = METRICS["invented"].score(samples)
    answers = [
        replace(sample, prediction=one.answer or "")
        for one, sample in zip(sourced, samples, strict=True)
    ]
    overlap = METRICS["overlap"].score(answers)
    dropped: dict[int, dict[str, Any]] = {}
    for one, sample, claims, words in zip(sourced, samples, invented, overlap, strict=True):
        if claims.error is not None:
            dropped[one.written.key] = {"error": claims.error}
        elif _value(claims) > 0:
            said = [sample.prediction[span.start : span.end] for span in claims.spans]
            dropped[one.written.key] = {"unsupported": said[:5]}
        elif words.value is not None and words.value < bounds.least_overlap:
            dropped[one.written.key] = {"words_in_source": round(words.value, 3)}
    return dropped


def _as_sample(one: Sifted, shape: DraftShape) -> Sample:
    """A drafted input is held against the source as its answer is: it supports nothing itself."""
    if shape is DraftShape.PAIR:
        text = f"{one.input}\n{one.answer}"
        return Sample(id="draft", prediction=text, context=one.written.source)
    source, asked = one.written.source, one.written.given_input
    return Sample(id="draft", prediction=one.answer or "", context=source, input=asked)


def _like_train(
    found: Sequence[Sifted], beside: Beside, shape: DraftShape, spread: Spread
) -> Details:
    """Drafts of which the input (or the very prompt, where it was given) or the answer is there."""
    told, same = [*beside.train, *beside.train_answers], {}
    if shape is DraftShape.ANSWER:
        known = {fold(text): text for text in beside.train}
        there = [(one, known[fold(one.prompt)]) for one in found if fold(one.prompt) in known]
        same = {one.written.key: {"like": text[:120]} for one, text in there}
        told = list(beside.train_answers)
    pairs = find_near_duplicates(
        [*_inputs(found, shape), *(one.answer or "" for one in found)],
        told,
        train_answers=len(found),
        held_out_answers=len(beside.train_answers),
        spread=spread,
    )
    alike = {
        found[pair.train % len(found)].written.key: _alike(pair, told[pair.held_out][:120])
        for pair in reversed(pairs)
    }
    return {**alike, **same}


def _inputs(found: Sequence[Sifted], shape: DraftShape) -> list[str]:
    """The inputs, where the model wrote them."""
    return [one.input or "" for one in found] if shape is DraftShape.PAIR else []


def _like_drafts(
    found: Sequence[Sifted], beside: Beside, shape: DraftShape, spread: Spread
) -> Details:
    """Drafts that repeat one that was kept before, or an earlier one of these.

    Answers to a given input are told apart by their documents: forms are alike, and yet others.
    """
    before = list(beside.drafts)
    if shape is DraftShape.PAIR:
        texts = [*before, *_inputs(found, shape)]
        pairs = near_duplicate_pairs(texts, spread=spread)
    else:
        texts = [*before, *(one.prompt for one in found)]
        pairs = _same_pairs([fold(text) for text in texts])
    near: dict[int, set[int]] = defaultdict(set)
    for first, second in pairs:
        near[second].add(first)
    kept = set(range(len(before)))
    dropped: dict[int, dict[str, Any]] = {}
    for place, one in enumerate(found, start=len(before)):
        if alike := near[place] & kept:
            dropped[one.written.key] = {"like": texts[min(alike)][:120]}
        else:
            kept.add(place)
    return dropped


def _same_pairs(texts: Sequence[str]) -> list[tuple[int, int]]:
    first: dict[str, int] = {}
    return [
        (first[text], place)
        for place, text in enumerate(texts)
        if first.setdefault(text, place) != place
    ]


def _same_meaning(
    found: Sequence[Sifted], beside: Beside, encode: Encode, least: float
) -> Iterable[tuple[DropReason, Details]]:
    """By the cosine of an encoder: held-out inputs, training inputs, kept and earlier drafts."""
    import numpy as np

    if not found:
        return
    inputs = [one.input or "" for one in found]
    own = np.asarray(encode(inputs))
    for reason, texts in (
        (DropReason.LIKE_HELD_OUT, list(beside.held_out_inputs)),
        (DropReason.LIKE_TRAIN, list(beside.train)),
        (DropReason.LIKE_DRAFT, list(beside.drafts)),
    ):
        if texts:
            yield reason, _nearest(found, own @ np.asarray(encode(texts)).T, texts, least)
    among = np.tril(own @ own.T, k=-1)
    yield DropReason.LIKE_DRAFT, _nearest(found, among, inputs, least)


def _nearest(found: Sequence[Sifted], cosines: Any, texts: Sequence[str], least: float) -> Details:
    best = cosines.argmax(axis=1)
    return {
        one.written.key: {
            "like": texts[int(at)][:120],
            "kind": "meaning",
            "similarity": round(float(cosines[row, at]), 3),
        }
        for row, (one, at) in enumerate(zip(found, best, strict=True))
        if cosines[row, at] >= least
    }
