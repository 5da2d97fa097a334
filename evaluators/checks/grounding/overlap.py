"""Overlap with the source: how much of an output's wording the source holds at all.

Weak signals, none of them a finding: what is worded otherwise may still be supported. They are
features for `risk`, and `source_rouge`, the precision of ROUGE-L against the source (Lin 2004), is
its naive baseline. Content words are stemmed, function words left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from itertools import pairwise

from evaluators.checks.facts.numerals import words_of
from evaluators.checks.grounding.additions import Novelty, measure_novelty, novel_of
from evaluators.checks.grounding.grounding import source_of
from evaluators.checks.text.claims import split_sentences, word_set
from evaluators.checks.text.statements import stem_word
from evaluators.metric import Metric, each
from evaluators.metrics.rouge import VARIANTS, rouge
from evaluators.metrics.tokens import unicode_tokens
from evaluators.types import Sample, Score, Span

_WORD = re.compile(r"[^\W_]+")
WEAK = 0.5
FUNCTION = word_set(
    "a an the and or but if of to in on at by for with from as is are was were be been being "
    "it its this that these those he she they we you i his her their our your my me him them "
    "us not no do does did have has had will would can could should may might must there here "
    "which who whom whose what when where why how than then so such also into over under about "
    "between within without during through more most some any each other only own same both "
    "however therefore thus while because since although"
)


def content_stems(text: str) -> list[str]:
    """Stems of the words of a text that carry meaning, in order."""
    plain = text.isascii()
    words = _WORD.findall(text.lower()) if plain else unicode_tokens(text)
    return [
        stem_word(word)
        for word in words
        if word not in FUNCTION and (len(word) > 1 or not (plain or word.isascii()))
    ]


def _rate_sentences(
    sample: Sample, rate: Callable[[list[str], str], float]
) -> list[tuple[tuple[int, int], float]]:
    source, text = source_of(sample), sample.prediction
    stems = [((a, b), content_stems(text[a:b])) for a, b in split_sentences(text)]
    return [(place, rate(found, source)) for place, found in stems if found]


def _in_source(stems: list[str], source: str) -> float:
    known = _known(source)
    return sum(stem in known for stem in stems) / len(stems)


def _in_order(stems: list[str], source: str) -> float:
    """Share of the pairs of neighbours that are so in the source; a lone word counts itself."""
    pairs = list(pairwise(stems))
    known = _pairs(source)
    return sum(p in known for p in pairs) / len(pairs) if pairs else _in_source(stems, source)


@lru_cache(maxsize=256)
def _known(source: str) -> frozenset[str]:
    return frozenset(content_stems(source))


@lru_cache(maxsize=256)
def _pairs(source: str) -> frozenset[tuple[str, str]]:
    return frozenset(pairwise(content_stems(source)))


def _overlap(sample: Sample, *, rate: Callable[[list[str], str], float], where: str) -> Score:
    rated = _rate_sentences(sample, rate)
    if not rated:
        return Score(None, not_applicable=True, explanation="the output has no content words")
    spans = tuple(
        Span(a, b, f"{share:.0%} of its content words are {where}", "overlap")
        for (a, b), share in rated
        if share < WEAK
    )
    mean = sum(share for _, share in rated) / len(rated)
    reason = f"{mean:.0%} of the content words are {where}"
    return Score(mean, explanation=reason, spans=spans, stats=(float(len(rated)),))


def _input_overlap(sample: Sample) -> Score:
    """Share of the content words of the input in the context: does it speak of it at all?"""
    stems = content_stems(sample.input or "")
    if not stems:
        why = "the input has no content words" if sample.input else "there is no input"
        return Score(None, not_applicable=True, explanation=why)
    share = _in_source(stems, sample.context or "")
    return Score(share, explanation=f"the source holds {share:.0%} of the input's content words")


def _source_rouge(samples: Sequence[Sample]) -> list[Score]:
    against = [replace(s, references=(source_of(s),)) for s in samples]
    return [
        score if score.value is None else Score(float(score.stats[0]), stats=score.stats)
        for score in rouge("rougeL", VARIANTS["rougeL"]).score(against)
    ]


def _measure(sample: Sample) -> Novelty:
    words = words_of(sample.prediction)
    return measure_novelty(sample.prediction, novel_of(words, words_of(source_of(sample))))


def _novel_words(sample: Sample) -> Score:
    """How many content words the source does not know: a count, since one edit adds a few."""
    found = _measure(sample)
    if not found.words:
        return Score(None, not_applicable=True, explanation="the output has no content words")
    reason = f"{found.novel} of {found.words} content words are not in the source"
    return Score(float(found.novel), explanation=reason, stats=(float(found.words),))


def _novel_stretch(sample: Sample) -> Score:
    """The weight of the longest stretch of one sentence that is novel, and where it stands."""
    found = _measure(sample)
    if not found.words:
        return Score(None, not_applicable=True, explanation="the output has no content words")
    stretch = found.longest
    if stretch is None:
        return Score(0.0, explanation="the source knows every content word", stats=(0.0,))
    reason = f"{stretch.novel} of {stretch.size} content words in a row are not in the source"
    spans = (Span(stretch.start, stretch.end, reason, "overlap"),)
    return Score(stretch.weight, explanation=reason, spans=spans, stats=(float(stretch.size),))


_NEEDS = frozenset({"context"})
NOVEL_WORDS = Metric(
    "novel_words",
    1,
    each(_novel_words),
    needs=_NEEDS,
    higher_is_better=False,
    scale=None,
    description="content words that the source does not know",
)
NOVEL_STRETCH = Metric(
    "novel_stretch",
    1,
    each(_novel_stretch),
    needs=_NEEDS,
    higher_is_better=False,
    scale=None,
    description="longest stretch of words that the source does not know",
)
OVERLAP = Metric(
    "overlap",
    2,
    each(partial(_overlap, rate=_in_source, where="in the source")),
    needs=_NEEDS,
    description="share of content words that the source holds",
)
OVERLAP_PAIRS = Metric(
    "overlap_pairs",
    2,
    each(partial(_overlap, rate=_in_order, where="side by side in the source")),
    needs=_NEEDS,
    description="share of neighbouring content words that are neighbours in the source",
)
INPUT_OVERLAP = Metric(
    "input_overlap",
    3,
    each(_input_overlap),
    needs=_NEEDS,
    description="share of the input's content words that the source holds",
)
SOURCE_ROUGE = Metric(
    "source_rouge",
    2,
    _source_rouge,
    needs=_NEEDS,
    description="precision of ROUGE-L against the source",
)
