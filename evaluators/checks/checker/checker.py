"""The project's own checker: a model that reads a source and one sentence, and answers yes or no.

How it is asked is one constant form, the same in training and in scoring. A long source is cut to
the passages most like the sentence. That the sentence is supported has the probability of the
first token of `yes` against that of `no`. Knows neither where the model comes from nor who serves
it.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaluators.checks.grounding.grounding import source_of
from evaluators.checks.models.interface import Asker, Continuation, Likelihood, Message
from evaluators.checks.text.claims import split_sentences
from evaluators.types import Sample, Score, Span

FORM_VERSION = 1  # raised whenever any question could read otherwise
ANSWERS = (("yes", "no"), ("Yes", "No"), ("true", "false"), ("right", "wrong"))
WEAK = 0.5
LONGEST_SENTENCE = 600  # code points; what is longer is read in pieces
SOURCE_BYTES = 2400  # of UTF-8, which bounds the tokens of every script
_GAP = " ... "
_GRAM = 4
_WORD = re.compile(r"\w+")
_QUESTION = (
    "Source:\n{source}\n\nSentence:\n{sentence}\n\n"
    "Does the source support all that the sentence says? Answer {yes} or {no}."
)


@dataclass(frozen=True, slots=True)
class CheckerForm:
    """How one checker is asked.

    Attributes:
        yes, no: the answers of supported and not supported; they begin with different tokens.
        source_bytes: how much of a source is shown, in bytes of UTF-8.
    """

    yes: str
    no: str
    source_bytes: int = SOURCE_BYTES
    version: int = FORM_VERSION

    @property
    def digest(self) -> str:
        """SHA-256 of what is asked around source and sentence."""
        said = _QUESTION.format(source="{source}", sentence="{sentence}", yes=self.yes, no=self.no)
        return hashlib.sha256(f"{self.version}\0{said}\0{self.source_bytes}".encode()).hexdigest()

    def answer(self, supported: bool) -> str:
        """What the checker is taught to say."""
        return self.yes if supported else self.no

    def as_record(self) -> dict[str, Any]:
        """As it is kept with the adapter."""
        return {
            "version": self.version,
            "yes": self.yes,
            "no": self.no,
            "source_bytes": self.source_bytes,
            "digest": self.digest,
        }


def form_of_record(record: Mapping[str, Any]) -> CheckerForm | None:
    """The form that a checker was trained with; None where this Strop asks in another one."""
    try:
        found = CheckerForm(
            str(record["yes"]), str(record["no"]), int(record["source_bytes"]), record["version"]
        )
    except (KeyError, TypeError, ValueError):
        return None
    return found if found.digest == record.get("digest") else None


def ask(source: str, sentence: str, form: CheckerForm) -> list[Message]:
    """The question about one sentence, as chat messages."""
    shown = nearest_passages(source, sentence, form.source_bytes)
    said = _QUESTION.format(
        source=shown, sentence=" ".join(sentence.split()), yes=form.yes, no=form.no
    )
    return [{"role": "user", "content": said}]


def sentences_of(text: str) -> list[tuple[int, int]]:
    """Code points of each sentence; one of more than LONGEST_SENTENCE is cut at white space."""
    return [piece for start, end in split_sentences(text) for piece in _pieces(text, start, end)]


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while end - start > LONGEST_SENTENCE:
        cut = text.rfind(" ", start + LONGEST_SENTENCE // 2, start + LONGEST_SENTENCE)
        cut = start + LONGEST_SENTENCE if cut < 0 else cut
        yield start, cut
        start = cut + (text[cut : cut + 1] == " ")
    if text[start:end].strip():
        yield start, end


def nearest_passages(source: str, sentence: str, size: int) -> str:
    """The source whole, or of its sentences those most like one, in the order of the source.

    Likeness is the sum over shared runs of four characters within words, each weighed by how few
    sentences of the source have it, so that it serves any script. What stands beside a sentence
    that fits counts a quarter of it, as an answer speaks of what was asked.

    Args:
        size: bytes of UTF-8 that the result may have; the gaps between passages count.
    """
    source = source.strip()
    if len(source.encode()) <= size:
        return source
    places = sentences_of(source)
    lifted = _lift_neighbours(_likeness([source[a:b] for a, b in places], sentence))
    order = sorted(range(len(places)), key=lambda i: (-lifted[i], i))
    chosen: list[int] = []
    left = size
    for i in order:
        cost = len(source[slice(*places[i])].encode()) + len(_GAP)
        if cost <= left:
            chosen.append(i)
            left -= cost
    if not chosen:  # even the nearest one is longer than all there is room for
        return source[slice(*places[order[0]])].encode()[:size].decode(errors="ignore")
    return _join([places[i] for i in sorted(chosen)], source)


def _join(places: Sequence[tuple[int, int]], source: str) -> str:
    parts, end = [source[slice(*places[0])]], places[0][1]
    for a, b in places[1:]:
        parts.append(" " if not source[end:a].strip() else _GAP)
        parts.append(source[a:b])
        end = b
    return "".join(parts)


def _likeness(known: Sequence[str], sentence: str) -> list[float]:
    grams = [_grams(one) for one in known]
    common = Counter(gram for one in grams for gram in one)
    asked = _grams(sentence)
    return [sum(1 / common[gram] for gram in one & asked) for one in grams]


def _lift_neighbours(likeness: Sequence[float]) -> list[float]:
    padded = [0.0, *likeness, 0.0]
    return [
        max(own, (before + after) / 4)
        for before, own, after in zip(padded, likeness, padded[2:], strict=False)
    ]


def _grams(text: str) -> frozenset[str]:
    words = (f" {word} " for word in _WORD.findall(text.casefold()))
    return frozenset(w[i : i + _GRAM] for w in words for i in range(max(1, len(w) - _GRAM + 1)))


Judged = tuple[float | None, str | None]  # the probability of supported, or why there is none


def judge_sentences(
    asked: Sequence[tuple[str, str]], asker: Asker, form: CheckerForm
) -> list[Judged]:
    """The probability that each sentence is supported by its source, or why it cannot be told.

    Args:
        asked: (source, sentence); the same pair is asked once.
    """
    pairs = list(dict.fromkeys(asked))
    prompts = [ask(source, sentence, form) for source, sentence in pairs]
    answers = [Continuation(p, word) for p in prompts for word in (form.yes, form.no)]
    read = asker.read(answers) if answers else []
    told = {pair: _weigh(read[2 * i], read[2 * i + 1]) for i, pair in enumerate(pairs)}
    return [told[pair] for pair in asked]


def _weigh(yes: Likelihood, no: Likelihood) -> Judged:
    for one in (yes, no):
        if one.error is not None:
            return None, one.error
        if not one.logprobs or not math.isfinite(one.logprobs[0]):
            return None, "the model gives its answers no finite probability"
    gap = no.logprobs[0] - yes.logprobs[0]
    return (1 / (1 + math.exp(gap)) if gap < 700 else 0.0), None


def check_samples(samples: Sequence[Sample], asker: Asker, form: CheckerForm) -> list[Score]:
    """The least supported sentence of each output, with the sentences that are not supported."""
    places = [sentences_of(sample.prediction) for sample in samples]
    asked = [
        (source_of(sample), sample.prediction[a:b])
        for sample, found in zip(samples, places, strict=True)
        for a, b in found
    ]
    told = iter(judge_sentences(asked, asker, form))
    return [_summarise([(place, *next(told)) for place in found]) for found in places]


def _summarise(judged: Sequence[tuple[tuple[int, int], float | None, str | None]]) -> Score:
    if not judged:
        return Score(None, not_applicable=True, explanation="the output has no sentence")
    if error := next((error for _, _, error in judged if error is not None), None):
        return Score(None, error=error)
    told = [(place, p) for place, p, _ in judged if p is not None]
    value = lowest(p for _, p in told)
    spans = tuple(
        Span(a, b, f"the checker finds it supported with probability {p:.2f}", "not supported")
        for (a, b), p in told
        if p < WEAK
    )
    are = "is" if len(spans) == 1 else "are"
    return Score(
        value,
        explanation=f"{len(spans)} of {len(told)} sentences {are} not supported; the least "
        f"supported one is so with probability {value:.2f}",
        spans=spans,
        stats=(float(len(told)),),
    )


def lowest(probabilities: Iterable[float]) -> float:
    """The output is as good as its worst sentence: one wrong sentence is what is looked for."""
    return min(probabilities)
