"""Numbers as they are written: 3,500 and 3.500, and in English and German words.

A numeral can have several readings (3.500 is 3500 to a German and 3.5 to a Briton). The language
of the text decides where it is clear; where it is not, all readings are kept, likeliest first.
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import isfinite

from evaluators.checks.text.claims import listed, word_set
from evaluators.checks.text.lettering import EitherCase
from evaluators.checks.text.memo import remembered

_GAP = "[ \u00a0\u202f\u2009]"
_RAISED = r"(?:\^[-−+]?\d{1,3}|⁻?[⁰¹²³⁴-⁹]{1,3})(?!\w)"
FRACTIONS = {"½": 1 / 2, "⅓": 1 / 3, "⅔": 2 / 3, "¼": 1 / 4, "¾": 3 / 4, "⅛": 1 / 8}
NUMERAL = re.compile(
    r"(?=[\d.½⅓⅔¼¾⅛])(?:"  # where no number starts, one look must do
    rf"(?:(?<![\d.,])\d{{1,3}}(?:{_GAP}\d{{3}})+(?!\d)(?:[.,]\d+(?!\d))?"  # 1 250,50
    r"|(?<![\d.,])\d{1,3}(?:, \d{3})+(?![\d,])"  # 235, 000
    r"|\d+(?:[.,'’]\d+)*"
    r"|(?<![\w.,])\.\d+)"  # .5
    rf"(?:[½⅓⅔¼¾⅛]|[eE][+-]?\d{{1,3}}(?!\w)|\s?[×x*·]\s?10{_RAISED}|(?<=\b10){_RAISED})?"
    r"|[½⅓⅔¼¾⅛])"
)
_POWER = re.compile(r"(.*?)(?:[eE]|\s?[×x*·]?\s?10\^?)([-−⁻+]?[\d⁰¹²³⁴-⁹]+)")
_POWER_MARK = re.compile(r"[eE^⁰¹²³⁴-⁹]")
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻−", "0123456789--")
_GROUPING = re.compile(r"(?<=\d)(?:, |[ '’\u00a0\u202f\u2009])(?=\d{3}(?!\d))")
_NO_DIGIT = re.compile(r"\D")
_INDIAN = re.compile(r"\d{1,2}(?:,\d{2})+,\d{3}")

_ENGLISH = word_set(
    "the and of is to for with was are that you your has have at on be this by an as will"
)
_COMMA_DECIMAL = word_set(
    "der die das und ist nicht für mit ein eine einen den dem zu auf sie wir ihr ihre wird "
    "sich le les des est pour une dans avec vous nous votre pas sur qui "
    "el los las una por con para del usted su se que "
    "il gli di che per sono non della het een van voor met niet zijn o os uma não você "
    "kostet beträgt monatlich ihrem ihren haben hat im am um"
)
_WORD = re.compile(r"[^\W\d_]+")
# Each byte as a letter in lower case, or as a blank.
_LETTERS_ALONE = bytes(ord(chr(b).lower()) if b < 128 and chr(b).isalpha() else 32
                       for b in range(256))  # fmt: skip


def words_of(text: str) -> frozenset[str]:
    """Distinct case-folded words."""
    if text.isascii():
        return frozenset(text.encode("ascii").translate(_LETTERS_ALONE).decode("ascii").split())
    return frozenset(_WORD.findall(text.casefold()))


def writes_comma_decimals(words: frozenset[str]) -> bool | None:
    """Whether the language of these words writes 29,90 rather than 29.90; None if unclear."""
    english, other = len(words & _ENGLISH), len(words & _COMMA_DECIMAL)
    return None if english == other else other > english


_GERMAN = word_set(
    "der die das und ist nicht für mit eine einen dem auf sie wir ihr wird ihre ihrer ihrem "
    "ihren von zu im des ein einer einem wurde wurden werden haben nach vielen dank bitte ich "
    "kein keine sind auch oder aber sehr guten nr"
)


@lru_cache(maxsize=2048)
def is_german(words: frozenset[str]) -> bool:
    """Whether these are the words of a German text."""
    return len(words & _GERMAN) > len(words & _ENGLISH)


_GERMAN_COUNTS = word_set("zwei drei vier fünf sechs sieben acht neun zehn zwölf zwanzig")


_COMPOUND = re.compile("hundert|tausend|zig$|[ßs]ig$|zehn$")
_COMPOUND_CUES = ("hundert", "tausend", "zig ", "ßig ", "sig ", "zehn ")  # found faster


def counts_in_german(words: frozenset[str]) -> bool:
    """Whether number words are to be read as German ones."""
    return (
        not words.isdisjoint(_GERMAN_COUNTS)
        or is_german(words)
        or (
            any(map(f"{' '.join(words)} ".__contains__, _COMPOUND_CUES))
            and any(map(_is_german_number, words))
        )
    )


@remembered
def _is_german_number(word: str) -> bool:
    """Whether it is a number that is written in one word as no English one is."""
    return _COMPOUND.search(word) is not None and parse_german(word) is not None


def readings(numeral: str, *, comma_decimals: bool | None, measured: bool) -> tuple[float, ...]:
    """Values that a numeral can stand for, likeliest first; empty if it is a list or a version.

    Args:
        measured: a unit or currency stands beside it, so that it is one number.
    """
    if numeral[-1] in FRACTIONS:
        wholes = readings(numeral[:-1] or "0", comma_decimals=comma_decimals, measured=measured)
        return tuple(value + FRACTIONS[numeral[-1]] for value in wholes)
    if _POWER_MARK.search(numeral) is not None:
        return _raised(numeral, comma_decimals)
    plain = _GROUPING.sub("", numeral)
    measured = measured or plain != numeral
    separators = [c for c in plain if not c.isdigit()]
    parts = _NO_DIGIT.split(plain)
    if plain[0] == ".":
        return (float(plain),)
    if not separators or _INDIAN.fullmatch(plain):
        return (float("".join(parts)),)
    grouped = all(len(part) == 3 for part in parts[1:]) and len(parts[0]) <= 3
    kinds = set(separators)
    if kinds == {",", "."} and separators.count(separators[-1]) == 1:
        return (float("".join(parts[:-1]) + "." + parts[-1]),)
    if len(kinds) > 1:
        return ()
    whole = (float("".join(parts)),) if grouped and parts[0] != "0" else ()
    if len(separators) > 1 or not kinds <= {",", "."}:
        return whole
    return _single_separator(separators[0], parts, whole, comma_decimals, measured)


def _raised(numeral: str, comma_decimals: bool | None) -> tuple[float, ...]:
    """1.2e6 and 1.2 × 10⁶ alike; a bare 10⁶ stands for once that."""
    found = _POWER.fullmatch(numeral)
    if found is None:
        return ()
    bases = readings(found[1] or "1", comma_decimals=comma_decimals, measured=True)
    power = int(found[2].translate(_SUPERSCRIPT))
    values = (base * 10.0**power for base in bases if abs(power) < 300)
    return tuple(value for value in values if isfinite(value))


def _single_separator(
    separator: str,
    parts: list[str],
    whole: tuple[float, ...],
    comma_decimals: bool | None,
    measured: bool,
) -> tuple[float, ...]:
    fraction = (float(f"{parts[0]}.{parts[1]}"),)
    decimal_mark = "," if comma_decimals else "."
    if whole:
        if comma_decimals is None:
            return fraction + whole if separator == "." else whole + fraction
        return fraction if separator == decimal_mark else whole
    if separator == "." or comma_decimals or measured or comma_decimals is None:
        return fraction
    return ()


_UNITS = listed("zero one two three four five six seven eight nine")
_TEENS = listed("ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen")
_TENS = listed("twenty thirty forty fifty sixty seventy eighty ninety")
SMALL: dict[str, int] = {
    **{word: value for value, word in enumerate(_UNITS)},
    **{word: value + 10 for value, word in enumerate(_TEENS)},
    **{word: 10 * (value + 2) for value, word in enumerate(_TENS)},
}
BIG = {"dozen": 12, "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9,
       "trillion": 10**12}  # fmt: skip
_IRREGULAR = {"first": 1, "second": 2, "third": 3, "fifth": 5, "eighth": 8, "ninth": 9,
              "twelfth": 12, "twentieth": 20, "thirtieth": 30}  # fmt: skip
ORDINALS: dict[str, int] = {
    **{f"{word}th": value for word, value in SMALL.items() if 4 <= value < 20},
    **_IRREGULAR,
}
NUMBER_WORDS = frozenset([*SMALL, *BIG])
_ANY = sorted([*SMALL, *BIG], key=len, reverse=True)
_ALL = sorted([*SMALL, *BIG, *ORDINALS], key=len, reverse=True)
_RUN = (
    # The lookahead changes nothing but the time: most words begin with another letter.
    rf"\b(?=[{''.join(sorted({word[0] for word in _ANY}))}])"
    rf"(?:{'|'.join(_ANY)})(?:(?:\s+and\s+|\s+point\s+|[\s-]+)(?:{'|'.join(_ANY)}))*\b"
    # `twenty-first` counts nothing; `thirty-second` may be a length of time.
    rf"(?!-(?:{'|'.join(ORDINALS.keys() - {'second'})})\b)"
)
WORD_RUN = EitherCase(_RUN)  # of English number words
DATE_RUN = re.compile(
    rf"(?:\s+the)?\s+((?:{'|'.join(_ALL)})(?:(?:\s+and\s+|[\s,-]+)(?:{'|'.join(_ALL)}))*)\b",
    re.IGNORECASE,
)


def parse_words(words: list[str]) -> list[float]:
    """English number words -> the numbers they spell, one after the other.

    `three thousand five hundred` is [3500]; `twenty nine ninety` is [29, 90].
    """
    found: list[float] = []
    total, part, last = 0, None, 10**12
    for word in words:
        if word in BIG:
            total, part, last = _take_scale(total, part, BIG[word])
            continue
        value = SMALL.get(word, ORDINALS.get(word, 0))
        fits = (
            part is None
            or (value < 10 and part % 100 >= 20 and part % 10 == 0)
            or (part >= 100 and part % 100 == 0)
        )
        if fits and (part or 0) + value < last and part != 0:
            part = (part or 0) + value
        else:
            found.append(float(total + (part or 0)))
            total, part, last = 0, value, 10**12
    if part is not None or total:
        found.append(float(total + (part or 0)))
    return found


def _take_scale(total: int, part: int | None, scale: int) -> tuple[int, int | None, int]:
    if scale == 100:
        return total, (part or 1) * 100, 10**12
    return total + (part or 1) * scale, None, scale


@lru_cache(maxsize=4096)
def run_readings(run: str) -> tuple[tuple[float, ...], ...]:
    """Readings of a run of number words: each number, and what the run can stand for as a whole.

    The first entry holds the whole where there is one: a year (nineteen eighty four), a number
    spoken digit by digit, a decimal (three point five), hundreds left unsaid (one twenty).
    """
    words = re.split(r"[\s,-]+", run.lower())
    if "point" in words:
        at = words.index("point")
        head, tail = parse_words([w for w in words[:at] if w != "and"]), words[at + 1 :]
        digits = "".join(str(SMALL[w]) for w in tail if w in SMALL)
        return ((float(f"{int(head[-1])}.{digits}"),),) if head and digits else ()
    singles = parse_words([w for w in words if w != "and"])
    whole = _joined(singles)
    return ((whole, *singles),) if whole is not None else tuple((value,) for value in singles)


def _joined(singles: list[float]) -> float | None:
    if len(singles) < 2:
        return None
    if len(singles) > 2 and all(value < 10 for value in singles):
        return float("".join(str(int(value)) for value in singles))
    if len(singles) == 2:
        first, second = singles
        if 10 <= second < 100 and (10 <= first < 100 or 1 <= first < 10):
            return first * 100 + second
    return None


_GERMAN_SMALL = {
    "null": 0, "ein": 1, "eins": 1, "zwei": 2, "drei": 3, "vier": 4, "fünf": 5, "sechs": 6,
    "sieben": 7, "acht": 8, "neun": 9, "zehn": 10, "elf": 11, "zwölf": 12, "dreizehn": 13,
    "vierzehn": 14, "fünfzehn": 15, "sechzehn": 16, "siebzehn": 17, "achtzehn": 18,
    "neunzehn": 19, "zwanzig": 20, "dreißig": 30, "dreissig": 30, "vierzig": 40, "fünfzig": 50,
    "sechzig": 60, "siebzig": 70, "achtzig": 80, "neunzig": 90,
}  # fmt: skip
GERMAN_RUN = re.compile(
    r"\b(?:(?:null|eins?|zwei|drei(?:ß|ss)?|vier|fünf|sech|sieb|acht|neun|zehn|elf|zwölf|zwan|"
    r"hundert|tausend)(?:s|en|zehn|zig|ig|und|hundert|tausend|ein|zwei|drei|vier|fünf|sech|"
    r"acht|neun|elf|zwölf|zwan)*)\b",
    re.IGNORECASE,
)


@lru_cache(maxsize=4096)
def parse_german(word: str) -> int | None:
    """A German number word, compounds too (dreitausendfünfhundert -> 3500); None if it is none."""
    word = word.lower()
    if word in _GERMAN_SMALL:
        return _GERMAN_SMALL[word]
    for scale_word, scale in (("tausend", 1000), ("hundert", 100)):
        if scale_word in word:
            head, tail = word.split(scale_word, 1)
            high = parse_german(head) if head else 1
            low = parse_german(tail.removeprefix("und")) if tail else 0
            return None if high is None or low is None else high * scale + low
    if "und" in word:
        ones, tens = word.split("und", 1)
        low, high = _GERMAN_SMALL.get(ones), _GERMAN_SMALL.get(tens)
        return None if low is None or high is None or high < 20 else high + low
    return None
