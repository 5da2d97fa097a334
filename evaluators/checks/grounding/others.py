"""What an answer says alone: its words that no other answer to the same source has.

Several answers to one source agree on most of what they say. Where one was altered, or has made
something up, it differs at that place (the idea of SelfCheckGPT, Manakul et al. 2023,
arXiv:2303.08896, over the answers of several models, or versions of one text, in place of further
samples). Weak signals, none of them a finding: an answer may be the only one that says what is
true. `own_words` is the share of the content words that stand in no other answer, `own_novel` the
number of those that the source does not have either, `others_overlap` the mean share of words held
in common (Jaccard 1912) with each other answer.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from evaluators.checks.grounding.grounding import source_of
from evaluators.checks.grounding.overlap import content_stems
from evaluators.checks.grounding.relative import answered
from evaluators.metric import Metric, each
from evaluators.types import Sample, Score, Span

MOST_OTHERS = 50  # of one source that an answer is held against
_WORD = re.compile(r"\w+")
NO_OTHER = "there is no other answer to the same source"


def with_others(samples: Sequence[Sample]) -> list[Sample]:
    """The samples with the other answers to their source among them.

    An answer of the same text is no other answer. Of more than MOST_OTHERS, those that follow in
    the order of the samples are taken, around the end if need be.
    """
    places: dict[str, list[tuple[int, str]]] = defaultdict(list)
    sources = [answered(sample).source for sample in samples]
    for i, source in enumerate(sources):
        if source is not None:
            places[source].append((i, samples[i].prediction))
    return [
        sample
        if source is None
        else replace(sample, others=some_others(i, sample.prediction, places[source]))
        for i, (sample, source) in enumerate(zip(samples, sources, strict=True))
    ]


def some_others(place: int, text: str, answers: Sequence[tuple[int, str]]) -> tuple[str, ...]:
    """The texts of other answers, each once, MOST_OTHERS at most.

    Args:
        place: of the answer itself.
        answers: (place, text) of all answers to the source, in order of place.
    """
    start = bisect_right(answers, place, key=lambda answer: answer[0])
    found: dict[str, str] = {text.strip(): text}
    for _, other in (*answers[start:], *answers[:start]):
        found.setdefault(other.strip(), other)
        if len(found) > MOST_OTHERS:
            break
    return tuple(other for key, other in found.items() if key != text.strip())


@lru_cache(maxsize=4096)
def _stems(text: str) -> frozenset[str]:
    return frozenset(content_stems(text))


@lru_cache(maxsize=4096)
def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.casefold()))


def _own_words(sample: Sample) -> Score:
    stems = _stems(sample.prediction)
    if not sample.others or not stems:
        return _nothing_own(sample)
    own = _own_stems(sample)
    reason = f"{len(own)} of {len(stems)} content words are in none of {_count(sample)}"
    spans = tuple(_own_spans(sample.prediction, own, "no other answer says"))
    return Score(len(own) / len(stems), explanation=reason, spans=spans)


def _own_novel(sample: Sample) -> Score:
    """A count, since one edit adds a few words however long the output is."""
    stems = _stems(sample.prediction)
    if not sample.others or not stems:
        return _nothing_own(sample)
    own = _own_stems(sample) - _stems(source_of(sample))
    reason = (
        f"{len(own)} of {len(stems)} content words are neither in the source nor in "
        f"{'the' if len(sample.others) == 1 else 'any of'} {_count(sample)}"
    )
    spans = tuple(_own_spans(sample.prediction, own, "neither the source nor another answer says"))
    return Score(float(len(own)), explanation=reason, spans=spans)


def _nothing_own(sample: Sample) -> Score:
    why = "the output has no content words" if sample.others else NO_OTHER
    return Score(None, not_applicable=True, explanation=why)


def _own_stems(sample: Sample) -> frozenset[str]:
    return _stems(sample.prediction) - frozenset[str]().union(*map(_stems, sample.others))


def _own_spans(text: str, own: frozenset[str], why: str) -> list[Span]:
    """Where the words are that the answer alone has."""
    if not own:
        return []
    found = [(match, frozenset(content_stems(match[0]))) for match in _WORD.finditer(text)]
    return [
        Span(match.start(), match.end(), f"{why} {match[0]!r}", "own")
        for match, stems in found
        if stems and stems <= own
    ]


def _others_overlap(sample: Sample) -> Score:
    words = _words(sample.prediction)
    if not sample.others or not words:
        why = "the output has no words" if sample.others else NO_OTHER
        return Score(None, not_applicable=True, explanation=why)
    shares = [len(words & other) / len(words | other) for other in map(_words, sample.others)]
    mean = sum(shares) / len(shares)
    return Score(mean, explanation=f"{mean:.0%} of the words in common with {_count(sample)}")


def _count(sample: Sample) -> str:
    n = len(sample.others)
    return f"{n} other answer{'s' * (n != 1)}"


OWN_WORDS = Metric(
    "own_words",
    1,
    each(_own_words),
    higher_is_better=False,
    recipe=lambda scores: f"others:{MOST_OTHERS}",
    description="share of content words that no other answer to the same source has",
    reads_others=True,
)
OWN_NOVEL = Metric(
    "own_novel",
    1,
    each(_own_novel),
    needs=frozenset({"context"}),
    higher_is_better=False,
    scale=None,
    recipe=lambda scores: f"others:{MOST_OTHERS}",
    description="content words that neither the source nor another answer to it has",
    reads_others=True,
)
OTHERS_OVERLAP = Metric(
    "others_overlap",
    1,
    each(_others_overlap),
    recipe=lambda scores: f"others:{MOST_OTHERS}",
    description="words in common with the other answers to the same source, on average",
    reads_others=True,
)
