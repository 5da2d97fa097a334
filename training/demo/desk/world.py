"""The seeded world of the demo: a telecom support desk with customers, plans, prices and dates.

Answers for who exists and what is true in one case. It knows nothing of models, files or tasks;
`tickets`, `calls` and `replies` put a case into words. Pure standard library.
"""

import random
from dataclasses import dataclass
from datetime import date, timedelta


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES = _words(
    "Jürgen Zoë Łukasz Søren Aylin José Anna Ben Clara David Emma Felix Greta Hanna Ivan Jana Kai "
    "Lena Marco Nora Oskar Paula Quentin Rosa Stefan Tanja Uwe Vera Wim Xenia Yusuf Zara Björn "
    "Chloé Dilan Erik Fatima Gülcan Henrik Ines Jörg Katrin Luís Mehmet Nadia Olga Piotr Ruth "
    "Sofía Thomas Ursula Viktor Wanda Amélie Boris Céline Dörte Elif Frank Gerda Ömer René Şeyma"
)
LAST_NAMES = _words(
    "Müller Weiß Nowak Jensen Özdemir García Schmidt Fischer Weber Wagner Becker Hoffmann Schäfer "
    "Koch Bauer Richter Klein Wolf Schröder Neumann Schwarz Zimmermann Braun Krüger Hofmann Lange "
    "Krause Lehmann Schulz Maier Köhler Walter König Huber Kaiser Fuchs Peters Lang Scholz Möller "
    "Vogel Jung Hahn Keller Günther Berger Winkler Roth Beck Lorenz Baumann Franke Albrecht Simon "
    "Ludwig Böhm Winter Kraus Martin Schuster Jäger Vogt Stein Groß Sommer Brandt Haas Graf Seidel "
    "Kowalski Novák Nguyen Petrović Rossi Dubois Silva Andersson Kaya Yılmaz Costa Ionescu"
)
AGENTS = _words("Mara Tobias Ilse Deniz Pavel Sina Henk Carla Joris Meike")
DEVICES_DE = {
    "router": "Router", "modem": "Modem", "phone": "Telefon", "set-top box": "Set-Top-Box",
    "mesh repeater": "Repeater", "mobile hotspot": "Hotspot", "tablet": "Tablet",
    "handset": "Mobilteil",
}  # fmt: skip
DEVICES = tuple(DEVICES_DE)
CITIES = _words("Bremen Kassel Ulm Erfurt Münster Lübeck Trier Görlitz Jena Passau Köln Würzburg")
COUNTRIES_DE = {
    "Spain": "Spanien", "Italy": "Italien", "Turkey": "der Türkei", "Norway": "Norwegen",
    "Portugal": "Portugal", "Greece": "Griechenland", "Poland": "Polen", "Croatia": "Kroatien",
    "Sweden": "Schweden", "Morocco": "Marokko",
}  # fmt: skip
COUNTRIES = tuple(COUNTRIES_DE)
MONTHS = _words(
    "January February March April May June July August September October November December"
)
MONTHS_DE = _words(
    "Januar Februar März April Mai Juni Juli August September Oktober November Dezember"
)
CHANNELS = ("phone", "chat", "mail")


@dataclass(frozen=True, slots=True)
class Tariff:
    """A tariff of one family; `amounts` are the sizes in which it is sold, in `unit`."""

    name: str
    family: str
    usual_euros: int
    unit: str
    amounts: tuple[int, ...]


_GIGABYTES = (5, 8, 10, 12, 15, 25, 30, 35, 40, 50, 60, 75, 80, 120)
_SPEEDS = (25, 50, 150, 200, 250, 300, 400, 500, 600, 800, 1000)
_STATIONS = (35, 45, 75, 80, 90, 110, 130, 150)
_LINES = (2, 3, 5, 6, 8, 10, 12, 16)
PLANS: tuple[Tariff, ...] = tuple(
    Tariff(name, family, euros, unit, amounts)
    for family, unit, amounts, prices in (
        ("mobile", "GB", _GIGABYTES, {
            "Swift S": 14, "Swift M": 24, "Swift L": 34, "Swift XL": 44, "Nomad Go": 19,
            "Nomad Plus": 27, "Duo Flex": 39, "Campus": 12, "Silver Talk": 16}),
        ("home", "Mbit/s", _SPEEDS, {
            "Fibre Start": 29, "Fibre Home": 39, "Fibre Max": 54, "Cable Eco": 25,
            "Cable Turbo": 42, "Villa Net": 49}),
        ("tv", "stations", _STATIONS, {"Vision Basic": 11, "Vision Plus": 18, "Cinema One": 23}),
        ("business", "lines", _LINES, {
            "Office Duo": 48, "Office Team": 79, "Office Prime": 119, "Studio Line": 59}),
    )
    for name, euros in prices.items()
)  # fmt: skip
CONTRACT_MONTHS = (1, 6, 12, 18, 24, 30, 36)
_CENTS = (0, 49, 50, 90, 95, 99)
_FAMILY_WEIGHTS = {"mobile": 4, "home": 4, "tv": 2, "business": 3}


@dataclass(frozen=True, slots=True)
class Customer:
    """One customer; `key` is the group of every example about them."""

    key: str
    first: str
    last: str

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}"


@dataclass(frozen=True, slots=True)
class ContactFacts:
    """What is true about one contact of one customer. Money in cents, `due` after `called`."""

    customer: Customer
    plan: Tariff
    old_plan: Tariff
    channel: str
    agent: str
    device: str
    city: str
    country: str
    ticket: str
    order: str
    cents: int
    bill_cents: int
    credit_cents: int
    amount: int
    months: int
    called: date
    since: date
    due: date
    hour: int


def is_demo_name(first: str, last: str) -> bool:
    """Whether a full name belongs to the demo project; the corpus uses only the other names."""
    return sum(f"{first} {last}".encode()) % 4 == 0


def make_customers(*, count: int, rng: random.Random, demo: bool) -> list[Customer]:
    """Draw `count` customers with distinct keys, from the demo's names or from the corpus's.

    Demo keys run from C-10000 to C-49999, corpus keys from C-50000 to C-99999.
    """
    low, high = (10_000, 50_000) if demo else (50_000, 100_000)
    keys = rng.sample(range(low, high), count)
    return [Customer(f"C-{key}", *_draw_name(rng, demo)) for key in keys]


def _draw_name(rng: random.Random, demo: bool) -> tuple[str, str]:
    while True:
        first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
        if is_demo_name(first, last) is demo:
            return first, last


def make_case(customer: Customer, rng: random.Random) -> ContactFacts:
    """Draw one case of `customer`; the same generator state gives the same case."""
    plan = rng.choices(PLANS, [_FAMILY_WEIGHTS[p.family] for p in PLANS])[0]
    old_plan = rng.choice([p for p in PLANS if p.family == plan.family and p != plan])
    called = date(2026, 1, 5) + timedelta(days=rng.randrange(340))
    return ContactFacts(
        customer=customer,
        plan=plan,
        old_plan=old_plan,
        channel=rng.choice(CHANNELS),
        agent=rng.choice(AGENTS),
        device=rng.choice(DEVICES),
        city=rng.choice(CITIES),
        country=rng.choice(COUNTRIES),
        ticket=f"TK-{rng.randrange(10_000, 100_000)}",
        order=f"AB{rng.randrange(100_000, 1_000_000)}",
        cents=_draw_price(plan.usual_euros, rng),
        bill_cents=_draw_price(plan.usual_euros * 2, rng),
        credit_cents=rng.choice((500, 750, 1200, 1500, 1800, 2000, 2500, 3000, 4000)),
        amount=rng.choice(plan.amounts),
        months=rng.choice(CONTRACT_MONTHS),
        called=called,
        since=called - timedelta(days=rng.randrange(1, 25)),
        due=called + timedelta(days=rng.randrange(2, 22)),
        hour=rng.randrange(8, 18),
    )


def _draw_price(usual_euros: int, rng: random.Random) -> int:
    return (usual_euros + rng.randrange(-5, 9)) * 100 + rng.choice(_CENTS)


def say_date(day: date) -> str:
    return f"{day.day} {MONTHS[day.month - 1]}"


def say_date_german(day: date) -> str:
    return f"{day.day}. {MONTHS_DE[day.month - 1]}"


def say_money(cents: int) -> str:
    return f"EUR {cents / 100:.2f}"


def say_money_german(cents: int) -> str:
    return f"{cents / 100:.2f} EUR".replace(".", ",")


def case_facts(case: ContactFacts) -> dict[str, str]:
    """Every fact of a case as the English words that templates insert."""
    return {
        "name": case.customer.name,
        "first": case.customer.first,
        "last": case.customer.last,
        "key": case.customer.key,
        "plan": case.plan.name,
        "old_plan": case.old_plan.name,
        "agent": case.agent,
        "device": case.device,
        "city": case.city,
        "country": case.country,
        "ticket": case.ticket,
        "order": case.order,
        "price": say_money(case.cents),
        "bill": say_money(case.bill_cents),
        "credit": say_money(case.credit_cents),
        "amount": f"{case.amount} {case.plan.unit}",
        "months": f"{case.months} month" + ("" if case.months == 1 else "s"),
        "called": say_date(case.called),
        "since": say_date(case.since),
        "due": say_date(case.due),
        "hour": f"{case.hour}:00",
    }


def case_facts_german(case: ContactFacts) -> dict[str, str]:
    """The facts as German sentences insert them."""
    return case_facts(case) | {
        "price": say_money_german(case.cents),
        "bill": say_money_german(case.bill_cents),
        "credit": say_money_german(case.credit_cents),
        "months": f"{case.months} Monat" + ("" if case.months == 1 else "e"),
        "amount": f"{case.amount} "
        + {"stations": "Sender", "lines": "Leitungen"}.get(case.plan.unit, case.plan.unit),
        "called": say_date_german(case.called),
        "since": say_date_german(case.since),
        "due": say_date_german(case.due),
        "hour": f"{case.hour} Uhr",
        "device": DEVICES_DE[case.device],
        "country": COUNTRIES_DE[case.country],
    }
