"""Dates, weekdays and times of day in English and German spellings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from evaluators.checks.numerals import BIG, DATE_RUN, ORDINALS, SMALL, parse_words, run_readings
from evaluators.checks.words import listed

_ENGLISH_MONTHS = listed(
    "january february march april may june july august september october november december"
)
_GERMAN_MONTHS = listed(
    "januar februar märz april mai juni juli august september oktober november dezember"
)
MONTHS: dict[str, int] = {
    **{name: i for i, name in enumerate(_GERMAN_MONTHS, 1)},
    **{name[:3]: i for i, name in enumerate(_GERMAN_MONTHS, 1)},
    **{name: i for i, name in enumerate(_ENGLISH_MONTHS, 1)},
    **{name[:3]: i for i, name in enumerate(_ENGLISH_MONTHS, 1)},
    "sept": 9,
}
WEEKDAYS: dict[str, int] = {
    name: i
    for names in (
        "monday tuesday wednesday thursday friday saturday sunday",
        "montag dienstag mittwoch donnerstag freitag samstag sonntag",
    )
    for i, name in enumerate(names.split())
} | {"sonnabend": 5}

_AMBIGUOUS = frozenset({"may", "mar", "march", "jan", "dec", "mai", "sep", "oct", "okt", "august"})
_MONTH = re.compile(
    rf"(?<!\w)({'|'.join(sorted(MONTHS, key=len, reverse=True))})(?!\w)\.?", re.IGNORECASE
)
_DAY_BEFORE = re.compile(r"(?<![\d.,])(\d{1,2})(?:st|nd|rd|th|\.)?(?:\s+of)?\s*[-\s]\s*$")
_WORD_DAY_BEFORE = re.compile(
    rf"\b((?:(?:twenty|thirty)[\s-])?(?:{'|'.join(ORDINALS)}))(?:\s+of)?\s+$", re.IGNORECASE
)
_AFTER = re.compile(
    r"(?:[\s-]+(?:the\s+)?(\d{1,2})(?:st|nd|rd|th)?(?![\d:]|[.,]\d|\s?(?:%|€|EUR|GB|[ap]\.?m)))?"
    r"(?:(?:\s*,\s*|[\s-]+)(?:of\s+)?(\d{4})(?!\d))?"
)
_ISO = re.compile(r"(?<![\w-])(\d{4})-(\d{1,2})-(\d{1,2})(?![\w-]|\.\d)")
_SLASHED = re.compile(r"(?<![\w./-])(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})(?![\w/-]|\.\d)")
_MONTH_YEAR = re.compile(r"(?<![\w./-])(\d{1,2})/(\d{4})(?![\w/-])")
_GERMAN_SHORT = re.compile(
    r"(?i)\b(?:am|vom|zum|bis|ab|seit|den|der)\s+(\d{1,2})\.(\d{1,2})\.(?!\d)"
)
_CLOCK = re.compile(
    r"(?<![\w:.])(\d{1,2})(?::(\d{2})(?::\d{2})?|\.(\d{2})(?=\s?(?:Uhr|[ap]\.?m)))?"
    r"(?:\s?([ap])(?:\.m\.|m\b)|\s?(Uhr|o'clock|hrs\b))?"
)


@dataclass(frozen=True, slots=True)
class Day:
    """A date of which some parts may be unsaid."""

    year: int | None
    month: int
    day: int | None

    def is_told_by(self, other: Day) -> bool:
        """Whether the other date says all that this one says; an unsaid year is no conflict."""
        return (
            self.month == other.month
            and (self.day is None or self.day == other.day)
            and (self.year is None or other.year is None or self.year == other.year)
        )


Found = tuple[int, int, tuple[Day, ...]]


def find_dates(text: str, words: frozenset[str], *, has_digit: bool = True) -> list[Found]:
    """(start, end, readings) of each date; a date like 03/05/2026 has two readings.

    Args:
        words: the distinct case-folded words of the text, which spare most texts a search.
        has_digit: whether the text holds a digit, which spares it too.
    """
    numeric = _numeric_dates(text) if has_digit else []
    if words.isdisjoint(MONTHS):
        return numeric
    spelled = [f for m in _MONTH.finditer(text) if (f := _around_month(text, m)) is not None]
    return spelled + numeric


def _numeric_dates(text: str) -> list[Found]:
    found: list[Found] = []
    if "/" not in text and "-" not in text and "." not in text:
        return found
    for m in _ISO.finditer(text):
        found += _valid(m, [(int(m[1]), int(m[2]), int(m[3]))])
    for m in _SLASHED.finditer(text):
        year = int(m[4]) if len(m[4]) == 4 else 2000 + int(m[4]) - 100 * (int(m[4]) > 68)
        a, b = int(m[1]), int(m[3])
        orders = [(year, b, a)] if m[2] == "." else [(year, a, b), (year, b, a)]
        found += _valid(m, orders)
    for m in _MONTH_YEAR.finditer(text):
        found += _valid(m, [(int(m[2]), int(m[1]), None)])
    for m in _GERMAN_SHORT.finditer(text):
        found += [(m.start(1), e, d) for _, e, d in _valid(m, [(None, int(m[2]), int(m[1]))])]
    return found


def _valid(
    match: re.Match[str], parts: Sequence[tuple[int | None, int, int | None]]
) -> list[Found]:
    days = tuple(Day(y, m, d) for y, m, d in parts if 1 <= m <= 12 and 1 <= (d or 1) <= 31)
    return [(match.start(), match.end(), days)] if days else []


def _around_month(text: str, match: re.Match[str]) -> Found | None:
    month, name = MONTHS[match[1].lower()], match[1]
    start, day = _day_before(text, match.start())
    after = _AFTER.match(text, match.end())
    end, year = match.end(), None
    if after is not None and (after[1] or after[2]):
        if after[1] and day is None and int(after[1]) <= 31:
            day, end = int(after[1]), after.end(1)
        if after[2] and (after[1] is None or end != match.end()):
            year, end = int(after[2]), after.end(2)
    elif (spoken := DATE_RUN.match(text, match.end())) is not None:
        spoken_day, year = _spoken(spoken[1])
        day = day or spoken_day
        end = spoken.end() if spoken_day or year else end
    if day is None and year is None and (name.lower() in _AMBIGUOUS or not name[0].isupper()):
        return None
    if day is not None and not 1 <= day <= 31:
        return None
    return start, end, (Day(year, month, day),)


def _day_before(text: str, position: int) -> tuple[int, int | None]:
    window = max(0, position - 24)
    if (m := _DAY_BEFORE.search(text, window, position)) is not None and int(m[1]) <= 31:
        return m.start(), int(m[1])
    if (m := _WORD_DAY_BEFORE.search(text, window, position)) is not None:
        return m.start(), int(sum(parse_words(re.split(r"[\s-]+", m[1].lower()))))
    return position, None


def _spoken(run: str) -> tuple[int | None, int | None]:
    """Day and year of words such as `twenty ninth two thousand eight`."""
    words = [w for w in re.split(r"[\s,-]+", run.lower()) if w != "and"]
    at = next((i for i, w in enumerate(words) if w in ORDINALS), None)
    if at is None:
        small = [w for w in words if w in SMALL and w not in BIG]
        whole = run_readings(run)
        year = int(whole[0][0]) if whole and 1000 <= whole[0][0] < 2200 else None
        return (None, year) if year or not small else (int(parse_words(words)[0]), None)
    day = int(sum(parse_words(words[: at + 1])))
    rest = run_readings(" ".join(words[at + 1 :])) if words[at + 1 :] else []
    year = int(rest[0][0]) if rest and 1000 <= rest[0][0] < 2200 else None
    return day if 1 <= day <= 31 else None, year


def find_times(text: str) -> list[tuple[int, int, frozenset[int]]]:
    """(start, end, minutes since midnight, all readings) of each time of day."""
    found = []
    for m in _CLOCK.finditer(text):
        minute = m[2] or m[3]
        if minute is None and m[4] is None and m[5] is None:
            continue
        hour, past = int(m[1]), int(minute or 0)
        if hour > 24 or past > 59:
            continue
        found.append((m.start(), m.end(), _minutes(hour, past, m[4], bool(m[5]))))
    return found


def _minutes(hour: int, past: int, half: str | None, exact: bool) -> frozenset[int]:
    if half is not None:
        return frozenset({(hour % 12 + 12 * (half.lower() == "p")) * 60 + past})
    plain = (hour % 24) * 60 + past
    return frozenset({plain} if exact or hour > 12 or hour == 0 else {plain, (plain + 720) % 1440})
