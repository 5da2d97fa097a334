"""Exact match and token F1 under the rules of SQuAD (Rajpurkar et al. 2016, arXiv:1606.05250).

Text is lower-cased, ASCII punctuation and the articles a, an and the are removed, white space is
folded. With several references the best one counts. In line with SQuAD 2.0, an answer that is
empty after this equals only a reference that is empty too; but two texts of which nothing is left,
and which differ, cannot be compared: there is no score.

As published, these rules take 3.14 and 314, or -5 and 5, for equal. `exact_match_numbers` compares
numbers by their value (1,000 is 1000, 3.140 is 3.14, -5 is not 5) and the rest by the same rules.
`token_f1` takes a sentence without spaces for one word; `token_f1_unicode` takes the words of any
script (`metrics.tokens`), and no article away.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial

from evaluators.metric import Metric, each, no_note
from evaluators.metrics.tokens import script_of, unicode_tokens, unspaced_note
from evaluators.types import Sample, Score

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_NUMBER = re.compile(
    r"(?:(?<![\w.,])(?P<sign>[-−–]))?[$€£¥]?(?P<inner>(?<=[$€£¥])[-−])?(?<![\d.,])"
    r"(?P<digits>\d+(?:[.,'’\u00a0\u202f]\d+)*|\.\d+)(?P<power>[eE][+-]?\d{1,3}(?!\w))?"
)
_NOT_DIGIT = re.compile(r"\D")
_GROUPED = re.compile(r"\d{1,3}(?:(?P<mark>[.,'’\u00a0\u202f])\d{3})(?:(?P=mark)\d{3})*")


def normalise_answer(text: str) -> str:
    """Lower case, no punctuation, no articles, single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def answer_words(text: str) -> list[str]:
    """The words of the normalised text."""
    return normalise_answer(text).split()


def answer_with_numbers(text: str) -> list[str]:
    """As `answer_words`, with each number by its value; a mark between two numbers stays."""
    words: list[str] = []
    end = 0
    for found in _NUMBER.finditer(text):
        between = text[end : found.start()]
        marked = end > 0 and between in ("/", ":", "-", "–")
        words += [between] if marked else answer_words(between)
        words.append(_value(found))
        end = found.end()
    return [*words, *answer_words(text[end:])]


def _value(found: re.Match[str]) -> str:
    """Its sign, the digits that count and their power of ten; a version as it is written."""
    plain = _plain(found["digits"])
    if plain is None:
        return found["digits"]
    _, digits, exponent = Decimal(plain + (found["power"] or "")).as_tuple()
    written = "".join(map(str, digits)).lstrip("0")
    kept = written.rstrip("0")
    minus = "-" if kept and (found["sign"] or found["inner"]) else ""
    return f"{minus}{kept}e{int(exponent) + len(written) - len(kept) if kept else 0}"


def _plain(digits: str) -> str | None:
    """Marks before three digits are of thousands, unless a point stands alone; else decimal."""
    grouped = _GROUPED.fullmatch(digits)
    if grouped is not None and not (grouped["mark"] == "." and digits.count(".") == 1):
        return _NOT_DIGIT.sub("", digits)
    marks = _NOT_DIGIT.findall(digits)
    if not marks:
        return digits
    if marks.count(marks[-1]) > 1:
        return None
    whole, _, fraction = digits.rpartition(marks[-1])
    return f"{_NOT_DIGIT.sub('', whole) or '0'}.{fraction}"


def token_f1(prediction: str, reference: str) -> float:
    """Harmonic mean of token precision and recall, from 0 to 1."""
    return _overlap(answer_words(prediction), answer_words(reference))


def _overlap(ours: list[str], theirs: list[str]) -> float:
    if not ours or not theirs:
        return float(ours == theirs)
    common = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * common / (len(ours) + len(theirs))


Words = Callable[[str], list[str]]


def _score(sample: Sample, *, words: Words, rate: Callable[[list[str], list[str]], float]) -> Score:
    ours, theirs = words(sample.prediction), [words(r) for r in sample.references]
    if (problem := _incomparable(sample, ours, theirs)) is not None:
        return Score(None, error=problem)
    value = max(rate(ours, reference) for reference in theirs)
    text = sample.prediction + sample.references[0]
    script = None if words is unicode_tokens else script_of(text)
    return Score(value, stats=() if script is None else (float(script),))


def _incomparable(sample: Sample, ours: list[str], theirs: list[list[str]]) -> str | None:
    """Why there is no score: nothing is left of a prediction and of a reference that differ."""
    if ours or all(theirs):
        return None
    said = sample.prediction.strip().casefold()
    pairs = zip(sample.references, theirs, strict=True)
    left = [reference.strip().casefold() for reference, words in pairs if not words]
    if said in left or "" in left:
        return None
    return f"the rules keep no word of the prediction {said!r} and of the reference {left[0]!r}"


def _equal(ours: list[str], theirs: list[str]) -> float:
    return float(ours == theirs)


def _metric(
    name: str,
    words: Words,
    rate: Callable[[list[str], list[str]], float],
    recipe: str,
    description: str,
    notes: Callable[[Sequence[Score]], str] = no_note,
    *,
    version: int = 1,
) -> Metric:
    return Metric(
        name,
        version,
        each(partial(_score, words=words, rate=rate)),
        needs=NEEDS,
        recipe=lambda scores: recipe,
        description=description,
        notes=notes,
    )


NEEDS = frozenset({"reference"})
EXACT_MATCH = _metric(
    "exact_match",
    answer_words,
    _equal,
    "norm:squad",
    "share of answers equal to a reference but for case, articles and punctuation (3.14 is 314)",
    version=2,
)
EXACT_MATCH_NUMBERS = _metric(
    "exact_match_numbers",
    answer_with_numbers,
    _equal,
    "norm:squad|numbers:by-value",
    "exact_match with numbers compared by value",
)
TOKEN_F1 = _metric(
    "token_f1",
    answer_words,
    _overlap,
    "norm:squad",
    "overlap of answer and reference in words",
    partial(unspaced_note, place=0, instead="token_f1_unicode splits it"),
    version=2,
)
TOKEN_F1_UNICODE = _metric(
    "token_f1_unicode",
    unicode_tokens,
    _overlap,
    "tok:unicode",
    "overlap of answer and reference in words of any script",
)
