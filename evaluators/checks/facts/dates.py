"""Dates, weekdays and times of day in English and German spellings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from evaluators.checks.facts.numerals import (
    BIG,
    DATE_RUN,
    ORDINALS,
    SMALL,
    parse_words,
    run_readings,
)
from evaluators.checks.text.claims import listed, word_set
from evaluators.checks.text.lettering import EitherCase

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
_DAYS = (
    "monday tuesday wednesday thursday friday saturday sunday",
    "montag dienstag mittwoch donnerstag freitag samstag sonntag",
)
WEEKDAYS: dict[str, int] = {
    name + ending: i
    for names in _DAYS
    for i, name in enumerate(names.split())
    for ending in ("", "s")
} | {"sonnabend": 5, "sonnabends": 5}
_WEEKDAY_NAMES = frozenset(WEEKDAYS)
# Short names are days only where their spelling says so: `Sun` and `So` are words too.
_SHORT_DAYS: dict[str, int] = {
    short: i
    for names in (
        "mon tue wed thu fri sat sun",
        "- tues weds thur - - -",
        "- - - thurs - - -",
        "mo di mi do fr sa so",
    )
    for i, short in enumerate(names.split())
    if short != "-"
}
_SHORT_DAY = re.compile(
    r"(?<![\w-])(Mon|Tues?|Weds?|Thu(?:rs?)?|Fri|Sat|Sun|MON|TUE|WED|THU|FRI|SAT|SUN)(?!\w|-\w{3})\.?|"
    r"(?<![\w.])(?!Fr\.?\s?\d{1,3}(?:\d\d|['’]\d{3}))"  # francs: no day, no hour has three digits
    r"(Mo|Di|Mi|Do|Fr|Sa|So)(?:\.|(?=\s?(?:-|–|bis|/|,|\+|&|und)\s?(?:Mo|Di|Mi|Do|Fr|Sa|So)\b|,?\s\d|:))|"
    r"(?<=[-–/] )(?<!\w)(Mo|Di|Mi|Do|Fr|Sa|So)\b|(?<=[-–/])(Mo|Di|Mi|Do|Fr|Sa|So)(?!\w)"
)
_ENGLISH_SHORT = word_set("mon tue tues wed weds thu thur thurs fri sat sun")
_GERMAN_SHORT_DAYS = word_set("mo di mi do fr sa so")
SHORT_DAYS = frozenset(word.capitalize() for word in _ENGLISH_SHORT)
_NO_DAY_BEFORE = re.compile(r"(?:\b(?:the|a|an|der|die)|[‘“\"'])\s?$", re.IGNORECASE)
_DAY_RANGE = re.compile(r"\b([A-Za-z]{2,10})\.?\s?(?:-|–|to|through|thru|bis)\s?([A-Za-z]{2,10})\b")
_WORKDAYS = frozenset({"weekdays", "weekday", "workdays", "werktags", "wochentags", "werktagen"})

_AMBIGUOUS = frozenset({"may", "mar", "march", "jan", "dec", "mai", "sep", "oct", "okt", "august"})
_MONTH = EitherCase(
    rf"(?<!\w)(?=[{''.join(sorted({name[0] for name in MONTHS}))}])"
    rf"({'|'.join(sorted(MONTHS, key=len, reverse=True))})(?!\w)\.?"
)
_MONTH_NAMES = frozenset(MONTHS)
_DAY_BEFORE = re.compile(r"(?<![\d.,])(\d{1,2})(?:st|nd|rd|th|\.)?(?:\s+of)?\s*[-\s]\s*$")
_WORD_DAY_BEFORE = re.compile(
    rf"\b((?:(?:twenty|thirty)[\s-])?(?:{'|'.join(ORDINALS)}))(?:\s+of)?\s+$", re.IGNORECASE
)
_AFTER = re.compile(
    r"(?:[\s-]+(?:the\s+)?(\d{1,2})(?:st|nd|rd|th)?(?![\d:]|[.,]\d|\s?(?:%|€|EUR|GB|[ap]\.?m)))?"
    r"(?:(?:\s*,\s*|[\s-]+)(?:of\s+)?(\d{4})(?!\d))?"
)
_PARTED = re.compile(r"\d[./-]\d")  # in every date below
_ISO = re.compile(r"(?<![\w/-])(\d{4})([-/])(\d{1,2})\2(\d{1,2})(?![\w/-]|\.\d)")
_SLASHED = re.compile(r"(?<![\w./-])(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})(?![\w/-]|\.\d)")
_MONTH_YEAR = re.compile(r"(?<![\w./-])(\d{1,2})/(\d{4})(?![\w/-])")
_GERMAN_SHORT = re.compile(
    r"(?i)\b(?:am|vom|zum|bis|ab|seit|den|der)\s+(\d{1,2})\.(\d{1,2})\.(?!\d)"
)
_CLOCK = re.compile(
    r"(\d(?<![\w:.].)\d?)(?::(\d{2})(?::\d{2})?|\.(\d{2})(?=\s?(?:Uhr|[apAP](?:\.\s?)?[mM])(?!\w))"
    r"|(?:h|\sh\s)(\d{2})(?!\w|\s?min))?"
    r"(?:\s?([apAP])(?:\.\s?[mM]\b\.?|[mM]\b)|\s?(Uhr|o['’]clock|hrs\b))?"
)


@dataclass(frozen=True, slots=True)
class Day:
    """A date of which some parts may be unsaid; a quarter of a year has no month."""

    year: int | None
    month: int | None
    day: int | None
    quarter: int | None = None

    def is_told_by(self, other: Day) -> bool:
        """Whether the other date says all that this one says; an unsaid year is no conflict."""
        if self.quarter is not None:
            within = (other.month - 1) // 3 + 1 if other.month else other.quarter
            same = within == self.quarter
        else:
            same = self.month == other.month
        return (
            same
            and (self.day is None or self.day == other.day)
            and (self.year is None or other.year is None or self.year == other.year)
        )


@lru_cache(maxsize=64)
def _one_month(name: str) -> EitherCase:
    """Most texts name one month only, or write a word like it; it is found faster than all."""
    return EitherCase(rf"(?<!\w)({name})(?!\w)\.?")


Found = tuple[int, int, tuple[Day, ...]]


def find_dates(text: str, words: frozenset[str], *, has_digit: bool = True) -> list[Found]:
    """(start, end, readings) of each date; a date like 03/05/2026 has two readings.

    Args:
        words: the distinct case-folded words of the text, which spare most texts a search.
        has_digit: whether the text holds a digit, which spares it too.
    """
    numeric = _numeric_dates(text) if has_digit else []
    if not words.isdisjoint(_QUARTER_WORDS):
        numeric = [*_quarters(text), *numeric]
    if words.isdisjoint(MONTHS):
        return numeric
    named = words & _MONTH_NAMES
    pattern = _one_month(min(named)) if len(named) == 1 else _MONTH
    spelled = [f for m in pattern.finditer(text) if (f := _around_month(text, m)) is not None]
    return spelled + numeric


_QUARTER_WORDS = frozenset({"q", "quarter", "quarters", "quartal", "quartals", "quartalen"})
_NTH = {
    word: n
    for words in ("first second third fourth", "erst zweit dritt viert")
    for n, word in enumerate(words.split(), 1)
}
_QUARTER = re.compile(
    r"(?<![\w.])(?:Q([1-4])|([1-4])Q|([1-4])(?:st|nd|rd|th|\.)\s(?:quarter|Quartals?)|"
    r"(first|second|third|fourth|erste[nsr]?|zweite[nsr]?|dritte[nsr]?|vierte[nsr]?)[\s-](?:fiscal\s)?"
    r"(?:quarter|Quartals?))"
    r"(?:(?:\s|\s?/\s?|\s?['’]|\s+of\s+|\s+in\s+|,\s)?(?:the\s+)?(?:(?:fiscal|financial)\s+)?"
    r"(?:year\s+)?(?:FY\s?)?((?:19|20)\d{2}|(?<=['’/Q])\d{2}))?(?!\w)(?!\s+of\s+an?\s)",
    re.IGNORECASE,
)


def _quarters(text: str) -> Iterator[Found]:
    for m in _QUARTER.finditer(text):
        word = (m[4] or "").lower()
        number = int(m[1] or m[2] or m[3] or _NTH.get(word) or _NTH[word.rstrip("nsr")[:-1]])
        year = int(m[5]) + (2000 if len(m[5]) == 2 else 0) if m[5] else None
        yield (*m.span(), (Day(year, None, None, number),))


def _numeric_dates(text: str) -> list[Found]:
    found: list[Found] = []
    if _PARTED.search(text) is None:
        return found
    for m in _ISO.finditer(text):
        found += _valid(m, [(int(m[1]), int(m[3]), int(m[4]))])
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
    month, name = MONTHS[match[1].lower()], text[match.start(1) : match.end(1)]
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
    rest = run_readings(" ".join(words[at + 1 :])) if words[at + 1 :] else ()
    year = int(rest[0][0]) if rest and 1000 <= rest[0][0] < 2200 else None
    return day if 1 <= day <= 31 else None, year


_GERMAN_HOURS = listed("eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf")
_SPOKEN_HOURS = {
    **{word: n for word, n in SMALL.items() if 1 <= n <= 12},
    **{word: n for n, word in enumerate(_GERMAN_HOURS, 1)},
    "ein": 1,
}
_HOUR = "|".join([r"\d{1,2}", *sorted(_SPOKEN_HOURS, key=len, reverse=True)])
_PAST = {"half": 30, "halb": 30, "quarter": 15, "viertel": 15, "dreiviertel": 45, "five": 5,
         "ten": 10, "twenty": 20, "twenty-five": 25, "fünf": 5, "zehn": 10,
         "zwanzig": 20}  # fmt: skip
_SPOKEN = EitherCase(
    rf"(?<![\w.:])(?:(?:a\s+)?(?P<past>half|quarter|viertel|(?:five|ten|twenty(?:-five)?|fünf|zehn|zwanzig)"
    rf"(?=\s+(?:past|nach|vor)))\s+(?P<way>past|after|to|before|till|nach|vor)\s+(?P<hour>{_HOUR})"
    rf"|(?P<german>halb|dreiviertel)\s+(?P<next>{_HOUR})"
    rf"|(?P<full>{_HOUR})\s?(?:o['’]clock|uhr)(?:\s(?P<minutes>[0-5]?\d)(?!\s?(?:\w|[.,:]\d|€)))?"
    rf"|(?P<noon>(?:12\s)?(?:noon|midday|mittags?)|midnight|mitternacht))"
    r"(?:\s?(?P<half>[ap])\.?m\b\.?|\s+in\s+the\s+(?P<part>morning|afternoon|evening))?(?!\w)"
)
_RANGE_OF_HOURS = EitherCase(
    r"(\d(?<![\w:.].)\d?)\s?(?:-|–|bis|to|und|and)\s?\d{1,2}(?:[:.]\d{2})?\s?(?:uhr|[ap]\.?m\b)"
)
_AT_POINT = re.compile(
    r"(?i)\b(?:at|um|gegen|until|till|ab|by|from|bis|von)\s(\d{1,2})\.([0-5]\d)"
    r"(?![\d]|[.,]\d|\s?(?:[%€$£°]|[^\W\d_]{1,4}\b(?<!on)(?<!and)(?<!to)(?<!the)(?<!bis)(?<!und)))"
)
_POINT = re.compile(r"\d\.[0-5]")  # in every one of these, and found faster
_SPOKEN_CUES = word_set(
    "clock uhr noon midday mittag mittags midnight mitternacht halb quarter viertel "
    "dreiviertel half"
)
_BEFORE_PAST = word_set("five ten twenty fünf zehn zwanzig")
_PART_OF_DAY = {"morning": "a", "afternoon": "p", "evening": "p"}


def find_times(
    text: str, words: frozenset[str], *, has_digit: bool = True
) -> list[tuple[int, int, frozenset[int]]]:
    """(start, end, minutes since midnight, all readings) of each time of day."""
    found = []
    if not words.isdisjoint(_SPOKEN_CUES) or (
        "past" in words and not words.isdisjoint(_BEFORE_PAST)
    ):
        spoken = ((m.span(), _spoken_time(m)) for m in _SPOKEN.finditer(text))
        found += [(*place, minutes) for place, minutes in spoken if minutes]
    for m in _CLOCK.finditer(text) if has_digit else ():
        minute = m[2] or m[3] or m[4]
        if minute is None and m[5] is None and m[6] is None:
            continue
        hour, past = int(m[1]), int(minute or 0)
        if hour > 24 or past > 59:
            continue
        found.append((m.start(), m.end(), _minutes(hour, past, m[5], bool(m[6] or m[4]))))
    for m in _RANGE_OF_HOURS.finditer(text) if has_digit else ():
        if int(m[1]) <= 24:
            found.append((m.start(1), m.end(1), _minutes(int(m[1]), 0, None, False)))
    for m in _AT_POINT.finditer(text) if has_digit and _POINT.search(text) else ():
        if int(m[1]) <= 24:
            found.append((m.start(1), m.end(2), _minutes(int(m[1]), int(m[2]), None, False)))
    return found


def _spoken_time(m: re.Match[str]) -> frozenset[int]:
    """Readings of `half past two`, `halb drei`, `three o'clock`, `noon`."""
    if m["noon"]:
        return frozenset({0 if m["noon"].lower().startswith(("midn", "mittern")) else 720})
    word = (m["hour"] or m["next"] or m["full"]).lower()
    hour = _SPOKEN_HOURS.get(word) or int(word) if not word.isdigit() else int(word)
    if hour > 24:
        return frozenset()
    total = hour * 60
    if m["past"]:
        back = m["way"].lower() in ("to", "before", "till", "vor")
        total += -_PAST[m["past"].lower()] if back else _PAST[m["past"].lower()]
    elif m["german"]:
        total += _PAST[m["german"].lower()] - 60
    elif m["minutes"]:
        total += int(m["minutes"])
    half = m["half"] or _PART_OF_DAY.get((m["part"] or "").lower())
    total %= 1440
    exact = "uhr" in m[0].lower() and word.isdigit()
    return _minutes(total // 60, total % 60, half, exact)


def _minutes(hour: int, past: int, half: str | None, exact: bool) -> frozenset[int]:
    if half is not None:
        return frozenset({(hour % 12 + 12 * (half.lower() == "p")) * 60 + past})
    plain = (hour % 24) * 60 + past
    return frozenset({plain} if exact or hour > 12 or hour == 0 else {plain, (plain + 720) % 1440})


@dataclass(frozen=True, slots=True)
class Weekday:
    """A day of the week in a text, 0 for Monday."""

    start: int
    end: int
    day: int


def find_weekdays(text: str, words: frozenset[str]) -> Iterator[Weekday]:
    """Days of the week, by their names and by short names that can be nothing else."""
    for word in words & _WEEKDAY_NAMES:
        for m in re.finditer(rf"(?i)\b{word}\b", text):
            yield Weekday(m.start(), m.end(), WEEKDAYS[word])
    if not _has_short_days(words):
        return
    for m in _SHORT_DAY.finditer(text):
        if _NO_DAY_BEFORE.search(text, max(0, m.start() - 5), m.start()) is None:
            name = m[m.lastindex or 0]
            yield Weekday(m.start(), m.start() + len(name), _SHORT_DAYS[name.lower()])


def _has_short_days(words: frozenset[str]) -> bool:
    """`so` and `do` are days beside another short name only."""
    german = words & _GERMAN_SHORT_DAYS
    return not words.isdisjoint(_ENGLISH_SHORT) or bool(german - {"so", "do"})


def days_between(text: str, words: frozenset[str]) -> set[int]:
    """The days that `Mon-Fri` and `on weekdays` span."""
    found: set[int] = set()
    if not words.isdisjoint(_WORKDAYS):
        found |= set(range(5))
    if words.isdisjoint(WEEKDAYS) and not _has_short_days(words):
        return found
    names = {**_SHORT_DAYS, **WEEKDAYS}
    for m in _DAY_RANGE.finditer(text):
        first, last = names.get(m[1].lower()), names.get(m[2].lower())
        if first is not None and last is not None and m[1][0].isupper():
            found |= {day % 7 for day in range(first, last + 1 if last >= first else last + 8)}
    return found
