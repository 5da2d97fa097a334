"""ROUGE-1, 2, L and Lsum, equal to the rouge-score library and many times faster.

Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries". The value is the F-measure.
Tokens are runs of a-z and 0-9 of the lower-cased text; Lsum takes lines as sentences, as
rouge-score does; with several references the one with the best F-measure counts.

The longest common subsequence is found with bit vectors held in Python integers (Hyyrö 2004,
"Bit-parallel LCS-length computation revisited"). Kept row by row they also answer every question
that rouge-score's backtracking asks of its table, so Lsum picks the same subsequence, tie by tie.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain, pairwise
from typing import Any

from evaluators.metric import Metric
from evaluators.types import Sample, Score

_TOKEN = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A text as ROUGE sees it."""

    tokens: list[str]
    sentences: list[list[str]]
    unigrams: Counter[str]
    bigrams: Counter[tuple[str, str]]


@lru_cache(maxsize=1)
def _porter() -> Callable[[str], str]:
    from nltk.stem.porter import PorterStemmer

    stem: Callable[[str], str] = lru_cache(maxsize=200_000)(PorterStemmer().stem)
    return stem


def tokenise(text: str, *, stem: bool) -> list[str]:
    """Tokens of rouge-score's default tokeniser; words over three letters stemmed if asked."""
    tokens = _TOKEN.findall(text.lower())
    if not stem:
        return tokens
    porter = _porter()
    return [porter(token) if len(token) > 3 else token for token in tokens]


@lru_cache(maxsize=8192)
def prepare(text: str, stem: bool) -> Prepared:
    """Tokens, sentences and n-gram counts of a text, remembered for the next metric."""
    lines = [tokenise(line, stem=stem) for line in text.split("\n")]
    sentences = [line for line in lines if line]
    tokens = sentences[0] if len(sentences) == 1 else list(chain.from_iterable(sentences))
    return Prepared(tokens, sentences, Counter(tokens), Counter(pairwise(tokens)))


def _overlap(a: Counter[Any], b: Counter[Any]) -> int:
    """Size of the multiset intersection."""
    return sum([min(a[key], b[key]) for key in a.keys() & b.keys()])


def _positions(tokens: Sequence[str]) -> dict[str, int]:
    """Token -> bit set of the positions at which it stands."""
    found: dict[str, int] = {}
    for i, token in enumerate(tokens):
        found[token] = found.get(token, 0) | 1 << i
    return found


def lcs_length(reference: Sequence[str], candidate: Sequence[str]) -> int:
    """Length of a longest common subsequence."""
    shared = set(reference) & set(candidate)
    kept = [token for token in reference if token in shared]
    mask = (1 << len(kept)) - 1
    positions, v = _positions(kept), mask
    for token in candidate:
        if token in shared:
            u = v & positions[token]
            v = ((v + u) | (v - u)) & mask
    return (v ^ mask).bit_count()


class _Lines:
    """Lines of a reference side by side in one bit set, a guard bit after each.

    Tokens that the candidate lacks are left out: they are in no common subsequence, and there
    rouge-score's reading out steps back in the reference. The candidate keeps its own tokens: past
    one that the reference lacks the reading out may step back in either, and choose otherwise.
    """

    def __init__(self, lines: Sequence[list[str]], shared: set[str]) -> None:
        kept = ([token for token in line if token in shared] for line in lines)
        self.lines = [line for line in kept if line]
        self.starts: list[int] = []
        self.positions: dict[str, int] = {}
        self.mask, at = 0, 0
        for line in self.lines:
            self.starts.append(at)
            self.mask |= ((1 << len(line)) - 1) << at
            for token in line:
                self.positions[token] = self.positions.get(token, 0) | 1 << at
                at += 1
            at += 1

    def rows(self, candidate: Sequence[str]) -> list[int]:
        """One bit set per candidate token; the guards keep carries within their line.

        In rouge-score's table t for a line, bit i of row j is t[i+1][j+1] - t[i][j+1].
        """
        mask, v, rows = self.mask, self.mask, []
        for token in candidate:
            u = v & self.positions.get(token, 0)
            v = ((v + u) | (v - u)) & mask
            rows.append(v ^ mask)
        return rows


def _backtrack(line: list[str], start: int, candidate: Sequence[str], rows: list[int]) -> set[int]:
    """Positions in the line of the subsequence that rouge-score would read out.

    Where tokens differ it steps back in the candidate when t[i][j-1] > t[i-1][j], which holds
    exactly when t[i][j] > t[i-1][j]: the bit that `rows` keeps.
    """
    chosen: set[int] = set()
    i, j = len(line) - 1, len(candidate) - 1
    bit = 1 << start + i
    while i >= 0 and j >= 0:
        if line[i] == candidate[j]:
            chosen.add(i)
            i -= 1
            j -= 1
            bit >>= 1
        elif rows[j] & bit:
            j -= 1
        else:
            i -= 1
            bit >>= 1
    return chosen


def _union_lcs(reference: Prepared, candidate: Prepared) -> list[list[str]]:
    """Tokens of each reference line that are in its LCS with any candidate line."""
    shared = reference.unigrams.keys() & candidate.unigrams.keys()
    lines = _Lines(reference.sentences, shared)
    unions: list[set[int]] = [set() for _ in lines.lines]
    for sentence in candidate.sentences:
        if shared.isdisjoint(sentence):
            continue
        rows = lines.rows(sentence)
        for union, line, start in zip(unions, lines.lines, lines.starts, strict=True):
            if rows[-1] >> start & ((1 << len(line)) - 1):
                union |= _backtrack(line, start, sentence, rows)
    return [
        [line[i] for i in sorted(union)] for union, line in zip(unions, lines.lines, strict=True)
    ]


def _summary_hits(reference: Prepared, candidate: Prepared) -> int:
    """Tokens matched by the union LCS, each counted no more often than both texts hold it."""
    if len(reference.sentences) == 1 and len(candidate.sentences) == 1:
        return lcs_length(reference.tokens, candidate.tokens)
    found = Counter(token for line in _union_lcs(reference, candidate) for token in line)
    left = reference.unigrams, candidate.unigrams
    return sum(min(count, left[0][token], left[1][token]) for token, count in found.items())


def _f_measure(hits: int, predicted: int, referenced: int) -> tuple[float, float, float]:
    precision, recall = hits / max(predicted, 1), hits / max(referenced, 1)
    if precision + recall == 0:
        return 0.0, precision, recall
    return 2 * precision * recall / (precision + recall), precision, recall


def rouge_1(prediction: Prepared, reference: Prepared) -> tuple[float, float, float]:
    """F-measure, precision and recall of single words."""
    hits = _overlap(prediction.unigrams, reference.unigrams)
    return _f_measure(hits, len(prediction.tokens), len(reference.tokens))


def rouge_2(prediction: Prepared, reference: Prepared) -> tuple[float, float, float]:
    """F-measure, precision and recall of pairs of adjacent words."""
    hits = _overlap(prediction.bigrams, reference.bigrams)
    return _f_measure(hits, len(prediction.tokens) - 1, len(reference.tokens) - 1)


def rouge_l(prediction: Prepared, reference: Prepared) -> tuple[float, float, float]:
    """F-measure, precision and recall of the longest common subsequence."""
    hits = lcs_length(reference.tokens, prediction.tokens)
    return _f_measure(hits, len(prediction.tokens), len(reference.tokens))


def rouge_lsum(prediction: Prepared, reference: Prepared) -> tuple[float, float, float]:
    """F-measure, precision and recall of the union LCS over lines."""
    hits = _summary_hits(reference, prediction)
    return _f_measure(hits, len(prediction.tokens), len(reference.tokens))


Variant = Callable[[Prepared, Prepared], tuple[float, float, float]]


def score_rouge(samples: Sequence[Sample], *, variant: Variant, stem: bool) -> list[Score]:
    """F-measure per sample; stats are (precision, recall)."""
    return [_best_reference(sample, variant, stem) for sample in samples]


def _best_reference(sample: Sample, variant: Variant, stem: bool) -> Score:
    prediction = prepare(sample.prediction, stem)
    measured = [variant(prediction, prepare(r, stem)) for r in sample.references]
    f, precision, recall = max(measured, key=lambda m: m[0])
    return Score(f, stats=(precision, recall))


def rouge(name: str, variant: Variant, *, stem: bool = False) -> Metric:
    """The metric of one variant, with Porter's stemmer or without."""
    recipe = f"tok:rouge-score|stem:{'porter' if stem else 'no'}|refs:best"
    if variant is rouge_lsum:
        recipe += "|sentences:lines"
    return Metric(
        name + ("_stem" if stem else ""),
        1,
        partial(score_rouge, variant=variant, stem=stem),
        needs=frozenset({"reference"}),
        recipe=lambda scores: recipe,
        description=f"{name} F-measure" + (" on word stems" if stem else ""),
    )


VARIANTS: dict[str, Variant] = {
    "rouge1": rouge_1,
    "rouge2": rouge_2,
    "rougeL": rouge_l,
    "rougeLsum": rouge_lsum,
}
