"""Planted errors of quantity: another number, another unit, another date or time.

A number is written as the one that it replaces: digits after the point, grouping, words.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence

from evaluators.checks.facts.dates import MONTHS, WEEKDAYS
from evaluators.checks.facts.facts import Dated, NumberFact
from evaluators.checks.facts.numerals import NUMERAL, SMALL, parse_german
from evaluators.checks.facts.sources import number_key
from evaluators.checks.facts.units import agree
from evaluators.checks.planting.plant_ground import Ground, TextEdit, source_gives_number, with_case
from evaluators.checks.text.claims import listed

_PLAIN = re.compile(r"\d{1,3}(?:([,.'’ \u00a0\u202f])\d{3})+(?!\d)|\d+")
MOST_NUMBERS = 60  # of a text that are looked at, so that no text takes forever
_YEAR_LIKE = range(1900, 2101)
_FACTORS = (0.5, 0.6, 0.7, 1.3, 1.4, 1.5, 2.0, 3.0)
_BOUND = re.compile(r"\s?(?:-|–|to|bis)\s?\d")


def find_numbers(ground: Ground, rng: random.Random) -> Iterator[TextEdit]:
    """Numbers in digits and in words, and digits of codes, each changed in one way."""
    numbers = list(ground.facts.numbers)
    for number in rng.sample(numbers, min(len(numbers), MOST_NUMBERS)):
        yield from (_in_words if number.spelled else _in_digits)(ground, number, rng)
    for code in ground.facts.identifiers:
        yield from _digit_of(ground, code.start, code.end, rng)


def _in_digits(ground: Ground, number: NumberFact, rng: random.Random) -> Iterator[TextEdit]:
    found = NUMERAL.search(ground.output, number.start, number.end)
    plain = _PLAIN.fullmatch(found[0]) if found else None
    if found is None:
        return
    if plain is None:
        yield from _decimal(ground, number, found, rng)
        return
    value = int(re.sub(r"\D", "", found[0]))
    if found[0].startswith("0"):
        return
    if value < 2 and ground.output[found.end() : found.end() + 1] != "-":
        return  # one tablet, two tablets: another ending
    for rank, other in _others(ground, number, value, rng):
        now = f"{other:,}".replace(",", plain[1]) if plain[1] else str(other)
        yield TextEdit(found.start(), found.end(), now, rank)


def _others(
    ground: Ground, number: NumberFact, value: int, rng: random.Random
) -> Iterator[tuple[int, int]]:
    """Whole numbers for a value: first one that the source gives of something else."""
    around = _clause(ground, number)
    known = sorted(
        int(v)
        for v, units in ground.told.figures.values.items()
        if v.is_integer()
        and 2 <= v < 10_000
        and v != value
        and _is_alike(value, v)
        and any(
            (u.dimension if u else "") == (number.unit.dimension if number.unit else "")
            for u in units
        )
    )
    rng.shuffle(known)
    told = [v for v in known if not source_gives_number(ground, float(v), around)]
    yield from ((0, v) for v in told[:2])
    wanted = [*(round(value * f) for f in _FACTORS), value + 1, value - 1, value + 2, value + 10]
    rng.shuffle(wanted)
    for other in wanted:
        is_year = value in _YEAR_LIKE
        if other < 2 or other == value or (is_year and other not in _YEAR_LIKE):
            continue
        if _is_free(ground, number, float(other)):
            yield 1, other


def _is_alike(one: float, other: float) -> bool:
    """Of one order of magnitude, so that neither gives itself away."""
    return max(one, other) <= 12 * max(1.0, min(one, other))


def _is_free(ground: Ground, number: NumberFact, value: float) -> bool:
    """Whether the source has no such number in a unit that agrees."""
    units = ground.told.figures.values.get(number_key(value), ())
    return not any(agree(number.unit, unit, ground.told.mentions) for unit in units)


def _clause(ground: Ground, number: NumberFact) -> str:
    """What stays of the sentence around a number."""
    start, end = ground.sentence_at(number.start)
    return ground.output[start : number.start] + " " + ground.output[number.end : end]


def _decimal(
    ground: Ground, number: NumberFact, found: re.Match[str], rng: random.Random
) -> Iterator[TextEdit]:
    """A number with a point or comma: its whole part, or a digit behind, is another."""
    parts = re.fullmatch(r"(\d+)([.,])(\d+)", found[0])
    if parts is None:
        return
    whole, digits = int(parts[1]), len(parts[3])
    written = int(parts[1] + parts[3])
    wanted = [round(written * factor) for factor in _FACTORS]
    wanted += [(whole + step) * 10**digits + int(parts[3]) for step in (1, 2, 3)]
    rng.shuffle(wanted)
    for other in wanted:
        text = f"{other // 10**digits}{parts[2]}{other % 10**digits:0{digits}d}"
        if other != written and _is_free(ground, number, other / 10**digits):
            yield TextEdit(found.start(), found.end(), text, 1)


_ENGLISH_WORDS = {value: word for word, value in SMALL.items()}
_GERMAN_WORDS = {
    parse_german(word) or 0: word
    for word in listed(
        "zwei drei vier fünf sechs sieben acht neun zehn elf zwölf fünfzehn zwanzig dreißig "
        "vierzig fünfzig sechzig siebzig achtzig neunzig"
    )
}
_TIMES_A = {"once": "twice", "twice": "once", "einmal": "zweimal", "zweimal": "dreimal",
            "dreimal": "zweimal", "thrice": "twice", "half": "a quarter of"}  # fmt: skip


def _in_words(ground: Ground, number: NumberFact, rng: random.Random) -> Iterator[TextEdit]:
    """`three` for `five`, `once` for `twice`: of the first word of the number that has another."""
    text = ground.output[number.start : number.end]
    for m in re.finditer(r"[^\W\d_]+", text):
        lower = m[0].lower()
        place = number.start + m.start(), number.start + m.end()
        if number.often and lower in _TIMES_A:
            yield TextEdit(*place, with_case(_TIMES_A[lower], m[0]), 1, (_TIMES_A[lower],))
        known = SMALL.get(lower) if ground.language == "en" else parse_german(lower)
        if known is None or known < 2:
            continue
        names = _ENGLISH_WORDS if ground.language == "en" else _GERMAN_WORDS
        for value, word in names.items():
            fits = 2 <= value != known and max(value, known) <= 4 * min(value, known)
            if fits and (known < 20) == (value < 20) and _is_free(ground, number, float(value)):
                yield TextEdit(*place, with_case(word, m[0]), 1)
        return


def _digit_of(ground: Ground, start: int, end: int, rng: random.Random) -> Iterator[TextEdit]:
    """One digit of a code, but not its first, by another one."""
    places = [m.start() for m in re.finditer(r"(?<=\d)\d", ground.output[start:end])]
    if not places:
        return
    at = start + rng.choice(places)
    other = str((int(ground.output[at]) + rng.randint(1, 8)) % 10)
    changed = ground.output[start:at] + other + ground.output[at + 1 : end]
    if re.sub(r"[\W_]", "", changed).casefold() not in ground.told.squashed:
        yield TextEdit(at, at + 1, other, 1)


# Units that stand for one another in the same form: (abbreviations, singular, plural, dative).
_UNIT_ROWS: dict[str, tuple[str, ...]] = {
    "en": (
        "mg g mcg kg", "ml l dl", "mm cm m km", "kg lb", "lbs kg", "min h", "mins hrs", "GB MB TB",
        "kW MW GW", "milligram gram", "milligrams grams micrograms", "milliliter liter",
        "milliliters liters", "meter kilometer centimeter mile", "meters kilometers miles feet",
        "inch foot yard", "inches feet centimeters", "pound kilogram", "pounds kilograms",
        "minute hour day week month year", "minutes hours days weeks months years",
        "hourly daily weekly monthly yearly", "annual monthly weekly", "annually monthly weekly",
        "dollar euro", "dollars euros pounds", "USD EUR GBP CHF", "$ € £", "°C °F",
        "Celsius Fahrenheit", "million billion thousand", "kWh MWh", "mmol/L mg/dL", "oz lb",
        "ounce pound", "ounces pounds", "percent permille",
    ),
    "de": (
        "mg g µg kg", "ml l dl", "mm cm m km", "min h", "Std. Min.", "GB MB TB", "kW MW GW",
        "Milligramm Gramm Kilogramm", "Milliliter Liter", "Zentimeter Meter Kilometer",
        "Minuten Stunden Tage Wochen Monate Jahre",
        "Tag Monat", "Minute Stunde Woche",
        "täglich wöchentlich monatlich jährlich", "monatliche jährliche wöchentliche",
        "monatlichen jährlichen wöchentlichen", "Euro Dollar Franken", "EUR USD CHF", "€ $ £",
        "°C °F", "Mio. Mrd. Tsd.", "Millionen Milliarden", "kWh MWh", "Prozent Promille",
    ),
}  # fmt: skip


_STEPS = 2  # weeks may become days or years, no minutes


def _unit_table(language: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for row in _UNIT_ROWS[language]:
        members = listed(row)
        for i, word in enumerate(members):
            beside = (*members[max(0, i - _STEPS) : i], *members[i + 1 : i + 1 + _STEPS])
            found.setdefault(word, beside)
    return found


_UNIT_ROWS["dative"] = ("Minuten Stunden Tagen Wochen Monaten Jahren",)
_UNITS = {language: _unit_table(language) for language in _UNIT_ROWS}
_UNITS["de"] = {**_UNITS["dative"], **_UNITS["de"]}
_DATIVE = re.compile(
    r"\b(?:nach|seit|vor|in|mit|von|innerhalb von|binnen|zu|ab|bei)\b[^.,;]{0,24}$"
)
_AMOUNT = {
    "en": r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|few|"
    r"several|past|last|next|per|an?|every|each|once|twice|times)",
    "de": r"\d|\b(?:zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|zwölf|einige[nr]?|mehrere[nr]?|"
    r"letzten|nächsten|pro|je|alle|ein(?:en|em|e|er)?)",
}


def _beside(language: str) -> re.Pattern[str]:
    words = "|".join(map(re.escape, sorted(_UNITS[language], key=len, reverse=True)))
    return re.compile(rf"(?:{_AMOUNT[language]})[\s-]?({words})(?![\w/])")


_BESIDE = {language: _beside(language) for language in ("en", "de")}
_FREE = {
    "en": re.compile(r"\b(daily|weekly|monthly|yearly|hourly|annually)\b", re.IGNORECASE),
    "de": re.compile(r"\b((?:täg|wöchent|monat|jähr)lich(?:en?)?)\b", re.IGNORECASE),
}
_MONEY = re.compile(r"([$€£])\s?\d")


def find_units(ground: Ground, rng: random.Random) -> Iterator[TextEdit]:
    """The unit beside a number, a currency before it, how often a thing is done."""
    patterns = (_BESIDE[ground.language], _FREE[ground.language], _MONEY)
    for pattern in patterns:
        for m in pattern.finditer(ground.output):
            dative = _DATIVE.search(ground.output, max(0, m.start(1) - 40), m.start(1))
            table = _UNITS["dative" if dative and m[1] in _UNITS["dative"] else ground.language]
            for other in table.get(m[1]) or table.get(m[1].lower(), ()):
                if not _is_age(m) and not _is_unit_told(ground.source, m, other):
                    yield TextEdit(
                        *m.span(1), with_case(other, m[1]) if m[1].istitle() else other, 1
                    )


_OF_AGE = re.compile(r"[-\s](?:old|of age)\b")
_OLD = re.compile(r"(\d{2,})[\s-]?$")


def _is_age(found: re.Match[str]) -> bool:
    """The years of a grown person, whom nobody would make months old."""
    number = _OLD.search(found.string, max(0, found.start(1) - 5), found.start(1))
    old = _OF_AGE.match(found.string, found.end(1)) is not None
    return old and number is not None and int(number[1]) > 24


def _is_unit_told(source: str, found: re.Match[str], other: str) -> bool:
    """Whether the source has the other unit beside the same amount."""
    before = found.string[found.start() : found.start(1)]
    after = found.string[found.end(1) : found.end()]
    if not re.search(r"\d", before + after):
        return re.search(rf"(?i)(?<!\w){re.escape(other.rstrip('s'))}", source) is not None
    digits = re.findall(r"\d+", found.string[max(0, found.start() - 12) : found.end() + 12])
    return any(
        re.search(rf"(?<!\d){n}[\s-]?{re.escape(other)}|{re.escape(other)}\s?{n}(?!\d)", source)
        for n in digits
    )


_MONTH_NAMES = {
    "en": listed("January February March April May June July August September October November "
                 "December"),
    "de": listed("Januar Februar März April Mai Juni Juli August September Oktober November "
                 "Dezember"),
}  # fmt: skip
_MONTH_SHORT = {
    "en": listed("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"),
    "de": listed("Jan Feb März Apr Mai Jun Jul Aug Sep Okt Nov Dez"),
}
_DAY_NAMES = {
    "en": listed("Monday Tuesday Wednesday Thursday Friday Saturday Sunday"),
    "de": listed("Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag"),
}
# A word and those that may stand for it; `tomorrow` never, since the verb may be of the past.
_RELATIVE = {
    "en": ("yesterday today", "today yesterday", "tomorrow today", "morning evening afternoon",
           "evening morning", "afternoon morning", "spring autumn", "autumn spring"),
    "de": ("gestern heute", "heute gestern", "übermorgen heute", "morgens abends",
           "abends morgens", "Frühjahr Herbst", "Herbst Frühjahr"),
}  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+")


def find_dates(ground: Ground, rng: random.Random) -> Iterator[TextEdit]:
    """A part of a date, a weekday, an hour, or a word such as `yesterday`."""
    for dated in ground.facts.dates:
        yield from _of_date(ground, dated, rng)
    for weekday in ground.facts.weekdays:
        old = ground.output[weekday.start : weekday.end]
        names = _DAY_NAMES[ground.language]
        for i, name in enumerate(names):
            if (
                old.lower() in WEEKDAYS
                and i != weekday.day
                and i not in ground.told.figures.weekdays
            ):
                tail = "s" if old.lower().endswith("s") and old.lower()[:-1] in WEEKDAYS else ""
                yield TextEdit(weekday.start, weekday.end, with_case(name + tail, old), 1)
    for timed in ground.facts.times:
        yield from _of_time(ground, timed.start, timed.end, rng)
    yield from _relative(ground)


def _of_date(ground: Ground, dated: Dated, rng: random.Random) -> Iterator[TextEdit]:
    text = ground.output[dated.start : dated.end]
    for m in _WORD.finditer(text):
        if m[0].lower() in MONTHS:
            yield from _months(ground, dated, m)
    known_days = {day.day for day in ground.told.figures.days}
    known_years = {day.year for day in ground.told.figures.days}
    for m in re.finditer(r"(?<!\d)\d{1,4}(?!\d)", text):
        value, size = int(m[0]), len(m[0])
        place = dated.start + m.start(), dated.start + m.end()
        is_day = any(day.day == value for day in dated.days)
        if size == 4 and value in _YEAR_LIKE:
            others = [value + step for step in (-3, -2, -1, 1, 2, 3)]
            yield from (TextEdit(*place, str(y), 1) for y in others if y not in known_years)
        elif size <= 2 and is_day:
            either = (
                len({day.month for day in dated.days}) > 1
            )  # 03/05: day and month may be either
            for day in rng.sample(range(1, 12 if either else 29), 5):
                if day != value and day not in known_days:
                    tail = ground.output[place[1] : place[1] + 2]
                    if tail in ("st", "nd", "rd", "th"):
                        yield TextEdit(place[0], place[1] + 2, f"{day}{_ordinal(day)}", 1)
                    else:
                        yield TextEdit(*place, f"{day:0{size}d}" if m[0][0] == "0" else str(day), 1)


def _ordinal(day: int) -> str:
    return "th" if 10 < day < 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


def _months(ground: Ground, dated: Dated, found: re.Match[str]) -> Iterator[TextEdit]:
    names: Sequence[str] = _MONTH_NAMES[ground.language]
    if found[0].capitalize() not in names:
        names = _MONTH_SHORT[ground.language]
    known = {day.month for day in ground.told.figures.days}
    place = dated.start + found.start(), dated.start + found.end()
    for i, name in enumerate(names, 1):
        if i != MONTHS[found[0].lower()] and i not in known and (i != 2):
            yield TextEdit(*place, with_case(name, found[0]), 1)


def _of_time(ground: Ground, start: int, end: int, rng: random.Random) -> Iterable[TextEdit]:
    """Another hour, in digits; the source must not tell it in either half of the day."""
    found = re.match(r"\d{1,2}", ground.output[start:end])
    if found is None:
        return
    hour = int(found[0])
    hours = range(1, 12) if hour <= 12 else range(13, 23)
    known = {minutes // 60 % 12 for minutes in ground.told.figures.minutes}
    for other in rng.sample(list(hours), 5):
        if other != hour and other % 12 not in known:
            text = f"{other:02d}" if found[0][0] == "0" else str(other)
            yield TextEdit(start, start + found.end(), text, 1)


def _relative(ground: Ground) -> Iterator[TextEdit]:
    for row in _RELATIVE[ground.language]:
        word, *others = listed(row)
        for m in re.finditer(rf"(?i)\b({word})\b", ground.output):
            for other in others:
                if other.casefold() not in ground.told.words:
                    yield TextEdit(*m.span(), with_case(other, m[1]), 1)
