"""Statements of a text: its sentences as words, who speaks, what is asked and what is answered.

A dialogue says much of what it says by a question and its answer: `Any chest pain?` `No.` denies
the pain as plainly as a note does. Knows nothing of outputs or of what is claimed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import NamedTuple

from evaluators.checks.text.claims import split_sentences, word_set
from evaluators.checks.text.memo import remembered

_PLAIN = r"[^\W\d_]+|\d+(?:[.,:/]\d+)*|[^\w\s-]|(?<!\w)-|-(?!\w)"
_TOKEN = re.compile(rf"[^\W\d_]+(?=n['’]t\b)|n['’]t\b|{_PLAIN}")
_TOKEN_WITHOUT_NT = re.compile(_PLAIN)  # the same, and found faster, in a text without n't
_LABEL = re.compile(r"(?:[\[(][\d:. apmAPM]{1,12}[\])]\s*)?([A-Z][\w.']*(?: [\w.']+){0,2})\s?:\s")
_REPLIES = ("no", "nah", "never")  # what these begin with, found faster
_REPLY = re.compile(r"(?:no|nope|nah|never|none)\b")
# Of words whose first letters are looked for first, and then what stands before them: a search
# that begins with a boundary takes many times as long.
_DENIAL = re.compile(
    r"n(?:(?<!\wn)(?:ot?|ever|egative)|['’]t)\b|w(?<!\ww)ithout\b|d(?<!\wd)en(?:y|ies|ied|ying)\b"
)
_CUES = ("no", "n't", "n’t", "never", "without", "deny", "deni", "negative")  # found faster
_ASKED_OF = ("any", "you", *_CUES)  # in every question whose `no` denies something
_MANY = 30
_WORN_DOWN = {"ca": "can", "wo": "will", "sha": "shall", "ai": "is"}
_YES = word_set("yes yeah yep yup correct right")
_NO = word_set("no nope nah never none")
_TURNS = word_set(
    "but except just only well sometimes however though although occasionally maybe actually "
    "used before once little bit sort kind unless until apart besides other mostly last ago "
    "yet now anymore already probably might think guess"
)
_OPENINGS = word_set(", and so ok okay well now then also")
_ASKING = word_set(
    "any do does did have has are is was were can could would what how why who where which"
)
_BACK = word_set("it that they some those this not n't")


class Polarity(StrEnum):
    """Whether something is stated, denied, or neither for certain."""

    AFFIRMED = "affirmed"
    NEGATED = "negated"
    UNCLEAR = "unclear"


class Word(NamedTuple):
    """A word or mark of punctuation in lower case, and its stem."""

    text: str
    stem: str


class Statement(NamedTuple):
    """One sentence.

    Attributes:
        start, end: code points, the label of a speaker included.
        body: where it begins past that label.
        speaker: the label in lower case if it comes back, as no heading of a form does.
        texts, stems: of all its words.
        asked: it is a question.
        answer: what the reply to a question makes of it; affirmed for a plain sentence.
    """

    start: int
    end: int
    body: int
    words: tuple[Word, ...]
    texts: frozenset[str]
    stems: frozenset[str]
    speaker: str
    asked: bool
    answer: Polarity

    def place(self, text: str, first: int, last: int) -> tuple[int, int]:
        """Code points from one word to another; `text` is the one that was read."""
        spans = _token_spans(text, self.body, self.end)
        return spans[first][0], spans[last][1]


@lru_cache(maxsize=16)
def _token_spans(text: str, start: int, end: int) -> tuple[tuple[int, int], ...]:
    """Remembered, since a sentence of many denials is asked for the place of each."""
    return tuple(m.span() for m in _TOKEN.finditer(text, start, end))


@remembered
def stem_word(word: str) -> str:
    """A lower-case word without its ending: plural, -ed, -ing; for comparison only."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 5 and word.endswith("ied"):
        return word[:-3] + "y"
    if len(word) > 5 and word.endswith("ing"):
        return _undouble(word[:-3])
    if len(word) > 4 and word.endswith("ed") and not word.endswith("eed"):
        return _undouble(word[:-2])
    if len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and word[-2] not in "sui":
        word = word[:-1]
    return word[:-1] if len(word) > 4 and word.endswith("e") else word


def stem_set(words: str) -> frozenset[str]:
    """The stems of the words of a text."""
    return frozenset(map(stem_word, words.split()))


def _undouble(stem: str) -> str:
    if len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] not in "lsz":
        return stem[:-1]
    return stem[:-1] if len(stem) > 4 and stem.endswith("e") else stem


_VERBS = (
    "pay paid pays, give gave given gives giving, send sent sends, sell sold sells, "
    "lend lent lends, owe owed owes owing, buy bought buys, take took taken takes taking, "
    "tell told tells, teach taught teaches, hit hits, bite bit bitten bites biting, "
    "leave left leaves leaving, see saw seen sees, know knew known knows, "
    "write wrote written writes writing, drive drove driven drives driving, "
    "eat ate eaten eats, drink drank drunk drinks, sleep slept sleeps, "
    "break broke broken breaks, lose lost loses losing, win won wins winning, "
    "sue sued sues suing, beat beaten beats, choose chose chosen chooses, "
    "hire hired hires hiring"
)
_IRREGULAR = {form: forms.split()[0] for forms in _VERBS.split(", ") for form in forms.split()}


@remembered
def _fold(word: str) -> Word:
    if word == "May":  # the month hedges nothing
        return Word(word, word)
    lower = word.lower().replace("’", "'")
    lower = _WORN_DOWN.get(lower, lower)
    return Word(lower, stem_word(lower))


def _read_labels(text: str, places: Sequence[tuple[int, int]]) -> tuple[list[int], list[str]]:
    """Where each sentence begins past the label of a speaker, and the speakers that come back."""
    if ":" not in text:
        return [start for start, _ in places], [""] * len(places)
    labels = [
        _LABEL.match(text, start, end) if text.find(":", start, start + 60) >= 0 else None
        for start, end in places
    ]
    named = Counter(m[1].lower() for m in labels if m)
    bodies = [m.end() if m else start for m, (start, _) in zip(labels, places, strict=True)]
    return bodies, [m[1].lower() if m and named[m[1].lower()] > 1 else "" for m in labels]


def _distinct(words: Sequence[Word]) -> tuple[frozenset[str], frozenset[str]]:
    """The distinct texts and stems."""
    texts, stems = zip(*words, strict=True) if words else ((), ())
    return frozenset(texts), frozenset(stems)


class Transcript:
    """The sentences of a text, of which each is cut into words when it is first asked for."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._places = split_sentences(text)
        self._tokens = _TOKEN if "n't" in text or "n’t" in text else _TOKEN_WITHOUT_NT
        self._bodies, self._speakers = _read_labels(text, self._places)
        bodies = zip(self._bodies, self._places, strict=True)
        if text.isascii():
            lower = text.lower()
            self._bare = [lower[at:end] for at, (_, end) in bodies]
        else:  # a letter may become two
            self._bare = [text[at:end].lower() for at, (_, end) in bodies]
        self._whole = "\n".join(self._bare)
        self._words: dict[int, tuple[Word, ...]] = {}
        self._read: dict[int, Statement] = {}

    def __len__(self) -> int:
        return len(self._places)

    @cached_property
    def denying(self) -> list[int]:
        """Sentences with a word of denial, and questions that are answered by one."""
        cues, replies = self._there(_CUES), [*self._bare, ""]
        return [
            i
            for i, bare in enumerate(self._bare)
            if (any(map(bare.__contains__, cues)) and _DENIAL.search(bare) is not None)
            or (
                replies[i + 1].startswith(_REPLIES)
                and any(map(bare.__contains__, _ASKED_OF))
                and _REPLY.match(replies[i + 1]) is not None
            )
        ]

    def holding(self, words: frozenset[str]) -> Iterator[int]:
        """Sentences in which one of some lower-case words may stand; all where those are many."""
        if len(words) > _MANY:
            yield from range(len(self))
        elif there := self._there(words):
            for i, bare in enumerate(self._bare):
                if any(map(bare.__contains__, there)):
                    yield i

    def _there(self, words: Iterable[str]) -> list[str]:
        """Those of the words that are in the text at all: one look spares one at each sentence."""
        return [word for word in words if word in self._whole]

    def bare(self, i: int) -> str:
        """A sentence in lower case without its speaker; spares the reading of most."""
        return self._bare[i]

    def statement(self, i: int) -> Statement:
        """One sentence, read."""
        held = self._read.get(i)
        if held is None:
            held = self._read[i] = self._statement(i)
        return held

    def _statement(self, i: int) -> Statement:
        start, end = self._places[i]
        words = self.words(i)
        asked = _is_question(words)
        reply = [self.words(j) for j in range(i + 1, min(i + 3, len(self)))] if asked else []
        return Statement(
            start,
            end,
            self._bodies[i],
            words,
            *_distinct(words),
            self._speakers[i],
            asked,
            _answer_to(words, reply) if asked else Polarity.AFFIRMED,
        )

    def words(self, i: int) -> tuple[Word, ...]:
        """The words of one sentence; spares the reading of its neighbours."""
        held = self._words.get(i)
        if held is not None:
            return held
        found = self._tokens.findall(self._text, self._bodies[i], self._places[i][1])
        words = self._words[i] = tuple(map(_fold, found))
        return words


@lru_cache(maxsize=4096)
def transcribe(text: str) -> Transcript:
    """The sentences of a text; remembered, since several outputs share one source."""
    return Transcript(text)


def _is_question(words: Sequence[Word]) -> bool:
    """By its mark, or by its order where the mark is missing: `Have you been ill.`"""
    if words and words[-1].text == "?":
        return True
    for word in words[:3]:
        if word.text not in _OPENINGS:
            return word.text in _ASKING
    return False


def _answer_to(words: Sequence[Word], following: Sequence[Sequence[Word]]) -> Polarity:
    """What the next sentence makes of a question: only a plain yes or no does."""
    reply = following[0] if following else ()
    if not reply or _is_question(reply) or any(w.text in ("not", "n't", "no") for w in words):
        return Polarity.UNCLEAR
    if any(word.text in _TURNS for word in reply) or _takes_back(reply, following[1:]):
        return Polarity.UNCLEAR
    if reply[0].text in _NO:
        return Polarity.NEGATED
    return Polarity.AFFIRMED if reply[0].text in _YES else Polarity.UNCLEAR


def _takes_back(reply: Sequence[Word], following: Sequence[Sequence[Word]]) -> bool:
    """`Yes, I don't` and `No. It comes and goes.` are no plain answers."""
    if reply[0].text in _YES and any(word.text in ("not", "n't") for word in reply):
        return True
    return any(part[0].text in _BACK for part in following if part)
