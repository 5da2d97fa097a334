"""Units of measure and money: what stands beside a number, and how one unit becomes another.

A rate is a unit too: `mg/kg/day` is of the dimension mass/mass/time, so that 13.5 g/dL is 135 g/L,
and 39 EUR a month is no 39 EUR a year. A word may name several units (`pounds` are money and mass,
`m` is metres and millions): all are given, and a claim holds when one of them does.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Unit:
    """A canonical unit; one of it is `factor` of the base unit of its dimension.

    Attributes:
        head: the unit above the line of a rate; None of what is counted (2 times a day).
        per: the units below the line, by name; empty where the unit is no rate.
    """

    name: str
    dimension: str
    factor: float = 1.0
    offset: float = 0.0
    head: Unit | None = None
    per: tuple[Unit, ...] = ()

    def to_base(self, value: float) -> float:
        """The value in the base unit of the dimension (temperatures have an offset)."""
        return (value + self.offset) * self.factor


_TABLE: dict[str, tuple[tuple[str, float, str], ...]] = {
    "mass": (
        ("kg", 1000, "kg kgs kilo kilos kilogram kilograms kilogramm"),
        ("g", 1, "g gm gram grams gramm gramme grammes"),
        ("mg", 1e-3, "mg mgs milligram milligrams milligramm"),
        ("µg", 1e-6, "µg μg mcg ug microgram micrograms mikrogramm"),
        ("ng", 1e-9, "ng nanogram nanograms nanogramm"),
        ("lb", 453.59237, "lb lbs pounds pound pfund"),
        ("oz", 28.349523125, "oz ounce ounces unze unzen"),
        ("t", 1e6, "t tonne tonnes tonnen ton tons"),
        ("stone", 6350.29318, "stone"),
    ),
    "length": (
        ("km", 1000, "km kms kilometer kilometers kilometre kilometres kilometern"),
        ("m", 1, "m meter meters metre metres metern"),
        ("cm", 0.01, "cm centimeter centimeters centimetre centimetres zentimeter zentimetern"),
        ("mm", 1e-3, "mm millimeter millimeters millimetre millimetres millimetern"),
        ("µm", 1e-6, "µm μm micron microns micrometer micrometers mikrometer"),
        ("nm", 1e-9, "nm nanometer nanometers nanometre nanometres"),
        ("mi", 1609.344, "mile miles mi meile meilen"),
        ("yd", 0.9144, "yd yds yard yards"),
        ("ft", 0.3048, "ft foot feet fuß"),
        ("in", 0.0254, "inch inches zoll"),
    ),
    "area": (
        ("m²", 1, "m² m2 sqm qm quadratmeter quadratmetern squaremeter squaremeters squaremetre "
                  "squaremetres"),
        ("cm²", 1e-4, "cm² cm2"),
        ("km²", 1e6, "km² km2 quadratkilometer squarekilometer squarekilometers squarekilometres"),
        ("ha", 1e4, "ha hectare hectares hektar"),
        ("acre", 4046.8564224, "acre acres"),
        ("ft²", 0.09290304, "ft² ft2 sqft sq.ft squarefoot squarefeet"),
        ("mi²", 2589988.110336, "mi² squaremile squaremiles"),
    ),
    "volume": (
        ("l", 1, "l L liter liters litre litres litern"),
        ("ml", 1e-3, "ml mL milliliter milliliters millilitre millilitres millilitern cc cm³ cm3"),
        ("µl", 1e-6, "µl μl µL μL ul uL microliter microliters microlitre microlitres"),
        ("dl", 0.1, "dl dL deciliter deciliters decilitre decilitres deziliter"),
        ("cl", 0.01, "cl cL"),
        ("m³", 1000, "m³ m3 cbm kubikmeter cubicmeter cubicmeters cubicmetre cubicmetres"),
        ("gal", 3.785411784, "gallon gallons gal"),
        ("pint", 0.473176473, "pint pints"),
        ("fl oz", 0.0295735295625, "floz fl.oz fluidounce fluidounces"),
        ("cup", 0.2365882365, "cup cups tasse tassen"),
        ("tsp", 0.00492892159, "tsp teaspoon teaspoons teelöffel"),
        ("tbsp", 0.0147867648, "tbsp tablespoon tablespoons esslöffel"),
    ),
    "substance": (
        ("mol", 1, "mol mole moles"),
        ("mmol", 1e-3, "mmol millimole millimoles"),
        ("µmol", 1e-6, "µmol μmol umol micromole micromoles"),
        ("nmol", 1e-9, "nmol"),
        ("pmol", 1e-12, "pmol"),
    ),
    "charge": (("mEq", 1, "meq mEq"),),
    "activity": (
        ("IU", 1, "IU iu U unit units einheit einheiten IE ie"),
        ("mIU", 1e-3, "mIU miu mU"),
    ),
    "form": (
        ("tablet", 1, "tablet tablets tab tabs pill pills capsule capsules cap caps caplet "
                      "caplets tablette tabletten kapsel kapseln pille pillen"),
    ),
    "form:puff": (("puff", 1, "puff puffs spray sprays hub hübe sprühstoß sprühstöße"),),
    "form:drop": (("drop", 1, "drop drops gtt tropfen"),),
    "data": (
        ("KB", 1e3, "kb KB kB kilobyte kilobytes"),
        ("MB", 1e6, "MB mb megabyte megabytes"),
        ("GB", 1e9, "GB gb gigabyte gigabytes gig gigs"),
        ("TB", 1e12, "TB tb terabyte terabytes"),
        ("KiB", 1024, "KiB kib"),
        ("MiB", 1024**2, "MiB mib"),
        ("GiB", 1024**3, "GiB gib"),
    ),
    "rate": (
        ("Kbit/s", 1e3, "kbps Kbps kbit Kbit kilobit kilobits Kb"),
        ("Mbit/s", 1e6, "Mbps mbps Mbit MBit mbit megabits megabit Mb"),
        ("Gbit/s", 1e9, "Gbps gbps Gbit GBit gbit gigabits gigabit Gb"),
    ),
    "time": (
        ("millisecond", 1e-3, "ms msec millisecond milliseconds millisekunde millisekunden"),
        ("second", 1, "s sec secs second seconds sekunde sekunden sek"),
        ("minute", 60, "min mins minute minutes minuten"),
        ("hour", 3600, "h hr hrs hour hours stunde stunden std"),
        ("day", 86400, "d day days tag tage tagen"),
        ("week", 604800, "wk wks week weeks woche wochen"),
        ("fortnight", 1209600, "fortnight fortnights"),
    ),
    "calendar": (
        ("month", 1, "month months monat monate monaten monats mo mos mth mths"),
        ("quarter", 3, "quartal quartale quartalen"),
        ("year", 12, "year years yr yrs jahr jahre jahren jahres yo annum"),
    ),
    "decade": (("decade", 1, "-"),),
    "temperature": (
        ("°C", 1, "°C ℃ celsius °c degreescelsius degreecelsius gradcelsius"),
        ("°F", 5 / 9, "°F ℉ fahrenheit °f degreesfahrenheit degreefahrenheit gradfahrenheit"),
    ),
    "share": (
        ("%", 1, "% percent prozent pct percentage"),
        ("‰", 0.1, "‰ permille promille"),
        ("fraction", 100, "-"),
    ),
    "points": (
        ("pp", 1, "pp percentagepoint percentagepoints prozentpunkt prozentpunkte prozentpunkten"),
        ("bp", 0.01, "bp bps basispoint basispoints basispunkt basispunkte"),
    ),
    "pressure": (
        ("mmHg", 1, "mmHg mmhg"),
        ("kPa", 7.500616827, "kPa kpa"),
        ("bar", 750.0616827, "bar"),
        ("psi", 51.71493257, "psi"),
    ),
    "power": (
        ("W", 1, "W watt watts"),
        ("kW", 1000, "kW kw kilowatt kilowatts"),
        ("MW", 1e6, "MW megawatt megawatts"),
        ("GW", 1e9, "GW gigawatt gigawatts"),
        ("hp", 735.49875, "hp PS"),
    ),
    "energy": (
        ("kWh", 1, "kWh kwh kilowattstunde kilowattstunden"),
        ("MWh", 1000, "MWh mwh"),
        ("Wh", 1e-3, "Wh"),
        ("J", 1 / 3.6e6, "J joule joules"),
        ("kJ", 1 / 3600, "kJ kilojoule kilojoules"),
        ("kcal", 4.184 / 3600, "kcal calorie calories kalorie kalorien"),
    ),
    "voltage": (("V", 1, "V volt volts"), ("kV", 1000, "kV kilovolt"), ("mV", 1e-3, "mV")),
    "current": (("A", 1, "amp amps ampere"), ("mA", 1e-3, "mA milliampere")),
    "cent": (("cent", 1, "cent cents ct ¢"),),
}  # fmt: skip
# Symbols and names by ISO 4217 code. `$`, `dollars`, `kr` and `rupees` belong to several.
_MONEY = {
    "EUR": "€ euro euros",
    "USD": "US$ $ dollar dollars buck bucks",
    "CAD": "C$ CA$ $ dollar dollars",
    "AUD": "A$ AU$ $ dollar dollars",
    "NZD": "NZ$ $ dollar dollars",
    "HKD": "HK$ $ dollar dollars",
    "SGD": "S$ $ dollar dollars",
    "GBP": "£ pound pounds quid sterling pfund",
    "CHF": "franken francs franc fr sfr rappen",
    "JPY": "¥ yen",
    "CNY": "¥ yuan rmb renminbi",
    "INR": "₹ rs rupee rupees rupien",
    "PKR": "rs rupee rupees",
    "KRW": "₩",
    "RUB": "₽ rubel rouble roubles ruble rubles",
    "UAH": "₴ hrywnja hryvnia",
    "TRY": "₺ lira",
    "ILS": "₪ shekel shekels",
    "THB": "฿ baht",
    "VND": "₫ dong",
    "PLN": "zł zloty złoty",
    "CZK": "kč koruna kronen",
    "HUF": "ft forint",
    "SEK": "kr krona kronor kronen",
    "NOK": "kr krone kroner kronen",
    "DKK": "kr krone kroner kronen",
    "BRL": "R$ reais",
    "MXN": "$ peso pesos",
    "ZAR": "rand",
    "AED": "dirham dirhams",
}


def _spellings() -> dict[str, tuple[Unit, ...]]:
    found: dict[str, list[Unit]] = defaultdict(list)
    for dimension, members in _TABLE.items():
        for name, factor, spellings in members:
            unit = Unit(name, dimension, factor, -32.0 if name == "°F" else 0.0)
            for spelling in (name, *spellings.split()):
                if unit not in found[spelling]:
                    found[spelling].append(unit)
    for code, spellings in _MONEY.items():
        for spelling in (code, code.lower(), *spellings.split()):
            found[spelling].append(Unit(code, f"money:{code}"))
    return {spelling: tuple(units) for spelling, units in found.items()}


UNITS = _spellings()
for _word in ("in", "try", "-"):  # words before they are units
    del UNITS[_word]
NOTHING: tuple[Unit, ...] = ()
SECOND, MINUTE, HOUR, DAY, WEEK, FORTNIGHT = (
    UNITS[name][0] for name in ("second", "minute", "hour", "day", "week", "fortnight")
)
MONTH, QUARTER, YEAR = (UNITS[name][0] for name in ("month", "quartal", "year"))
PERCENT, FRACTION, DECADE = UNITS["%"][0], UNITS["fraction"][0], UNITS["decade"][0]
FOOT = UNITS["ft"][0]

SCALES: dict[str, float] = {
    word: value
    for value, words in {
        1e3: "k K thousand thousands tausend tsd",
        1e6: "m M mn mm mln million millions millionen mio",
        1e9: "b B bn billion billions milliarde milliarden mrd mia",
        1e12: "tn trillion trillions billionen",
        1e5: "lakh lakhs",
        1e7: "crore crores",
        12: "dozen dutzend",
    }.items()
    for word in words.split()
}
_DOTTED = frozenset(
    {"mio", "mrd", "tsd", "mia", "std", "min", "sek", "fr", "rs", "lbs", "oz", "mo"}
)
_MAYBE_UNITS = frozenset({"m", "b", "B"})  # metres, bytes, unless of money

_SYMBOL = r"(?:US|CA?|AU?|NZ|HK|S|R)?\$|[%‰€£¥₹₩₽₴₺₪฿₫¢℃℉]"
_WORD = (
    r"(?:(?:square|cubic|sq\.?|fluid|fl\.?|percentage|basis|per(?= cent| mille))[ -])?"
    r"[^\W\d_]+(?:[²³]|[23](?!\w))?"
)
_BESIDE = re.compile(
    rf"[\s\u00a0\u202f]?-?({_SYMBOL}|°\s?[CFcf]\b|(?:[dD]egrees?|Grad)\s(?:[cC]elsius|[fF]ahrenheit)\b|mm\s?Hg|{_WORD})"
)
_BEFORE = re.compile(
    rf"(?:({_SYMBOL})|(?<!\w)({'|'.join(_MONEY)}|S?Fr\.?|Rs\.?|Rps\.?))[\s\u00a0\u202f]?$"
)
# What such a sign or word ends with; few numbers stand behind one.
_BEFORE_ENDS = frozenset("$%‰€£¥₹₩₽₴₺₪฿₫¢℃℉.rs") | {name[-1] for name in _MONEY}
_GAPS = re.compile(r"[\s.-]+")


@lru_cache(maxsize=4096)
def _lookup(word: str) -> tuple[Unit, ...]:
    compact = word if word.isalpha() else _GAPS.sub("", word)
    return UNITS.get(compact) or UNITS.get(compact.lower(), NOTHING)


def scale_after(text: str, position: int, *, money: bool = False) -> tuple[float, int, bool]:
    """Factor of a word such as `k`, `million` or `Mio.` after a number.

    Args:
        money: a currency stands before the number, so that `m` are millions.

    Returns:
        The factor, where it ends, and whether the word may as well be a unit.
    """
    found = _BESIDE.match(text, position)
    if found is None:
        return 1.0, position, False
    word = found[1]
    if len(word) == 1 and found.start(1) != position:
        return 1.0, position, False
    factor = SCALES.get(word) or (SCALES.get(word.lower()) if len(word) > 1 else None)
    if factor is None or (word.lower() == "mm" and not money):
        return 1.0, position, False
    return factor, _past_dot(text, found.end(), word), word in _MAYBE_UNITS and not money


def _past_dot(text: str, end: int, word: str) -> int:
    """`Mio.` and `min.` take their point with them."""
    return end + (text[end : end + 1] == "." and word.lower() in _DOTTED)


def units_after(text: str, position: int) -> tuple[tuple[Unit, ...], int]:
    """What the word after a number may stand for as a unit, and where it ends."""
    found = _BESIDE.match(text, position)
    units = _lookup(found[1]) if found is not None else NOTHING
    if found is None or not units:
        return NOTHING, position
    return units, found.end()


def units_before(text: str, position: int) -> tuple[tuple[Unit, ...], int]:
    """What stands before a number as its currency, and where it starts."""
    if text[max(0, position - 3) : position].rstrip()[-1:] not in _BEFORE_ENDS:
        return NOTHING, position
    found = _BEFORE.search(text, max(0, position - 6), position)
    if found is None:
        return NOTHING, position
    word = found[1] or found[2].rstrip(".")
    return _lookup(word), found.start()


@lru_cache(maxsize=4096)
def rate(head: Unit | None, per: tuple[Unit, ...], *, times: float = 1.0) -> Unit:
    """A unit per others: `mg` per `kg` and `day`; of a count where there is no head.

    Args:
        times: a dose that is given so often in the period.
    """
    if head is not None and head.dimension == "rate" and per == (SECOND,):
        return head  # bits a second have it in their name
    under = tuple(sorted(per, key=lambda unit: unit.name))
    factor = (head.factor if head else 1.0) * times
    for unit in under:
        factor /= unit.factor
    if head is None and all(unit.dimension == "count" for unit in under):
        return Unit(f"per {under[0].name}", "share", 100 * factor, per=under)
    dimension = "/".join([head.dimension if head else "count", *(u.dimension for u in under)])
    often = "" if times == 1 else f"{times:g}×"
    name = "/".join([head.name if head else "1", *(often + u.name for u in under)])
    return Unit(name, dimension, factor, head=head, per=under)


def count_of(number: float, unit: Unit | None) -> Unit:
    """So many of a unit, or of things, as what stands below the line: `per 100 g`, `per 1,000`."""
    if unit is None:
        return Unit(f"{number:,g}", "count", number)
    return (
        unit
        if number == 1
        else Unit(f"{number:g} {unit.name}", unit.dimension, number * unit.factor)
    )


def agree(said: Unit | None, known: Unit | None, mentions: Callable[[Unit], bool]) -> bool:
    """Whether a number of one unit may be the same number of the other.

    A bare number claims no unit. A period may be left out (39 EUR of 39 EUR a month), and told of
    the sum where the source speaks of it elsewhere; what a dose or a speed is divided by may not.

    Args:
        mentions: whether the source names a unit anywhere.
    """
    if said is None or known is None or said.name == known.name:
        return True
    ours, theirs = said.per, known.per
    if not ours and not theirs:
        return False
    top, other = (unit.head if unit.per else unit for unit in (said, known))
    if top is not None and other is not None and top.name != other.name:
        return False
    left_out = [unit for unit in theirs if unit not in ours]
    added = [unit for unit in ours if unit not in theirs]
    if not left_out and not added:
        return top is None or other is None  # else a dose so often in the period: factors differ
    if left_out and added:
        return all(unit.dimension == "noun" for unit in (*left_out, *added))
    head = top or other
    loose = head is not None and head.dimension.startswith("money")
    if not all(loose or _is_loose(unit) for unit in (*left_out, *added)):
        return False
    return all(mentions(unit) for unit in added)


def _is_loose(unit: Unit) -> bool:
    """Things, and periods longer than an hour: 5 mg are 5 mg a day, 50 km are no 50 km/h."""
    return unit.dimension in ("noun", "calendar") or (
        unit.dimension == "time" and unit.factor > HOUR.factor
    )


_SPELLED: dict[str, set[str]] = defaultdict(set)
for _spelling, _units in UNITS.items():
    for _unit in _units:
        _SPELLED[_unit.name].add(_spelling.casefold())
for _code in _MONEY:
    _SPELLED.pop(_code, None)


def spellings_of(unit: Unit) -> set[str]:
    """Case-folded words for a unit."""
    return _SPELLED.get(unit.name, set())


for _name, _head, _period in (
    ("mph", UNITS["mi"][0], HOUR),
    ("kmh", UNITS["km"][0], HOUR),
    ("kph", UNITS["km"][0], HOUR),
    ("knots", Unit("nautical mile", "length", 1852.0), HOUR),
    ("knot", Unit("nautical mile", "length", 1852.0), HOUR),
    ("kn", Unit("nautical mile", "length", 1852.0), HOUR),
    ("bpm", None, MINUTE),
    ("rpm", None, MINUTE),
    ("Hz", None, SECOND),
):
    UNITS[_name] = (rate(_head, (_period,)),)
