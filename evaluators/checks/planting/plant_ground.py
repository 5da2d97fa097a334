"""The ground in which errors are planted: an output with its source, and edits that stay in place.

Answers for what every kind of planted error shares: the language of a text, what the source tells
near what, and how a stretch is replaced so that casing and `a` or `an` are right.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from evaluators.checks.facts.facts import Facts, NumberFact, find_facts
from evaluators.checks.facts.numerals import words_of
from evaluators.checks.facts.sources import Source, index_source
from evaluators.checks.text.claims import split_sentences, word_set
from evaluators.checks.text.statements import stem_word

MOST_AROUND = 0.5  # the share of a clause's words that make a sentence of the source its witness
_LANGUAGES = {
    "en": "the of is to for with was are that you your has have at this by an and he she it not "
    "they we i my his her their had been no any but from who what how did does do please when",
    "de": "der die das und ist nicht für mit eine einen dem auf sie wir ihr wird ihre ihrer ihrem "
    "ihren von zu im des ein einer einem wurde wurden werden haben hat nach vielen bitte ich kein "
    "keine sind auch oder aber sehr am bei er es den sich war zum zur seit",
    "other": "le les des est pour une dans avec vous nous votre pas sur qui et du au aux ce elle "
    "el los las por con para del usted su se que y es una un como al pero muy "
    "il gli che per sono non della di nel alla anche het een van voor met niet zijn de ik op te "
    "o os uma não você em com mais foi och att som för inte är på det jest nie na z do się "
    "og er en ikke til af ve bir bu için da",
}
_MARKS = {code: word_set(words) for code, words in _LANGUAGES.items()}
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_LATIN = re.compile(r"[A-Za-zÀ-ɏ]")
_LETTER = re.compile(r"[^\W\d_]")
_EMPTY = word_set(
    "the a an and or of to in on at for with by is was are were be been has have had do does "
    "did will would can could he she it they we i you his her their its my your our this that "
    "not no as from dr mr mrs ms herr herrn frau der die das den dem des ein eine einen einem "
    "einer und oder ist war sind hat haben wurde wird im in zu mit von für auf sie er es wir "
    "nicht"
)


@lru_cache(maxsize=8192)
def find_language(text: str) -> str | None:
    """`en`, `de`, or None where a text is in another language or too short to tell."""
    letters = _LETTER.findall(text)
    if len(_LATIN.findall(text)) < 0.7 * len(letters) or not letters:
        return None
    words = words_of(text)
    hits = {code: len(words & marks) for code, marks in _MARKS.items()}
    best = max(hits, key=lambda code: hits[code])
    ahead = all(hits[best] > hits[code] for code in hits if code != best)
    return best if ahead and best != "other" else None


@dataclass(frozen=True, slots=True)
class TextEdit:
    """A stretch of the output in code points and what is to stand there instead.

    Attributes:
        rank: 0 for what the source itself offers, larger for what is easier to see through.
        near: words that the source must not tell beside what stays of the clause; none where
            the finder has looked already.
    """

    start: int
    end: int
    new: str
    rank: int = 0
    near: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ground:
    """An output, its source, and what else may be drawn upon.

    Attributes:
        language: `en` or `de`.
        sentences: places of the output's sentences.
        donors: texts of other documents in the same language.
    """

    output: str
    source: str
    language: str
    facts: Facts
    told: Source
    sentences: tuple[tuple[int, int], ...]
    donors: tuple[str, ...]

    def sentence_at(self, position: int) -> tuple[int, int]:
        """The place of the sentence in which a code point lies."""
        return next(
            ((a, b) for a, b in self.sentences if a <= position <= b), (0, len(self.output))
        )


Finder = Callable[[Ground, random.Random], Iterable[TextEdit]]


def survey(output: str, source: str, donors: Sequence[str]) -> Ground | None:
    """The ground, or None where nothing can be planted: no text, or no language that is known."""
    if _LETTER.search(output) is None or not source.strip():
        return None
    told, said = find_language(source), find_language(output)
    language = told or (said if _is_short(source) else None)
    if language is None or (said not in (None, language)) or _is_foreign(output):
        return None
    return Ground(
        output,
        source,
        language,
        find_facts(output),
        index_source(source),
        tuple(split_sentences(output)),
        tuple(text for text in donors if find_language(text) == language),
    )


def _is_short(text: str) -> bool:
    """Too few words to tell the language by."""
    return len(words_of(text)) < 25 and not _is_foreign(text)


def _is_foreign(text: str) -> bool:
    """Whether more marks of another language stand in it than of the two."""
    words = words_of(text)
    known = max(len(words & _MARKS["en"]), len(words & _MARKS["de"]))
    return len(words & _MARKS["other"]) > known + 1


@dataclass(frozen=True, slots=True)
class _SourceSentences:
    """The sentences of a source: their stems, the values of their numbers, which are questions."""

    stems: tuple[frozenset[str], ...]
    values: tuple[frozenset[float], ...]
    asked: tuple[bool, ...]


@lru_cache(maxsize=256)
def _told(source: str) -> _SourceSentences:
    places = split_sentences(source)
    numbers = find_facts(source).numbers
    return _SourceSentences(
        tuple(stems_of(source[a:b]) for a, b in places),
        tuple(frozenset(_values(n for n in numbers if a <= n.start < b)) for a, b in places),
        tuple(source[b - 1] == "?" for _, b in places),
    )


def _values(numbers: Iterable[NumberFact]) -> Iterator[float]:
    for number in numbers:
        yield from number.values
        for part in (*number.parts, *number.others):
            yield from part.values


@lru_cache(maxsize=1024)
def stems_of(text: str) -> frozenset[str]:
    """Stems of the content words of a text."""
    return frozenset(
        stem_word(word.lower()) for word in _WORD.findall(text) if word.lower() not in _EMPTY
    )


def source_says(ground: Ground, words: Sequence[str], around: str) -> bool:
    """Whether the source says some words beside those of a clause, in one sentence or its answer.

    A clause without any content word of its own is told wherever the words stand.
    """
    told, wanted = _told(ground.source), stems_of(" ".join(words))
    return _is_near(told, stems_of(around) - wanted, [wanted <= stems for stems in told.stems])


def source_gives_number(ground: Ground, value: float, around: str) -> bool:
    """Whether the source gives a number beside the words of a clause."""
    told = _told(ground.source)
    return _is_near(told, stems_of(around), [value in values for values in told.values])


def _is_near(told: _SourceSentences, around: frozenset[str], holds: Sequence[bool]) -> bool:
    """Whether one of the sentences that hold it, or the question it answers, has those words."""
    for i in (i for i, held in enumerate(holds) if held):
        first = i - 1 if i and told.asked[i - 1] else i
        window = frozenset().union(*told.stems[first : i + 1 + told.asked[i]])
        if not around or len(around & window) >= MOST_AROUND * len(around):
            return True
    return False


def with_case(new: str, old: str) -> str:
    """A word in the casing of the one that it replaces."""
    if old.isupper() and len(old) > 1:
        return new.upper()
    if old[:1].isupper() and new[:1].islower():
        return new[:1].upper() + new[1:]
    return new


_ARTICLE = re.compile(r"(?<![\w.])(an?)(\s+)$", re.IGNORECASE)
_SILENT = ("hour", "honest", "honor", "honour", "heir")
_SOUNDED = ("uni", "use", "usu", "uti", "eu", "one", "once", "ura", "ute", "ufo")


def article_for(word: str) -> str:
    """`a` or `an` before a word or a number, by its first sound as its spelling tells it."""
    lower = word.lower()
    if lower[:1].isdigit():
        return "an" if re.match(r"(?:8|1[18](?!\d))", lower) else "a"
    if word[:2].isupper() and len(word) > 1:
        return "an" if word[0] in "AEFHILMNORSX" else "a"
    if lower.startswith(_SILENT):
        return "an"
    return "an" if lower[:1] in tuple("aeiou") and not lower.startswith(_SOUNDED) else "a"


def fit_article(output: str, edit: TextEdit, language: str) -> TextEdit:
    """The edit with the English article before it made to fit."""
    found = _ARTICLE.search(output, max(0, edit.start - 6), edit.start)
    if language != "en" or found is None or not edit.new.strip():
        return edit
    wanted = article_for(edit.new.lstrip())
    if found[1].lower() == wanted:
        return edit
    new = with_case(wanted, found[1]) if found[1][0].isupper() else wanted
    return TextEdit(found.start(), edit.end, new + found[2] + edit.new, edit.rank, edit.near)
