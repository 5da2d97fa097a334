"""ROUGE-1, 2, L and Lsum, equal to the rouge-score library and many times faster.

Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries". The value is the F-measure.
Tokens are runs of a-z and 0-9 of the lower-cased text; where that keeps no word of a text that has
some there is no score, and where it keeps few a note. The variants `_unicode` take the words of any
script (`metrics.tokens`). Lsum takes lines as sentences, as
rouge-score does; with several references the one with the best F-measure counts.

The length of a longest common subsequence is RapidFuzz's, bit-parallel over the hashes of tokens.
Lsum asks in addition which subsequence rouge-score reads out of its table, tie by tie: bit vectors
in Python integers (Hyyrö 2004, "Bit-parallel LCS-length computation revisited"), kept row by row,
answer that for all lines of a reference at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain, pairwise
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Literal

from evaluators.metric import Metric
from evaluators.metrics import porter
from evaluators.metrics.tokens import LITTLE, ascii_share, has_letters, unicode_tokens
from evaluators.types import Sample, Score

_KEPT = (ascii_uppercase + ascii_lowercase + digits + "\n").encode()
_FOLD = bytes(code if code in _KEPT else 32 for code in range(256)).lower()


@dataclass(frozen=True, slots=True, eq=False)
class RougeText:
    """A text as ROUGE sees it; `prepare` gives the same object for the same text."""

    tokens: list[str]
    sentences: list[list[str]]
    unigrams: Counter[str]
    kept: float = 1.0
    """Share of the letters that the tokens hold; 0 where there are no tokens but letters."""


def fold(text: str) -> str:
    """Lower-case ASCII letters and digits and line ends; every other character is a space.

    Lower-casing comes first, as in rouge-score, where it may turn a letter into an ASCII one.
    """
    plain = text if text.isascii() else text.lower()
    return plain.encode("ascii", "replace").translate(_FOLD).decode("ascii")


def tokenise(folded: str, *, stem: bool) -> list[str]:
    """Tokens of rouge-score's default tokeniser; words over three letters stemmed if asked."""
    tokens = folded.split()
    if not stem:
        return tokens
    return [porter.stem(token) if len(token) > 3 else token for token in tokens]


Words = Literal["plain", "stem", "unicode"]


@lru_cache(maxsize=8192)
def prepare(text: str, words: Words) -> RougeText:
    """Tokens, sentences and counts of a text, remembered for the next metric, output or model."""
    if words == "unicode":
        return _prepared([unicode_tokens(line) for line in text.split("\n")])
    folded = fold(text)
    lines = folded.split("\n") if "\n" in folded else [folded]
    return _prepared([tokenise(line, stem=words == "stem") for line in lines], ascii_share(text))


def _prepared(lines: list[list[str]], kept: float = 1.0) -> RougeText:
    sentences = [tokens for tokens in lines if tokens]
    tokens = sentences[0] if len(sentences) == 1 else list(chain.from_iterable(sentences))
    return RougeText(tokens, sentences, Counter(tokens), kept)


def _word_hits(a: RougeText, b: RougeText) -> int:
    """Size of the multiset intersection of words."""
    ours, theirs = a.unigrams, b.unigrams
    common = ours.keys() & theirs.keys()
    if len(ours) == len(a.tokens) or len(theirs) == len(b.tokens):  # no word of the one recurs
        return len(common)
    return sum([min(ours[word], theirs[word]) for word in common])


def _pair_hits(a: RougeText, b: RougeText) -> int:
    """Size of the multiset intersection of pairs of adjacent words.

    Only pairs that both texts hold are counted, and only those are ever stored.
    """
    shorter, longer = (a, b) if len(a.tokens) < len(b.tokens) else (b, a)
    pairs = set(pairwise(shorter.tokens))
    common = pairs.intersection(zip(longer.tokens, longer.tokens[1:], strict=False))
    if not common or len(pairs) == len(shorter.tokens) - 1:  # no pair of the shorter one recurs
        return len(common)
    ours = Counter(filter(common.__contains__, pairwise(shorter.tokens)))
    theirs = Counter(filter(common.__contains__, pairwise(longer.tokens)))
    return sum([min(ours[pair], theirs[pair]) for pair in common])


def lcs_length(reference: Sequence[str], candidate: Sequence[str]) -> int:
    """Length of a longest common subsequence."""
    return int(_similarity()(reference, candidate))


@lru_cache(maxsize=1024)
def _common_length(reference: RougeText, candidate: RougeText) -> int:
    """The same for two texts as a whole, remembered since L and Lsum both ask for it."""
    return lcs_length(reference.tokens, candidate.tokens)


@lru_cache(maxsize=1)
def _similarity() -> Callable[[Sequence[str], Sequence[str]], float]:
    from rapidfuzz.distance.LCSseq import similarity

    return similarity


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
        positions = self.positions
        for line in self.lines:
            self.starts.append(at)
            self.mask |= ((1 << len(line)) - 1) << at
            for token in line:
                positions[token] = positions.get(token, 0) | 1 << at
                at += 1
            at += 1

    def rows(self, candidate: Sequence[str]) -> list[int]:
        """One bit set per candidate token; the guards keep carries within their line.

        In rouge-score's table t for a line, bit i of row j is t[i+1][j+1] - t[i][j+1].
        """
        mask, v, row, rows = self.mask, self.mask, 0, []
        for positions in map(self.positions.get, candidate):
            if positions:
                u = v & positions
                v = ((v + u) | (v - u)) & mask
                row = v ^ mask
            rows.append(row)
        return rows


def _read_out(
    line: list[str], start: int, candidate: Sequence[str], places: dict[str, int], rows: list[int]
) -> list[int]:
    """Positions in the line of the subsequence that rouge-score would read out.

    Where tokens differ it steps back in the candidate as long as t[i][j-1] > t[i-1][j], which
    holds exactly when t[i][j] > t[i-1][j]: the bit that `rows` keeps. That bit first rises at a
    place where the tokens are equal, so all these steps are one, to the token's last place.

    Args:
        places: token -> bit set of its places in the candidate.
    """
    chosen: list[int] = []
    j = len(candidate) - 1
    for i in range(len(line) - 1, -1, -1):
        if j < 0:
            break
        token = line[i]
        if token == candidate[j]:
            chosen.append(i)
            j -= 1
        elif rows[j] >> (start + i) & 1:
            chosen.append(i)
            j = (places[token] & ((1 << j) - 1)).bit_length() - 2
    return chosen


def _union_lcs(reference: RougeText, candidate: RougeText) -> list[str]:
    """Tokens of all reference lines that are in their line's LCS with any candidate line."""
    shared = reference.unigrams.keys() & candidate.unigrams.keys()
    lines = _Lines(reference.sentences, shared)
    unions: list[set[int]] = [set() for _ in lines.lines]
    for sentence in candidate.sentences:
        if shared.isdisjoint(sentence):
            continue
        rows = lines.rows(sentence)
        places = _positions(sentence, shared)
        for union, line, start in zip(unions, lines.lines, lines.starts, strict=True):
            whole = (1 << len(line)) - 1
            reached = rows[-1] >> start & whole
            if reached == whole:
                union.update(range(len(line)))
            elif reached:
                union.update(_read_out(line, start, sentence, places, rows))
    return [line[i] for union, line in zip(unions, lines.lines, strict=True) for i in union]


def _positions(tokens: Sequence[str], shared: set[str]) -> dict[str, int]:
    """Token -> bit set of its places, for the shared ones."""
    found: dict[str, int] = {}
    for i, token in enumerate(tokens):
        if token in shared:
            found[token] = found.get(token, 0) | 1 << i
    return found


def _summary_hits(reference: RougeText, candidate: RougeText) -> int:
    """Tokens matched by the union LCS, each counted no more often than both texts hold it."""
    if len(reference.sentences) == 1 and len(candidate.sentences) == 1:
        return _common_length(reference, candidate)
    found = Counter(_union_lcs(reference, candidate))
    ours, theirs = reference.unigrams, candidate.unigrams
    return sum([min(count, ours[token], theirs[token]) for token, count in found.items()])


def _f_measure(hits: int, predicted: int, referenced: int) -> tuple[float, float, float]:
    precision, recall = hits / max(predicted, 1), hits / max(referenced, 1)
    if precision + recall == 0:
        return 0.0, precision, recall
    return 2 * precision * recall / (precision + recall), precision, recall


def rouge_1(prediction: RougeText, reference: RougeText) -> tuple[float, float, float]:
    """F-measure, precision and recall of single words."""
    hits = _word_hits(prediction, reference)
    return _f_measure(hits, len(prediction.tokens), len(reference.tokens))


def rouge_2(prediction: RougeText, reference: RougeText) -> tuple[float, float, float]:
    """F-measure, precision and recall of pairs of adjacent words."""
    hits = _pair_hits(prediction, reference)
    return _f_measure(hits, len(prediction.tokens) - 1, len(reference.tokens) - 1)


def rouge_l(prediction: RougeText, reference: RougeText) -> tuple[float, float, float]:
    """F-measure, precision and recall of the longest common subsequence."""
    hits = _common_length(reference, prediction)
    return _f_measure(hits, len(prediction.tokens), len(reference.tokens))


def rouge_lsum(prediction: RougeText, reference: RougeText) -> tuple[float, float, float]:
    """F-measure, precision and recall of the union LCS over lines."""
    hits = _summary_hits(reference, prediction)
    return _f_measure(hits, len(prediction.tokens), len(reference.tokens))


Variant = Callable[[RougeText, RougeText], tuple[float, float, float]]


def score_rouge(samples: Sequence[Sample], *, variant: Variant, words: Words) -> list[Score]:
    """F-measure per sample; stats are (precision, recall), and the share kept where it is small."""
    return [_best_reference(sample, variant, words) for sample in samples]


def _best_reference(sample: Sample, variant: Variant, words: Words) -> Score:
    prediction = prepare(sample.prediction, words)
    references = [prepare(reference, words) for reference in sample.references]
    if not prediction.tokens and has_letters(sample.prediction):
        return Score(None, error=f"{NOTHING_KEPT} prediction")
    if not any(r.tokens for r in references) and any(r.strip() for r in sample.references):
        return Score(None, error=f"{NOTHING_KEPT} reference")
    measured = [variant(prediction, reference) for reference in references]
    f, precision, recall = max(measured, key=lambda m: m[0])
    kept = min(text.kept for text in (prediction, *references))
    if kept >= LITTLE:
        return Score(f, stats=(precision, recall))
    said = f"the tokeniser keeps {kept:.0%} of the letters of a text"
    return Score(f, stats=(precision, recall, kept), explanation=said)


NOTHING_KEPT = "the tokeniser keeps no word of the"
_DESCRIBED: dict[Words, str] = {"plain": "", "stem": " on word stems", "unicode": " of any script"}


def rouge(name: str, variant: Variant, words: Words = "plain") -> Metric:
    """The metric of one variant: rouge-score's tokens, their stems (Porter), or Unicode words."""
    tokeniser = "unicode" if words == "unicode" else "rouge-score"
    recipe = f"tok:{tokeniser}|stem:{'porter' if words == 'stem' else 'no'}|refs:best"
    if variant is rouge_lsum:
        recipe += "|sentences:lines"
    return Metric(
        name if words == "plain" else f"{name}_{words}",
        1 if words == "unicode" else 2,
        partial(score_rouge, variant=variant, words=words),
        needs=frozenset({"reference"}),
        recipe=lambda scores: recipe,
        description=f"{name} F-measure{_DESCRIBED[words]}",
        notes=partial(_note, instead=f"{name}_unicode"),
    )


def _note(scores: Sequence[Score], *, instead: str) -> str:
    few = sum(len(score.stats) > 2 for score in scores)
    if not few:
        return ""
    return (
        f"of {few} of {len(scores)} texts the tokeniser, which knows a-z and 0-9, keeps less than "
        f"half; {instead} takes words of any script"
    )


VARIANTS: dict[str, Variant] = {
    "rouge1": rouge_1,
    "rouge2": rouge_2,
    "rougeL": rouge_l,
    "rougeLsum": rouge_lsum,
}
