"""Finding texts that stand on both sides of a split under slightly other words.

Every text is first read as `plain_text` shows it. Four kinds, the strictest first: `exact`;
`folded` (equal but for case, punctuation, invisible and look-alike characters and white space);
`near` (Jaccard similarity of shingles, candidates by MinHash and banding, then computed exactly,
with the same numbers in both, since two requests that differ in their number are two cases; or, in
texts of ten words and more, 85% of the words in the same order); `passage` (a part of the held-out
text's five-word runs stands in the other one, whatever else does: all of a short text, a third of
one of twenty words). Words in a run of six that many of the texts share are their template (an
instruction, a form's headings): they say nothing and are left out before anything but whole texts
is compared.

An answer (a reference, a correction, what is trained on) is told apart from a prompt: short and
label-like ones are equal everywhere, so that an answer counts from eight words on, and more of a
longer one must be shared.

Pure: texts in, pairs out; knows no table. Deterministic for a given order of texts. Texts are read
and prepared in blocks, which `spread` may have done elsewhere; they are compared here.

MinHash: Broder 1997, "On the resemblance and containment of documents". Runs of words: Brown et al.
2020, "Language Models are Few-Shot Learners", appendix C, who take 13.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from functools import lru_cache, partial
from hashlib import blake2b
from itertools import chain
from typing import TYPE_CHECKING, Any

from backend.services.datasets.plain_text import plain_text
from evaluators.spread import Spread, cut

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK = 250
THRESHOLD = 0.8  # least Jaccard similarity of `near`
PERMUTATIONS = 128
SCHEME = "affine32"  # datasketch's own for new signatures
WORDS_OF_SHINGLE = 3
CHARACTERS_OF_SHINGLE = 5
SHORT_TEXT_WORDS = 8
RUN_WORDS = 5
TEMPLATE_WORDS = 6
TEMPLATE_SHARE = 0.05
TEMPLATE_TEXTS = 20
REWORDED_WORDS, REWORDED_SHARE = 10, 0.85
FIGURES_WORDS, FIGURES_SHARE = 30, 0.6  # from so many words on, so many of the numbers are enough
WHOLE_WORDS, PART_WORDS = 13, 20  # a passage is whole below, and a third of the text from there on
WHOLE_SHARE, PART_SHARE = 0.7, 0.35
ANSWER_WORDS = 8
QUOTED_WORDS, SHARED_WORDS = 6, 10  # of a prompt, whole in an answer or document; in another prompt
SCATTERED_SHARE = 0.48  # with every tenth word another one, half of the five-word runs are left
ANSWER_SHARE = 0.48
MOST_HOLDERS = 200  # a run that more texts hold tells none of them apart
WORD = re.compile(r"\w+")
FIGURE = re.compile(r"\d")


class DuplicateKind(StrEnum):
    """How alike two texts are, the strictest first."""

    EXACT = "exact"
    FOLDED = "folded"
    NEAR = "near"
    PASSAGE = "passage"


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """A text to train on beside the held-out text that it is most like.

    Attributes:
        train, held_out: indexes into the texts that were given.
        similarity: 1 for exact and folded, Jaccard's or the share of words in order for near, the
            contained share for passage.
    """

    train: int
    held_out: int
    kind: DuplicateKind
    similarity: float


@dataclass(frozen=True, slots=True)
class _Text:
    """A text as it is compared: `words` and all that is made of them are without the template.

    Attributes:
        signature: MinHash of the shingles, shape (PERMUTATIONS,); None where there are none.
    """

    folded: str
    words: tuple[str, ...]
    shingles: frozenset[int]
    runs: frozenset[int]
    figures: frozenset[str]
    is_answer: bool
    signature: NDArray[np.uint32] | None


def find_near_duplicates(
    train: Sequence[str],
    held_out: Sequence[str],
    *,
    train_answers: int = 0,
    held_out_answers: int = 0,
    spread: Spread = map,
) -> list[NearDuplicate]:
    """Find for each text to train on the held-out one that it repeats, if there is one.

    Args:
        train_answers, held_out_answers: so many of the last texts of each side are answers.
        spread: where blocks of texts are prepared.

    Returns:
        At most one pair for each text to train on, in their order: the strictest kind, then the
        greatest similarity, then the first held-out text.
    """
    if not train or not held_out:
        return []
    split = len(train)
    flags = [i >= split - train_answers for i in range(split)]
    flags += [i >= len(held_out) - held_out_answers for i in range(len(held_out))]
    texts = _prepare([*train, *held_out], flags, spread)
    ours, theirs = texts[:split], texts[split:]
    near, passages = _NearIndex(theirs), _RunIndex(theirs, TEMPLATE_SHARE * len(texts))
    folded = _places_of(theirs)
    found = []
    for index, (raw, text) in enumerate(zip(train, ours, strict=True)):
        alike = [i for i in folded.get(text.folded, ()) if _may_be_equal(text, theirs[i])]
        same = next((i for i in alike if held_out[i] == raw), alike[0] if alike else None)
        if same is not None:
            kind = DuplicateKind.EXACT if raw == held_out[same] else DuplicateKind.FOLDED
            found.append(NearDuplicate(index, same, kind, 1.0))
            continue
        reworded, parts = passages.all(text)
        if (best := _best([*near.all(text), *reworded])) is not None:
            found.append(NearDuplicate(index, best[0], DuplicateKind.NEAR, best[1]))
        elif (best := _best(parts)) is not None:
            found.append(NearDuplicate(index, best[0], DuplicateKind.PASSAGE, best[1]))
    return found


def near_duplicate_pairs(
    texts: Sequence[str], *, answers: int = 0, spread: Spread = map
) -> list[tuple[int, int]]:
    """Pairs of indexes, the smaller first, of texts of which one repeats the other in any kind.

    Args:
        answers: so many of the last texts are answers.
        spread: where blocks of texts are prepared.
    """
    prepared = _prepare(texts, [i >= len(texts) - answers for i in range(len(texts))], spread)
    near, passages = _NearIndex(prepared), _RunIndex(prepared, TEMPLATE_SHARE * len(texts))
    pairs = {
        (first, other)
        for first, *others in _places_of(prepared).values()
        for other in others
        if _may_be_equal(prepared[first], prepared[other])
    }
    for number, text in enumerate(prepared):
        alike = [*near.all(text), *chain.from_iterable(passages.all(text))]
        pairs |= {(min(other, number), max(other, number)) for other, _ in alike}
    return sorted((one, other) for one, other in pairs if one != other)


def fold(text: str) -> str:
    """The words alone, as `plain_text` shows them, without punctuation between them."""
    plain = plain_text(text)
    return " ".join(WORD.findall(plain)) or plain


def _may_be_equal(one: _Text, other: _Text) -> bool:
    """Labels and short answers are equal everywhere."""
    answers = one.is_answer or other.is_answer
    return not answers or one.folded.count(" ") + 1 >= ANSWER_WORDS


def _best(found: Iterable[tuple[int, float]]) -> tuple[int, float] | None:
    """The most similar, the first among equals."""
    return max(found, key=lambda pair: (pair[1], -pair[0]), default=None)


def _places_of(texts: Sequence[_Text]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = defaultdict(list)
    for number, text in enumerate(texts):
        places[text.folded].append(number)
    return places


@dataclass(frozen=True, slots=True)
class _HashedText:
    """A text as its words, and the hashes of its runs as a template would have them, packed."""

    folded: str
    words: list[str]
    runs: array[int]


def _prepare(raw: Sequence[str], answers: Sequence[bool], spread: Spread) -> list[_Text]:
    read = list(chain.from_iterable(spread(_read, cut(raw, BLOCK))))
    counted = Counter(chain.from_iterable(one.runs for one in read))
    least = max(TEMPLATE_TEXTS, TEMPLATE_SHARE * len(raw))
    template = {run: n for run, n in counted.items() if n >= least}
    asked = [
        (one.folded, one.words, is_answer) for one, is_answer in zip(read, answers, strict=True)
    ]
    return list(chain.from_iterable(spread(partial(_texts, template), cut(asked, BLOCK))))


def _read(raw: Sequence[str]) -> list[_HashedText]:
    found = []
    for plain in map(plain_text, raw):
        words = WORD.findall(plain)
        runs = array("Q", _runs(words, TEMPLATE_WORDS))
        found.append(_HashedText(" ".join(words) or plain, words, runs))
    return found


def _texts(template: dict[int, int], read: Sequence[tuple[str, list[str], bool]]) -> list[_Text]:
    return [
        _text(folded, _without_template(words, template) if template else words, is_answer)
        for folded, words, is_answer in read
    ]


def _without_template(words: list[str], template: dict[int, int]) -> list[str]:
    """The words that stand in no common run.

    A run that reaches beyond a template into the words that often follow it is far rarer than the
    template itself, and is no part of it.
    """
    starts = range(len(words) - TEMPLATE_WORDS + 1)
    counts = [template.get(_hash(words[i : i + TEMPLATE_WORDS]), 0) for i in starts]
    most = max(counts, default=0)
    common = set[int]()
    for start, n in enumerate(counts):
        if n > most / 2:
            common.update(range(start, start + TEMPLATE_WORDS))
    return [word for index, word in enumerate(words) if index not in common]


def _text(folded: str, words: list[str], is_answer: bool) -> _Text:
    if len(words) >= SHORT_TEXT_WORDS:
        shingles = _runs(words, WORDS_OF_SHINGLE)
    else:
        letters = " ".join(words)
        last = max(1, len(letters) - CHARACTERS_OF_SHINGLE + 1) if letters else 0
        shingles = frozenset(_hash([letters[i : i + CHARACTERS_OF_SHINGLE]]) for i in range(last))
    figures = frozenset(word for word in words if FIGURE.search(word))
    runs, signature = _runs(words, RUN_WORDS), _signature(shingles)
    return _Text(folded, tuple(words), shingles, runs, figures, is_answer, signature)


def _runs(words: Sequence[str], length: int) -> frozenset[int]:
    """Hashes of every run of so many words; none when there are fewer."""
    return frozenset(_hash(words[i : i + length]) for i in range(len(words) - length + 1))


def _hash(words: Sequence[str]) -> int:
    joined = " ".join(words).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(joined, digest_size=8).digest())


class _NearIndex:
    """Held-out texts by the bands of their MinHash; a hit is compared exactly."""

    def __init__(self, texts: Sequence[_Text]) -> None:
        from datasketch import MinHashLSH

        self._texts = texts
        # Banding at a lower bound, so that few pairs above the threshold are missed.
        self._index = MinHashLSH(threshold=0.75 * THRESHOLD, num_perm=PERMUTATIONS)
        for number, text in enumerate(texts):
            if text.signature is not None:
                self._index.insert(number, _min_hash(text.signature))

    def all(self, text: _Text) -> list[tuple[int, float]]:
        """Every text at or above the threshold, with its similarity."""
        if text.signature is None:
            return []
        scored = [
            (number, _jaccard(text.shingles, self._texts[number].shingles))
            for number in self._index.query(_min_hash(text.signature))
            if self._texts[number].figures == text.figures
            and _may_be_near(text, self._texts[number])
        ]
        return sorted(pair for pair in scored if pair[1] >= THRESHOLD)


def _may_be_near(one: _Text, other: _Text) -> bool:
    answers = one.is_answer or other.is_answer
    return not answers or min(len(one.words), len(other.words)) >= ANSWER_WORDS


def _signature(shingles: frozenset[int]) -> NDArray[np.uint32] | None:
    if not shingles:
        return None
    made = _min_hash()
    made.update_batch(sorted(shingles))
    values: NDArray[np.uint32] = made.hashvalues
    return values


def _min_hash(values: NDArray[np.uint32] | None = None) -> Any:
    """One with these values, or the empty one. Permutations are drawn once: that takes longer than
    a text."""
    from datasketch import MinHash

    return MinHash(
        num_perm=PERMUTATIONS,
        hashfunc=lambda shingle: shingle & 0xFFFFFFFF,
        hashvalues=values,
        permutations=_permutations(),
        scheme=SCHEME,
    )


@lru_cache(maxsize=1)
def _permutations() -> Any:
    from datasketch import MinHash

    return MinHash(num_perm=PERMUTATIONS, scheme=SCHEME).permutations


def _jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


class _RunIndex:
    """Held-out texts by their five-word runs: what is reworded, and what is a part."""

    def __init__(self, texts: Sequence[_Text], most: float) -> None:
        self._texts, self._most = texts, max(MOST_HOLDERS, most)
        self._holders: dict[int, list[int]] = defaultdict(list)
        for number, text in enumerate(texts):
            for run in text.runs:
                self._holders[run].append(number)

    def all(self, text: _Text) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
        """Texts that are reworded here and texts that stand here, each with its share."""
        shared = self._shared(text)
        return list(self._reworded(text, shared)), list(self._passages(text, shared))

    def _shared(self, text: _Text) -> Counter[int]:
        """How many runs each text has in common with this one."""
        held = (self._holders.get(run, ()) for run in text.runs)
        return Counter(chain.from_iterable(each for each in held if len(each) <= self._most))

    def _reworded(self, text: _Text, shared: Counter[int]) -> Iterator[tuple[int, float]]:
        """Most words stand here in the same order."""
        from rapidfuzz.distance.LCSseq import similarity

        if len(text.words) < REWORDED_WORDS:
            return
        for number in shared:
            other = self._texts[number]
            longer = max(len(text.words), len(other.words))
            shorter = min(len(text.words), len(other.words))
            if shorter < REWORDED_SHARE * longer or not _same_figures(text, other):
                continue
            # words in a longest common subsequence
            if (share := similarity(text.words, other.words) / longer) >= REWORDED_SHARE:
                yield number, share

    def _passages(self, text: _Text, shared: Counter[int]) -> Iterator[tuple[int, float]]:
        """Enough of the text stands in this one."""
        for number, count in shared.items():
            other = self._texts[number]
            if len(other.words) < FIGURES_WORDS and not other.figures <= text.figures:
                continue
            share = count / len(other.runs)
            if share >= _least_share(text, other) and _is_passage(text.words, other.words, share):
                yield number, share


def _least_share(text: _Text, other: _Text) -> float:
    """Of a held-out text's runs: all of a short text, a third of a long one, more of an answer."""
    size = len(other.words)
    if size < WHOLE_WORDS:
        quoted = QUOTED_WORDS if text.is_answer else SHARED_WORDS
        return 1.0 if size >= (ANSWER_WORDS if other.is_answer else quoted) else math.inf
    if size < PART_WORDS:
        return WHOLE_SHARE
    return ANSWER_SHARE if other.is_answer else PART_SHARE


def _is_passage(text: Sequence[str], other: Sequence[str], share: float) -> bool:
    """All of a short text in one piece; of a longer one 13 words, or scattered half of its runs."""
    if len(other) < WHOLE_WORDS:
        return f" {' '.join(other)} " in f" {' '.join(text)} "
    longest = SequenceMatcher(None, text, other, autojunk=False)
    return share >= SCATTERED_SHARE or longest.find_longest_match().size >= WHOLE_WORDS


def _same_figures(one: _Text, other: _Text) -> bool:
    """The same numbers; in a longer text, most of them."""
    if one.figures == other.figures:
        return True
    if min(len(one.words), len(other.words)) < FIGURES_WORDS:
        return False
    shared = len(one.figures & other.figures)
    return shared >= FIGURES_SHARE * max(len(one.figures), len(other.figures))
