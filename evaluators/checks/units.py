"""Units of measure and money: what stands beside a number, and how one unit becomes another."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """A canonical unit; one of it is `factor` of the base unit of its dimension."""

    name: str
    dimension: str
    factor: float = 1.0
    offset: float = 0.0

    def to_base(self, value: float) -> float:
        """The value in the base unit of the dimension (temperatures have an offset)."""
        return (value + self.offset) * self.factor


_TABLE: dict[str, tuple[tuple[str, float, str], ...]] = {
    "mass": (
        ("kg", 1000, "kg kilo kilos kilogram kilograms kilogramm"),
        ("g", 1, "g gram grams gramm"),
        ("mg", 1e-3, "mg milligram milligrams milligramm"),
        ("µg", 1e-6, "µg μg mcg ug microgram micrograms mikrogramm"),
        ("lb", 453.59237, "lb lbs pounds pound"),
        ("oz", 28.349523125, "oz ounce ounces"),
        ("t", 1e6, "tonne tonnes tonnen"),
    ),
    "length": (
        ("km", 1000, "km kilometer kilometers kilometre kilometres kilometern"),
        ("m", 1, "m meter meters metre metres metern"),
        ("cm", 0.01, "cm centimeter centimeters centimetre centimetres zentimeter"),
        ("mm", 1e-3, "mm millimeter millimeters millimetre millimetres"),
        ("mi", 1609.344, "mile miles mi meile meilen"),
        ("ft", 0.3048, "ft foot feet"),
        ("in", 0.0254, "inch inches zoll"),
    ),
    "volume": (
        ("l", 1, "l L liter liters litre litres litern"),
        ("ml", 1e-3, "ml mL milliliter milliliters millilitre millilitres cc"),
        ("dl", 0.1, "dl dL deciliter deciliters"),
        ("gal", 3.785411784, "gallon gallons"),
    ),
    "data": (
        ("KB", 1e3, "kb KB kB kilobyte kilobytes"),
        ("MB", 1e6, "MB mb megabyte megabytes"),
        ("GB", 1e9, "GB gb gigabyte gigabytes gig gigs"),
        ("TB", 1e12, "TB tb terabyte terabytes"),
    ),
    "rate": (
        ("Kbit/s", 1e3, "kbps Kbps kbit/s Kbit/s"),
        ("Mbit/s", 1e6, "Mbps mbps Mbit/s MBit/s mbit/s Mb/s Mbit megabits megabit"),
        ("Gbit/s", 1e9, "Gbps gbps Gbit/s GBit/s gbit/s Gbit gigabits gigabit"),
    ),
    "time": (
        ("second", 1, "s sec secs second seconds sekunde sekunden"),
        ("minute", 60, "min mins minute minutes minuten"),
        ("hour", 3600, "h hr hrs hour hours stunde stunden std"),
        ("day", 86400, "day days tag tage tagen"),
        ("week", 604800, "week weeks woche wochen"),
    ),
    "calendar": (
        ("month", 1, "month months monat monate monaten mo"),
        ("year", 12, "year years yr yrs jahr jahre jahren yo"),
    ),
    "temperature": (
        ("°C", 1, "°C ℃ celsius °c"),
        ("°F", 5 / 9, "°F ℉ fahrenheit °f"),
    ),
    "share": (("%", 1, "% percent prozent pct"),),
    "pressure": (("mmHg", 1, "mmHg mmhg"),),
    "pulse": (("bpm", 1, "bpm beats/min"),),
    "power": (("W", 1, "W watt watts"), ("kW", 1000, "kW kilowatt kilowatts")),
    "energy": (("kWh", 1, "kWh kwh"),),
    "money:EUR": (("EUR", 1, "€ EUR eur euro euros"),),
    "money:USD": (("USD", 1, "$ US$ USD usd dollar dollars bucks"),),
    "money:GBP": (("GBP", 1, "£ GBP gbp quid"),),
    "money:CHF": (("CHF", 1, "CHF chf franken francs franc Fr"),),
    "money:JPY": (("JPY", 1, "¥ JPY jpy yen"),),
    "cent": (("cent", 1, "cent cents ct"),),
}

UNITS: dict[str, Unit] = {
    spelling: Unit(name, dimension, factor, -32.0 if name == "°F" else 0.0)
    for dimension, members in _TABLE.items()
    for name, factor, spellings in members
    for spelling in spellings.split()
}

SCALES: dict[str, float] = {
    "k": 1e3,
    "K": 1e3,
    "thousand": 1e3,
    "tausend": 1e3,
    "tsd": 1e3,
    "M": 1e6,
    "mn": 1e6,
    "million": 1e6,
    "millions": 1e6,
    "millionen": 1e6,
    "mio": 1e6,
    "bn": 1e9,
    "billion": 1e9,
    "billions": 1e9,
    "milliarde": 1e9,
    "milliarden": 1e9,
    "mrd": 1e9,
}

_BESIDE = re.compile(
    r"[\s\u00a0\u202f]?-?(US\$|[%€$£¥℃℉]|°\s?[CFcf]|mm\s?Hg|[^\W\d_]+(?:/[^\W\d_]+)?)"
)
_BEFORE = re.compile(r"(?:(US\$|[€$£¥])|\b(EUR|USD|GBP|CHF|JPY|Fr\.?))[\s\u00a0]?$")


def _lookup(word: str) -> Unit | None:
    compact = word.replace(" ", "")
    return UNITS.get(compact) or UNITS.get(compact.lower())


def scale_after(text: str, position: int) -> tuple[float, int]:
    """Factor of a word such as `k`, `million` or `Mio.` after a number, and where it ends."""
    found = _BESIDE.match(text, position)
    if found is None:
        return 1.0, position
    word = found[1]
    if len(word) == 1 and found.start(1) != position:
        return 1.0, position
    factor = SCALES.get(word) or (SCALES.get(word.lower()) if len(word) > 1 else None)
    if factor is None:
        return 1.0, position
    end = found.end() + (text[found.end() : found.end() + 1] == "." and word.lower() in _DOTTED)
    return factor, end


_DOTTED = frozenset({"mio", "mrd", "tsd"})


def unit_after(text: str, position: int) -> tuple[Unit | None, int]:
    """The unit that stands after a number, and where it ends."""
    found = _BESIDE.match(text, position)
    if found is None:
        return None, position
    unit = _lookup(found[1])
    if unit is None and "/" in found[1]:
        head = found[1].split("/")[0]
        unit = _lookup(head)
        return (unit, found.start(1) + len(head)) if unit else (None, position)
    return (unit, found.end()) if unit else (None, position)


def unit_before(text: str, position: int) -> tuple[Unit | None, int]:
    """The currency that stands before a number, and where it starts."""
    found = _BEFORE.search(text, max(0, position - 5), position)
    if found is None:
        return None, position
    return UNITS[(found[1] or found[2]).rstrip(".")], found.start()
