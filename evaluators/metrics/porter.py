"""Porter's stemmer with the extensions that NLTK gave it, which is how rouge-score stems.

Porter 1980, "An algorithm for suffix stripping", Program 14:130. NLTK's own is not imported for it:
its package brings scikit-learn and pandas along, two seconds and 130 MB in each process. The tests
hold both equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

IRREGULAR = {
    "skies": "sky",
    "dying": "die",
    "lying": "lie",
    "tying": "tie",
    "innings": "inning",
    "outings": "outing",
    "cannings": "canning",
    **{
        word: word
        for word in (
            *("sky", "news", "inning", "outing", "canning", "howe"),
            *("proceed", "exceed", "succeed"),
        )
    },
}
# Longer endings stand before those that end them.
_DOUBLE = {
    "ational": "ate", "tional": "tion", "enci": "ence", "anci": "ance", "izer": "ize", "bli": "ble",
    "alli": "al", "entli": "ent", "eli": "e", "ousli": "ous", "ization": "ize", "ation": "ate",
    "ator": "ate", "alism": "al", "iveness": "ive", "fulness": "ful", "ousness": "ous",
    "aliti": "al", "iviti": "ive", "biliti": "ble", "fulli": "ful",
}  # fmt: skip
_SINGLE = {
    "icate": "ic", "ative": "", "alize": "al", "iciti": "ic", "ical": "ic", "ful": "", "ness": "",
}  # fmt: skip
_BARE = dict.fromkeys(
    (
        *("al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent"),
        *("ou", "ism", "ate", "iti", "ous", "ive", "ize"),
    ),
    "",
)


@lru_cache(maxsize=200_000)
def stem(word: str) -> str:
    """The stem of a lower-case word; words of one or two letters stay as they are."""
    if word in IRREGULAR:
        return IRREGULAR[word]
    if len(word) < 3:
        return word
    word = _without_y(_without_tense(_without_plural(word)))
    word = _replaced(_without_double(word), _SINGLE, least=1)
    return _without_e(_without_last(word))


def _shape(text: str) -> str:
    """`c` for each consonant, `v` for each vowel; y after a consonant is a vowel."""
    shape, last = [], ""
    for letter in text:
        last = "v" if letter in "aeiou" or (letter == "y" and last == "c") else "c"
        shape.append(last)
    return "".join(shape)


def _measure(text: str) -> int:
    """Porter's m: how often a vowel is followed by a consonant."""
    return _shape(text).count("vc")


def _is_short(text: str) -> bool:
    """Porter's *o, and NLTK's two letters such as `us`."""
    shape = _shape(text)
    return shape == "vc" or (shape.endswith("cvc") and text[-1] not in "wxy")


def _replaced(word: str, endings: Mapping[str, str], *, least: int) -> str:
    """The first ending that fits exchanged, if what stands before it measures enough."""
    for ending, put in endings.items():
        if word.endswith(ending):
            rest = word[: -len(ending)]
            return rest + put if _measure(rest) >= least else word
    return word


def _without_plural(word: str) -> str:
    if word.endswith("ies"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("sses"):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _without_tense(word: str) -> str:
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) else word
    for ending in ("ed", "ing"):
        rest = word.removesuffix(ending)
        if rest != word and "v" in _shape(rest):
            return _mended(rest)
    return word


def _mended(rest: str) -> str:
    """What a verb was before its ending: hop of hopp, file of fil."""
    if rest.endswith(("at", "bl", "iz")):
        return rest + "e"
    if rest[-1:] == rest[-2:-1] and _shape(rest)[-1] == "c":
        return rest if rest[-1] in "lsz" else rest[:-1]
    return rest + "e" if _measure(rest) == 1 and _is_short(rest) else rest


def _without_y(word: str) -> str:
    turns = word.endswith("y") and len(word) > 2 and _shape(word)[-2] == "c"
    return word[:-1] + "i" if turns else word


def _without_double(word: str) -> str:
    if word.endswith("alli") and _measure(word[:-4]):
        return _without_double(word[:-2])
    if word.endswith("logi"):
        return word[:-1] if _measure(word[:-3]) else word
    return _replaced(word, _DOUBLE, least=1)


def _without_last(word: str) -> str:
    if word.endswith("ion"):
        return word[:-3] if word[-4:-3] in ("s", "t") and _measure(word[:-3]) > 1 else word
    return _replaced(word, _BARE, least=2)


def _without_e(word: str) -> str:
    if word.endswith("e"):
        rest = word[:-1]
        measure = _measure(rest)
        word = rest if measure > 1 or (measure == 1 and not _is_short(rest)) else word
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word
