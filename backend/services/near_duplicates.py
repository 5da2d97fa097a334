"""Finding texts that stand on both sides of a split under slightly other words.

Four kinds, the strictest first: `exact`; `folded` (equal but for case, punctuation, accents'
composition and white space); `near` (Jaccard similarity of shingles, candidates by MinHash and
banding, then computed exactly; with the same numbers in both, since two requests that differ in
their number are two cases); `passage` (half of the held-out text's 13-word runs stand in the
other one, whatever else does: Brown et al. 2020, "Language Models are Few-Shot Learners",
appendix C). Words in a run of six that many of the texts share are their template (an instruction,
a form's headings): they say nothing and are left out before anything but whole texts is compared.

Pure: texts in, pairs out; knows no table. Deterministic for a given order of texts.

MinHash: Broder 1997, "On the resemblance and containment of documents".
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b

THRESHOLD = 0.8
PERMUTATIONS = 128
WORDS_OF_SHINGLE = 3
CHARACTERS_OF_SHINGLE = 5
SHORT_TEXT_WORDS = 8
PASSAGE_WORDS = 13
PASSAGE_SHARE = 0.5
TEMPLATE_WORDS = 6
TEMPLATE_SHARE = 0.05
TEMPLATE_TEXTS = 20
WORD = re.compile(r"\w+")
FIGURE = re.compile(r"\d")


class Kind(StrEnum):
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
        similarity: 1 for exact and folded, Jaccard's for near, the contained share for passage.
    """

    train: int
    held_out: int
    kind: Kind
    similarity: float


@dataclass(frozen=True, slots=True)
class _Text:
    folded: str
    shingles: frozenset[int]
    passages: frozenset[int]
    figures: frozenset[str]


def find_near_duplicates(
    train: Sequence[str], held_out: Sequence[str], *, threshold: float = THRESHOLD
) -> list[NearDuplicate]:
    """Find for each text to train on the held-out one that it repeats, if there is one.

    Args:
        threshold: least Jaccard similarity of `near`, above 0 and at most 1.

    Returns:
        At most one pair for each text to train on, in their order: the strictest kind, then the
        greatest similarity, then the first held-out text.
    """
    if not train or not held_out:
        return []
    texts = _prepare([*train, *held_out])
    ours, theirs = texts[: len(train)], texts[len(train) :]
    exact = _first_of(held_out)
    folded = _first_of(text.folded for text in theirs)
    near = _NearIndex(theirs, threshold)
    passages = _PassageIndex(theirs)
    found = []
    for index, (raw, text) in enumerate(zip(train, ours, strict=True)):
        if raw in exact:
            found.append(NearDuplicate(index, exact[raw], Kind.EXACT, 1.0))
        elif text.folded in folded:
            found.append(NearDuplicate(index, folded[text.folded], Kind.FOLDED, 1.0))
        elif (best := near.best(text)) is not None:
            found.append(NearDuplicate(index, best[0], Kind.NEAR, best[1]))
        elif (best := passages.best(text)) is not None:
            found.append(NearDuplicate(index, best[0], Kind.PASSAGE, best[1]))
    return found


def near_duplicate_pairs(
    texts: Sequence[str], *, threshold: float = THRESHOLD
) -> list[tuple[int, int]]:
    """Pairs of indexes, the smaller first, of texts of which one repeats the other in any kind."""
    prepared = _prepare(texts)
    first: dict[str, int] = {}
    pairs = [
        (seen, number)
        for number, text in enumerate(prepared)
        if (seen := first.setdefault(text.folded, number)) != number
    ]
    near, passages = _NearIndex(prepared, threshold), _PassageIndex(prepared)
    for number, text in enumerate(prepared):
        alike = [*near.all(text), *passages.all(text)]
        pairs += [(min(other, number), max(other, number)) for other, _ in alike]
    return sorted({(one, other) for one, other in pairs if one != other})


def fold(text: str) -> str:
    """The words alone: composed, without case, punctuation and white space between them."""
    return " ".join(_words(text)) or " ".join(text.split())


def _words(text: str) -> list[str]:
    return WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def _first_of(keys: Iterable[str]) -> dict[str, int]:
    first: dict[str, int] = {}
    for index, key in enumerate(keys):
        first.setdefault(key, index)
    return first


def _prepare(raw: Sequence[str]) -> list[_Text]:
    worded = [_words(text) for text in raw]
    counted = Counter(run for words in worded for run in _runs(words, TEMPLATE_WORDS))
    least = max(TEMPLATE_TEXTS, TEMPLATE_SHARE * len(raw))
    template = {run: n for run, n in counted.items() if n >= least}
    return [
        _text(fold(text), _without_template(words, template))
        for text, words in zip(raw, worded, strict=True)
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


def _text(folded: str, words: list[str]) -> _Text:
    if len(words) >= SHORT_TEXT_WORDS:
        shingles = _runs(words, WORDS_OF_SHINGLE)
    else:
        letters = " ".join(words)
        last = max(1, len(letters) - CHARACTERS_OF_SHINGLE + 1) if letters else 0
        shingles = frozenset(_hash([letters[i : i + CHARACTERS_OF_SHINGLE]]) for i in range(last))
    figures = frozenset(word for word in words if FIGURE.search(word))
    return _Text(folded, shingles, _runs(words, PASSAGE_WORDS), figures)


def _runs(words: Sequence[str], length: int) -> frozenset[int]:
    """Hashes of every run of so many words; none when there are fewer."""
    return frozenset(_hash(words[i : i + length]) for i in range(len(words) - length + 1))


def _hash(words: Sequence[str]) -> int:
    joined = " ".join(words).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(joined, digest_size=8).digest())


class _NearIndex:
    """Held-out texts by the bands of their MinHash; a hit is compared exactly."""

    def __init__(self, texts: Sequence[_Text], threshold: float) -> None:
        from datasketch import MinHashLSH

        self._texts, self._threshold = texts, threshold
        # Banding at a lower bound, so that few pairs above the threshold are missed.
        self._index = MinHashLSH(threshold=0.75 * threshold, num_perm=PERMUTATIONS)
        for number, text in enumerate(texts):
            if text.shingles:
                self._index.insert(number, _signature(text))

    def all(self, text: _Text) -> list[tuple[int, float]]:
        """Every text at or above the threshold, with its similarity."""
        if not text.shingles:
            return []
        scored = [
            (number, _jaccard(text.shingles, self._texts[number].shingles))
            for number in self._index.query(_signature(text))
            if self._texts[number].figures == text.figures
        ]
        return sorted(pair for pair in scored if pair[1] >= self._threshold)

    def best(self, text: _Text) -> tuple[int, float] | None:
        """The most similar of them, the first among equals."""
        return max(self.all(text), key=lambda pair: pair[1], default=None)


def _signature(text: _Text) -> object:
    from datasketch import MinHash

    made = MinHash(num_perm=PERMUTATIONS, hashfunc=_low_bits)
    made.update_batch(sorted(text.shingles))
    return made


def _low_bits(shingle: int) -> int:
    return shingle & 0xFFFFFFFF


def _jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


class _PassageIndex:
    """Held-out texts by their 13-word runs."""

    def __init__(self, texts: Sequence[_Text]) -> None:
        self._sizes = [len(text.passages) for text in texts]
        self._holders: dict[int, list[int]] = defaultdict(list)
        for number, text in enumerate(texts):
            for passage in text.passages:
                self._holders[passage].append(number)

    def all(self, text: _Text) -> list[tuple[int, float]]:
        """Every text of which at least half stands in this one, with that share."""
        shared = Counter(n for passage in text.passages for n in self._holders.get(passage, ()))
        scored = [(number, n / self._sizes[number]) for number, n in shared.items()]
        return sorted(pair for pair in scored if pair[1] >= PASSAGE_SHARE)

    def best(self, text: _Text) -> tuple[int, float] | None:
        """The one of which the greatest share stands here, the first among equals."""
        return max(self.all(text), key=lambda pair: pair[1], default=None)
