"""What is said aloud, as it is written down: `ten m g` is 10 mg, `b twelve` B12, `point six` 0.6.

Transcripts of speech spell units, codes, years and times of day in letters and words. `written`
gives such a text as people would write it, so that an output that writes so is held against it. It
only ever serves to support what an output says; nothing is found in it that was not said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from evaluators.checks.facts.numerals import ORDINALS, SMALL
from evaluators.checks.text.lettering import EitherCase, plain_case

_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_ONES = "one|two|three|four|five|six|seven|eight|nine"
_TEENS = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
_BELOW_100 = rf"(?:(?:{_TENS})(?:[\s-](?:{_ONES}))?|{_TEENS}|{_ONES})"
_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_NTH = "|".join(sorted(ORDINALS, key=len, reverse=True))
_FROM_10 = rf"(?:(?:{_TENS})(?:[\s-](?:{_ONES}))?|{_TEENS})"
# Of `two thousand three hundred` no part is a year, of `c one thousand` none a code.
_ENDS = rf"(?![\s-](?:hundred|thousand|million|billion|percent|{_BELOW_100})\b)"
# Lone letters that are words, endings (it's, I'd) or people's initials begin no code.
# What stands before a letter or digit is asked after it: such a search is many times as fast.
_LETTER = r"[b-hj-lo-z](?<![\w'’].)(?!\w)"
_MONTH_NAMES = tuple(_MONTHS.split("|"))
# What a text has somewhere of which something is dictated, by the words that are in it then. That a
# letter stands alone is asked last: the search is twice as fast.
_CUES: Mapping[str, tuple[str, ...]] = {
    rf"[a-z]\s(?<![\w'’][a-z]\s)(?:[a-z0-9](?!\w)|{_BELOW_100}\b)": ("",),
    rf"\bpoint\s(?:zero|o|{_BELOW_100})\b": ("point",),
    rf"\b(?:{_MONTHS})\b[\w\s]{{0,24}}\b(?:thousand|nineteen|twenty|o)\b": _MONTH_NAMES,
    rf"\b{_BELOW_100}\s(?:in the (?:morning|afternoon|evening|night)|at night)\b": (
        "in the morning",
        "in the afternoon",
        "in the evening",
        "in the night",
        "at night",
    ),
}
_CUE = re.compile("|".join(_CUES), re.IGNORECASE)
_LOWER_CUES = [(words, re.compile(cue)) for cue, words in _CUES.items()]
_UNIT = EitherCase(
    r"(?:m(?<![\w'’].)\s(?:c\sg|m\sh\sg|e\sq|[glm])|k(?<![\w'’].)\sg|c(?<![\w'’].)\s[cm])s?(?!\w)"
)
_POINT = EitherCase(
    rf"\b(?<!this\s)(?<!that\s)(?<!my\s)(?:((?:{_BELOW_100})|zero)\s)?(?:a\s)?point\s((?:(?:zero|o)\s)*)"
    rf"((?:(?:{_ONES})\s)?{_BELOW_100}|zero)\b"
)
_CODE = EitherCase(rf"({_LETTER}(?:\s[a-z](?!\w)){{0,3}})\s({_BELOW_100})(?:\s({_ONES}))?\b{_ENDS}")
_YEAR = EitherCase(
    rf"\b({_MONTHS})\b((?:\sthe)?(?:\s(?:{_NTH}|{_BELOW_100}))?(?:\s?,)?(?:\sof|\sin)?)\s"
    rf"(?:(nineteen|twenty)\s({_FROM_10})|two\sthousand(?:\sand)?(?:\s({_BELOW_100}))?"
    rf"|o\s({_ONES}))\b{_ENDS}"
)
_HOUR = EitherCase(
    rf"\b({_ONES}|ten|eleven|twelve)(?:\s(thirty|fifteen|forty[\s-]five))?\s"
    r"(?:(?:in the |this )(morning|afternoon|evening|night)|at (night)|([ap])\sm(?!\w))"
)


@lru_cache(maxsize=64)
def written(text: str) -> str | None:
    """The text with what is dictated in it written down; None where nothing is."""
    lower = text.lower() if text.isascii() else None  # of other letters some have several cases
    if not _is_dictated(text, lower):
        return None
    found = text
    for pattern, put, words in _STEPS:
        if lower is None or any(word in lower for word in words):
            found = pattern.sub(put, found)
    return None if found == text else found


def _is_dictated(text: str, lower: str | None) -> bool:
    """Whether it is worth to look; in lower case, where a search is three times as fast."""
    if lower is None:
        return _CUE.search(text) is not None
    return any(
        cue.search(lower) is not None
        for words, cue in _LOWER_CUES
        if any(word in lower for word in words)
    )


def _value(words: str) -> int:
    """`twenty eight` is 28."""
    return sum(SMALL[word.lower()] for word in re.split(r"[\s-]", plain_case(words)))


def _unit(m: re.Match[str]) -> str:
    letters = re.sub(r"\s", "", m[0]).lower().removesuffix("s")
    return {"mmhg": "mmHg", "meq": "mEq", "ml": "mL"}.get(letters, letters)


def _point(m: re.Match[str]) -> str:
    whole = 0 if m[1] is None or m[1].lower() == "zero" else _value(m[1])
    zeros = "0" * len(m[2].split())
    digits = plain_case(m[3]).lower().split()
    if len(digits) > 1 and SMALL[digits[0]] < 10:  # one twenty five
        return f"{whole}.{zeros}{SMALL[digits[0]]}{_value(' '.join(digits[1:]))}"
    return f"{whole}.{zeros}{0 if digits == ['zero'] else _value(m[3])}"


def _code(m: re.Match[str]) -> str:
    letters = re.sub(r"\s", "", m[1]).upper()
    return f"{letters}{_value(m[2])}" + (f"-{_value(m[3])}" if m[3] else "")


def _year(m: re.Match[str]) -> str:
    if m[3]:
        year = 100 * _value(m[3]) + _value(m[4])
    else:
        year = 2000 + (_value(m[5] or m[6]) if m[5] or m[6] else 0)
    return f"{m[1]}{m[2]} {year}"


def _hour(m: re.Match[str]) -> str:
    minutes = f":{_value(m[2])}" if m[2] else ""
    part = plain_case(m[3] or m[4] or m[5]).lower()
    late = part not in ("morning", "a")
    if part == "night":  # two at night is early
        late = 4 < _value(m[1]) < 12
    return f"{_value(m[1])}{minutes} {'p.m.' if late else 'a.m.'}"


_MERIDIEM = tuple(f"{chr(gap)}m" for gap in range(33) if chr(gap).isspace())  # of `a m`
_STEPS: tuple[tuple[EitherCase, Callable[[re.Match[str]], str], tuple[str, ...]], ...] = (
    (_HOUR, _hour, ("morning", "afternoon", "evening", "night", *_MERIDIEM)),
    (_UNIT, _unit, ("",)),
    (_POINT, _point, ("point",)),
    (_YEAR, _year, _MONTH_NAMES),
    (_CODE, _code, ("",)),
)
"""What is written down, how, and the words of which one is in a text that has it."""
