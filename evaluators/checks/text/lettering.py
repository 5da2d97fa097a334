"""One spelling for words that are written in several: Müller and Mueller, didn't and did not.

Case, accents, German and Nordic letters, apostrophes and English contractions differ between texts
that say the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache

_NOT_ALNUM = re.compile(r"[\W_]+")
_SPELLED_OUT = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ø": "oe", "å": "aa", "æ": "ae", "œ": "oe",
     "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}
)  # fmt: skip
_BARE = str.maketrans(
    {"ß": "ss", "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}
)
_NOT = re.compile(r"\b(ca|wo|sha)?(n)['’]t\b|\bcannot\b|(?<=[a-z])n['’]t\b", re.IGNORECASE)
_SHORTENED = re.compile(r"(?<=[a-z])['’](re|ve|ll|m)\b", re.IGNORECASE)
_WHOLE = {"re": " are", "ve": " have", "ll": " will", "m": " am"}
_IRREGULAR = {"ca": "can", "wo": "will", "sha": "shall"}


def plain_case(text: str) -> str:
    """The text, of the same length, with s for ſ and i for ı and İ.

    A pattern that minds no case takes each for the other, and lower() does not: what is looked up
    by the word that was found would not be there.
    """
    if text.isascii():
        return text
    return text.replace("ſ", "s").replace("ı", "i").replace("İ", "I")


def squash(text: str) -> str:
    """Letters and digits only, case folded and without accents."""
    folded = text.casefold()
    if not folded.isascii():
        folded = strip_accents(folded)
    return _NOT_ALNUM.sub("", folded)


def strip_accents(text: str) -> str:
    """Case-folded text with plain letters: ä is a."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c)).translate(_BARE)


@lru_cache(maxsize=4096)
def spellings(word: str) -> frozenset[str]:
    """The ways to write a case-folded word: itself, with ue for ü, and with u for it."""
    if word.isascii():
        return frozenset({word})
    composed = unicodedata.normalize("NFC", word)
    out = strip_accents(composed.translate(_SPELLED_OUT))
    return frozenset({word, composed, out, strip_accents(composed)})


def folded_words(text: str, words: frozenset[str]) -> frozenset[str]:
    """All words of a text in all their spellings, those with digits too.

    Args:
        words: the distinct case-folded words of letters.
    """
    if text.isascii():
        return words.union(text.encode("ascii").translate(_RUNS_ALONE).decode("ascii").split())
    found = set(words)
    if _WITH_DIGITS.search(text) is not None:
        found |= set(_RUN.findall(text.casefold()))
    for word in [word for word in found if not word.isascii()]:
        found |= spellings(word)
    return frozenset(found)


class EitherCase:
    """A pattern in small letters that matches letters of any case.

    In plain text it is looked for in small letters, where a search that minds the case is two to
    three times as fast: places are the text's own, words are as they were or in small letters.
    """

    def __init__(self, pattern: str) -> None:
        self._any, self._small = re.compile(pattern, re.IGNORECASE), re.compile(pattern)

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """All matches, as a compiled pattern gives them."""
        if text.isascii():  # another letter may become two
            return self._small.finditer(text.lower())
        return self._any.finditer(text)

    def match(self, text: str, start: int) -> re.Match[str] | None:
        """A match that begins at a place."""
        return self._any.match(text, start)

    def sub(self, put: Callable[[re.Match[str]], str], text: str) -> str:
        """The text with each match replaced; `put` is given it as it was written."""
        if not text.isascii():
            return self._any.sub(put, text)
        found: list[str] = []
        end = 0
        for m in self._small.finditer(text.lower()):
            written = self._any.match(text, m.start())
            if written is not None:  # it always is one, of the same length
                found += text[end : m.start()], put(written)
                end = written.end()
        return "".join([*found, text[end:]]) if found else text


# Each byte as a letter in lower case, digit or underscore, or as a blank.
_RUNS_ALONE = bytes(ord(chr(b).lower()) if b < 128 and (chr(b).isalnum() or chr(b) == "_") else 32
                    for b in range(256))  # fmt: skip
_WITH_DIGITS = re.compile(r"[\d_]")
_RUN = re.compile(r"\w+")


def expand_contractions(text: str) -> str:
    """English contractions spelled out: `didn't` is `did not`, `they're` is `they are`."""
    if "'" not in text and "’" not in text and "cannot" not in text:
        return text
    return _SHORTENED.sub(lambda m: _WHOLE[m[1].lower()], _NOT.sub(_without, text))


def _without(found: re.Match[str]) -> str:
    if found[0].lower() == "cannot":
        return "can not"
    return f"{_IRREGULAR.get((found[1] or '').lower(), '')} not"
