"""Dates and high ages: where they stand, and how they are moved so that distances stay.

All dates of a document are moved by the same number of whole weeks, so that the days between two
of them, ages, and days of the week stay true. A month with its year is moved from its middle, a
year alone stays as it is. Ages above 89 become 90, as the safe harbour of HIPAA (45 CFR
164.514(b)(2)(i)(C)) puts them together.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from backend.services.datasets.masking.identifiers.shapes import (
    FoundIdentifier,
    compile_shape,
    span_of,
    stands_apart,
)

_MONTHS_OF = {
    "January": 1, "February": 2, "March": 3, "April": 4, "May": 5, "June": 6, "July": 7,
    "August": 8, "September": 9, "October": 10, "November": 11, "December": 12,
    "Jan": 1, "Feb": 2, "Mar": 3, "Apr": 4, "Jun": 6, "Jul": 7, "Aug": 8, "Sept": 9, "Sep": 9,
    "Oct": 10, "Nov": 11, "Dec": 12,
    "Januar": 1, "Jänner": 1, "Februar": 2, "März": 3, "Maerz": 3, "Mrz": 3, "Mai": 5, "Juni": 6,
    "Juli": 7, "Oktober": 10, "Okt": 10, "Dezember": 12, "Dez": 12,
}  # fmt: skip
_NUMBER_OF = {name.lower(): number for name, number in _MONTHS_OF.items()}
_LISTS = {
    "en": list(_MONTHS_OF)[:12],
    "en short": ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov",
                 "Dec"],
    "de": ["Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September",
           "Oktober", "November", "Dezember"],
    "de short": ["Jan", "Feb", "Mrz", "Apr", "Mai", "Jun", "Jul", "Aug", "Sep", "Okt", "Nov",
                 "Dez"],
}  # fmt: skip
_MONTH = r"(?P<mon>" + "|".join(sorted(_MONTHS_OF, key=len, reverse=True)) + ")"
_DAY, _YEAR = r"(?P<d>\d{1,2})", r"(?P<y>\d{4}|['’]?\d{2})"
_SAID = r"(?:am|vom|zum|bis|seit|ab|on|since|dated|from|until|by|seen|date|datum)"
_WEEKDAY = (
    r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?"
    r"|(?:mo|di|mi|do|fr|sa|so)\.?|(?:mon|diens|donners|frei|sams|sonn)tag|mittwoch)"
)
_HAPPENED = (
    r"(?:admitted|discharged|reviewed|visit(?:ed)?|appointment|handover|shift|sent|received"
    r"|raised|due|opened|übergabe|visite|termin|gesendet|kontrolle|aufnahme|entlassung|entlassen"
    r"|eingegangen|geht|op|" + _WEEKDAY + r")(?:\s(?:on|am))?"
)
_THEN = r"(?:um|gegen|kam|wurde|war|hat|habe|erfolgte|stationär|ambulant|operiert|morgens|abends)"
_BORN = (
    r"(?:d\.?o\.?b\.?|date of birth|birth ?date|born(?: on)?|geb(?:\.|oren)?(?:\s+am)?"
    r"|geburtsdatum|geb\.?-?\s?dat(?:um|\.)?)"
)
_SHAPES = (
    r"(?P<y>(?:19|20)\d{2})(?P<m>0[1-9]|1[0-2])(?P<d>0[1-9]|[12]\d|3[01])",
    r"(?P<y>\d{4})(?P<sep>[-/.])(?P<m>\d{1,2})[-/.](?P<d>\d{1,2})",
    r"(?P<a>\d{1,2})\s?(?P<sep>[./-])\s?(?P<b>\d{1,2})\s?[./-]\s?" + _YEAR,
    rf"{_DAY}(?:st|nd|rd|th|\.)?[\s-]{{0,2}}(?:of\s+|day of\s+)?{_MONTH}\.?(?:,?[\s-]+{_YEAR})?",
    _MONTH + r"\.?[\s-]+" + _DAY + r"(?:st|nd|rd|th)?(?:,?\s+(?P<y>\d{4}))?",
    _MONTH + r"\.?,?\s+(?:of\s+)?(?P<y>(?:19|20)\d{2})",
    r"(?P<m>\d{1,2})/(?P<y>(?:19|20)\d{2})",
)
_INTRODUCED = (  # the date is what the group `date` holds
    rf"(?:{_SAID}|{_HAPPENED})[\s:,]{{1,3}}(?P<date>(?P<d>\d{{1,2}})\.\s?(?P<m>\d{{1,2}})\.)",
    r"(?P<date>(?P<d>\d{1,2})\.\s?(?P<m>\d{1,2})\.)\s?(?:-|–|bis)\s?\d",
    rf"(?P<date>(?P<d>\d{{1,2}})\.\s?(?P<m>\d{{1,2}})\.)\s{_THEN}\b",
    r"(?P<date>(?P<d>0[1-9]|[12]\d|3[01])\.(?P<m>0[1-9]|1[0-2])\.)(?:[^\d.]|$)",
    rf"(?:{_SAID}|{_HAPPENED})[\s:,]{{1,3}}(?P<date>(?P<a>\d{{1,2}})/(?P<b>\d{{1,2}}))",
    rf"(?:{_SAID}|{_HAPPENED})\s+(?:\pL{{3,9}}\s)?\d{{1,2}}(?:/\d{{1,2}}|\s\pL{{3,9}})?\s?(?:to|until|till|through|and|-|–)\s?"
    r"(?P<date>(?P<a>\d{1,2})/(?P<b>\d{1,2}))",
    _BORN + r"[\s:]{0,4}(?P<date>(?P<d>\d{2})(?P<m>\d{2})(?P<y>\d{4}|\d{2}))",
    _BORN + r"[\s:]{0,4}(?P<date>(?P<a>\d{1,2})\s(?P<b>\d{1,2})\s(?P<y>\d{4}|\d{2}))",
)
_BEFORE_BIRTH = r"(?i)" + _BORN + r"[\s:(,*]{0,6}$|\*\s?$"
_OLD = (
    r"(?:\s|-|\s-\s){0,3}(?:years?|yrs?)(?:\s|-){0,2}(?:old|of age)?|\s?-?y[/.]?\s?o\b|[\s-]?j(?:ä"
    r"|ae)hrig\pL*|\sJahre(?:n)?(?:\salt)?|\sJ\."
)
_TEENS = (
    ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
    ["ein", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"],
)
_SPELLED_EN = r"ninety(?:[\s-](?:" + "|".join(_TEENS[0]) + r"))?"
_SPELLED_DE = r"(?:" + "|".join(_TEENS[1]) + r")undneunzig"
_AGES = (
    r"(?P<age>9\d|1[0-2]\d)(?:" + _OLD + ")",
    r"(?:aged?|alter|age of)(?:\s(?:is|was|von|ist))?[\s:=]{1,3}(?P<age>9\d|1[0-2]\d)",
    r"\((?P<age>9\d|1[0-2]\d)(?:\s?[yj]\.?(?:[\s/]{0,2}[fmw])?|[fmw])\)",
    r"\([fmw][\s,/]{0,2}(?P<age>9\d|1[0-2]\d)\)",
    r"(?P<age>" + _SPELLED_EN + r")(?:\s|-)(?:years?|yrs?)",
    r"(?:i am|i'm|i’m|she is|he is|she's|he's|turned|just)\s(?P<age>" + _SPELLED_EN + ")",
    r"(?P<age>" + _SPELLED_DE + r")[\s-]?(?:Jahre|j(?:ä|ae)hrig)",
)
_BASE_YEAR = 2023  # of dates without a year
_WEEKS = (8, 156)  # least and most that dates are moved, into the past


def weeks_of(number: int) -> int:
    """Days by which the dates of a document move, from a number that its key gives: whole weeks."""
    least, most = _WEEKS
    return -7 * (least + number % (most - least + 1))


@dataclass(frozen=True, slots=True)
class _DateReading:
    """A date as it was read: None for what it does not say."""

    year: int | None
    month: int
    day: int | None


@lru_cache(maxsize=4)
def _compiled(shapes: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(compile_shape(f"(?i){shape}") for shape in shapes)


def find_dates(text: str, *, day_first: bool) -> Iterator[FoundIdentifier]:
    """Dates in a text, those of birth by their own kind.

    Args:
        day_first: how 3/4/2020 is read where nothing else in the text says it.
    """
    for shape in _compiled(_SHAPES):
        for match in shape.finditer(text):
            start, end = match.span()
            if _apart(text, start, end, match) and _read(match, day_first) is not None:
                # 20240301 may be a file's number
                sure = _group(match, "y") and not match.group().isdecimal()
                yield FoundIdentifier(_kind(text, start), start, end, 0.92 if sure else 0.6)
    for shape in _compiled(_INTRODUCED):
        for match in shape.finditer(text):
            start, end = span_of(match, "date")
            first = start if match.start() == start else match.start()
            if stands_apart(text, first, end) and _read(match, day_first) is not None:
                yield FoundIdentifier(_kind(text, start), start, end, 0.6)


def _kind(text: str, start: int) -> str:
    born = compile_shape(_BEFORE_BIRTH).search(text[max(0, start - 24) : start])
    return "BIRTH_DATE" if born else "DATE"


def _apart(text: str, start: int, end: int, match: Any) -> bool:
    """Whether a date is not a piece of a longer number: 1.2.3.2020, 12/3/20/1."""
    sep = _group(match, "sep") or "."
    if start and (text[start - 1].isalnum() or _continues(text, start - 1, -1, sep)):
        return False
    after = text[end : end + 1]
    iso_time = after in ("T", "t") and text[end + 1 : end + 2].isdecimal()
    return iso_time or not (after.isalnum() or _continues(text, end, 1, sep))


def _continues(text: str, place: int, step: int, sep: str) -> bool:
    beyond = place + step
    return text[place : place + 1] == sep and 0 <= beyond < len(text) and text[beyond].isdecimal()


def _group(match: Any, name: str) -> str | None:
    return match.group(name) if name in match.re.groupindex else None


def _read(match: Any, day_first: bool) -> _DateReading | None:
    """What a match says; None where no such date exists."""
    year = _year(_group(match, "y"))
    if (mon := _group(match, "mon")) is not None:
        if mon.lower() in ("may", "mar", "mai") and mon[0].islower() and year is None:
            return None  # "may 20" is not said of a month
        month, day = _NUMBER_OF[mon.casefold()], _int(_group(match, "d"))
    elif (first := _int(_group(match, "a"))) is not None:
        second = _int(_group(match, "b")) or 0
        by_day = day_first or _group(match, "sep") == "."
        day, month = (first, second) if by_day else (second, first)
        if month > 12 and (sep := _group(match, "sep")) != "." and sep is not None:
            day, month = month, day
    else:
        month, day = _int(_group(match, "m")) or 0, _int(_group(match, "d"))
    right = 1 <= month <= 12 and (day is None or 1 <= day <= 31)
    right = right and (year is None or 1600 < year < 2200)
    return _DateReading(year, month, day) if right else None


def _int(text: str | None) -> int | None:
    return None if text is None else int(text)


def _year(text: str | None) -> int | None:
    if text is None:
        return None
    digits = text.lstrip("'’")
    number = int(digits)
    return number if len(digits) == 4 else number + (1900 if number >= 30 else 2000)


def shift_date(text: str, days: int, *, day_first: bool) -> str | None:
    """A date moved, in the form in which it stood; None where the text is no date."""
    for match, read in _readings(text, day_first):
        year = read.year or _BASE_YEAR
        last = calendar.monthrange(year, read.month)[1]
        old = date(year, read.month, 15 if read.day is None else min(read.day, last))
        return _rewrite(match, old + timedelta(days=days), day_first)
    return None


def named_day(text: str, *, day_first: bool) -> tuple[int, int, int | None] | None:
    """Year, month and day that a text names, in whatever form; None where it says no year."""
    for _, read in _readings(text, day_first):
        return None if read.year is None else (read.year, read.month, read.day)
    return None


def _readings(text: str, day_first: bool) -> Iterator[tuple[Any, _DateReading]]:
    """The ways in which a text as a whole is a date."""
    for shape in (*_compiled(_SHAPES), *_compiled(_BARE)):
        match = shape.fullmatch(text)
        if match is not None and (read := _read(match, day_first)) is not None:
            yield match, read


_BARE = (
    r"(?P<d>\d{1,2})\.\s?(?P<m>\d{1,2})\.",
    r"(?P<a>\d{1,2})/(?P<b>\d{1,2})",
    r"(?P<d>\d{2})(?P<m>\d{2})(?P<y>\d{4}|\d{2})",
    r"(?P<a>\d{1,2})\s(?P<b>\d{1,2})\s(?P<y>\d{4}|\d{2})",
)


def _rewrite(match: Any, new: date, day_first: bool) -> str:
    """The text of a match with the parts of another date."""
    parts = {"d": new.day, "m": new.month, "y": new.year}
    if _group(match, "a") is not None:
        second = int(_group(match, "b") or 0)
        by_day = day_first or _group(match, "sep") == "."
        by_day = by_day if max(int(match.group("a")), second) <= 12 else second <= 12
        parts["a"], parts["b"] = (new.day, new.month) if by_day else (new.month, new.day)
    text, offset = match.group(), match.start()
    spots = [
        (span_of(match, name), name)
        for name in match.re.groupindex
        if name in (*parts, "mon") and match.group(name) is not None
    ]
    padded = _pads([match.group(name) for _, name in spots if name not in ("y", "mon")])
    padded = "mon" not in match.re.groupindex if padded is None else padded
    for (start, end), name in sorted(spots, reverse=True):
        old = text[start - offset : end - offset]
        put = (
            _month_like(old, new.month)
            if name == "mon"
            else _year_like(old, new.year)
            if name == "y"
            else f"{parts[name]:02d}"
            if padded
            else str(parts[name])
        )
        text = text[: start - offset] + put + text[end - offset :]
    return _ordinal(text, new.day)


def _pads(numbers: list[str]) -> bool | None:
    """Whether days and months are written with two digits; None where these do not show it."""
    if any(number.startswith("0") for number in numbers):
        return True
    return False if any(len(number) == 1 for number in numbers) else None


def _year_like(old: str, year: int) -> str:
    """A year with as many digits as the old one, and its apostrophe."""
    digits = old.lstrip("'’")
    return old[: len(old) - len(digits)] + (f"{year % 100:02d}" if len(digits) == 2 else str(year))


def _month_like(old: str, month: int) -> str:
    """The name of a month in the language and the length of the old one."""
    known = (one for one in _LISTS.values() if old.casefold() in map(str.lower, one))
    found = next(known, _LISTS["en"])[month - 1]
    return found.upper() if old.isupper() else found.lower() if old.islower() else found


_TH = re.compile(r"(\d{1,2})(st|nd|rd|th)", re.IGNORECASE)


def _ordinal(text: str, day: int) -> str:
    if not _TH.search(text):
        return text
    end = "th" if 10 <= day % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return _TH.sub(lambda m: m[1] + (end.upper() if m[2].isupper() else end), text, count=1)


def puts_day_first(text: str, default: bool) -> bool:
    """Whether 3/4/2020 is the third of April, by other dates of the text, else by default."""
    for match in _SLASHED.finditer(text):
        first, second = int(match.group(1)), int(match.group(2))
        if first > 12 >= second:
            return True
        if second > 12 >= first:
            return False
    return default


_SLASHED = re.compile(r"(?<!\d)(\d{1,2})[/-](\d{1,2})[/-](?:\d{4}|\d{2})(?!\d)")


def find_ages(text: str) -> Iterator[FoundIdentifier]:
    """Ages above 89: the number, or the word."""
    for shape in _compiled(_AGES):
        for match in shape.finditer(text):
            start, end = span_of(match, "age")
            young = match.group("age").lower() in ("ninety", "90")
            if not young and stands_apart(text, start, start):
                yield FoundIdentifier("AGE", start, end, 0.7)


def round_age(text: str) -> str:
    """90, as the age was written: a number, or a word of its language."""
    if text[:1].isdecimal():
        return "90"
    word = "neunzig" if text.lower().endswith("neunzig") else "ninety"
    return word.capitalize() if text[0].isupper() else word
