"""Surrogates of people, dates and amounts: what masking leaves in place of the real ones.

Everything is drawn from the generator that is given, so that a seed gives the same words.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
MONTHS_DE = (
    "Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September",
    "Oktober", "November", "Dezember",
)  # fmt: skip
FIRST = {
    "f": ("Aylin", "Clara", "Fatima", "Hanna", "Ines", "Katrin", "Nadia", "Ruth", "Sofia", "Zoe"),
    "m": ("Ben", "David", "Emre", "Felix", "Ivan", "Marco", "Oskar", "Piotr", "Thomas", "Yusuf"),
}
LAST = (
    "Albrecht", "Baumann", "Costa", "Dubois", "Engel", "Fuchs", "Garcia", "Hahn", "Ionescu",
    "Jensen", "Kaya", "Lorenz", "Moller", "Nowak", "Okafor", "Peters", "Rossi", "Silva",
    "Tanaka", "Vogt", "Winter", "Yilmaz",
)  # fmt: skip
TODAY = date(2026, 3, 2)


@dataclass(frozen=True, slots=True)
class Person:
    """A surrogate; the key is the group of every example about them."""

    key: str
    first: str
    last: str
    gender: str

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first} {self.last}"

    @property
    def formal(self) -> str:
        """`Ms Albrecht`."""
        return f"{'Ms' if self.gender == 'f' else 'Mr'} {self.last}"

    @property
    def formal_de(self) -> str:
        """How a German letter begins."""
        return f"Sehr geehrte{'' if self.gender == 'f' else 'r'} " + (
            f"{'Frau' if self.gender == 'f' else 'Herr'} {self.last}"
        )


def people(rng: random.Random, count: int) -> list[Person]:
    """Different people, as many of either gender."""
    names = [(first, last, g) for g in "fm" for first in FIRST[g] for last in LAST]
    rng.shuffle(names)
    found = []
    for number in range(count):
        wanted = "fm"[number % 2]
        at = next(i for i, name in enumerate(names) if name[2] == wanted)
        first, last, gender = names.pop(at)
        found.append(Person(f"P-{number + 1:03d}", first, last, gender))
    return found


def day(rng: random.Random, *, ago: tuple[int, int]) -> date:
    """A day so many days before TODAY."""
    return TODAY - timedelta(days=rng.randint(*ago))


def say_day(when: date, *, german: bool = False) -> str:
    """`3 March 2026`, `3. März 2026`."""
    if german:
        return f"{when.day}. {MONTHS_DE[when.month - 1]} {when.year}"
    return f"{when.day} {MONTHS[when.month - 1]} {when.year}"


def say_euros(cents: int, *, german: bool = False) -> str:
    """`EUR 1,240.50`, `1.240,50 EUR`."""
    text = f"{cents / 100:,.2f}"
    if german:
        return text.translate(str.maketrans(",.", ".,")) + " EUR"
    return f"EUR {text}"


def masked_iban(rng: random.Random) -> str:
    """What a masked account number leaves: country and the last four digits."""
    return f"DE** **** **** **** **{rng.randrange(10)}{rng.randrange(10)} {rng.randrange(10, 100)}"
