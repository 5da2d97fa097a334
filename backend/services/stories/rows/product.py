"""Descriptions of products from sheets of attributes; what a sheet leaves open stays open."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

ASK = "Write a short description of this product for the shop."
LINES = ("Alder", "Brook", "Cedar", "Dune", "Elm", "Fjord", "Grove", "Heath", "Isle", "Juno")
COLOURS = ("black", "sage green", "natural", "navy", "white", "brick red", "ochre", "slate")
STATED = 6
NOT_STATED = "not stated"


@dataclass(frozen=True, slots=True)
class Attribute:
    """A line of a sheet: its name, a value, and ways to say it."""

    name: str
    value: Callable[[random.Random], str]
    said: Sequence[str]


def _one(*values: str) -> Callable[[random.Random], str]:
    return lambda rng: rng.choice(values)


def _number(low: int, high: int, unit: str, step: int = 1) -> Callable[[random.Random], str]:
    return lambda rng: f"{rng.randrange(low, high, step):,} {unit}"


COMMON = (
    Attribute("Colour", _one(*COLOURS), ("It comes in {}.", "Colour: {}.", "In {}.")),
    Attribute("Height", _number(18, 130, "cm"), ("{} high.", "It stands {} tall.")),
    Attribute("Width", _number(12, 70, "cm"), ("{} wide.", "Its width is {}.")),
    Attribute("Weight", _number(320, 9_900, "g", 10), ("It weighs {}.", "Weight {}.")),
    Attribute("Guarantee", _number(2, 8, "years"), ("Guarantee: {}.", "The guarantee is {}.")),
    Attribute("Made in", _one("Portugal", "Poland", "Denmark", "Italy", "Czechia", "Latvia"),
              ("Made in {}.", "It was made in {}.")),
)  # fmt: skip
CATEGORIES: dict[str, tuple[tuple[str, ...], tuple[Attribute, ...], str]] = {
    "lamp": (
        ("desk lamp", "floor lamp", "reading lamp"),
        (
            Attribute("Power", _number(4, 40, "W"), ("It draws {}.", "Power {}.")),
            Attribute("Cable", _number(120, 320, "cm", 10), ("The cable is {} long.", "Cable {}.")),
            Attribute("Base", _one("oak", "steel", "marble"), ("On a base of {}.", "{} base.")),
            Attribute("Light", _number(2_200, 4_100, "K", 100), ("Light {}.", "The light has {}.")),
        ),
        "bulb",
    ),
    "bag": (
        ("backpack", "shoulder bag", "travel bag"),
        (
            Attribute("Volume", _number(9, 48, "l"), ("It holds {}.", "Room for {}.")),
            Attribute("Outside", _one("waxed cotton", "canvas", "nylon"), ("Of {}.", "{}.")),
            Attribute("Pockets", _number(2, 9, "pockets"), ("It comes with {}.", "It has {}.")),
            Attribute("Care", _one("wipe clean", "hand wash"), ("Care: {}.", "To {}.")),
        ),
        "rain cover",
    ),
    "kettle": (
        ("kettle", "tea kettle", "travel kettle"),
        (
            Attribute("Capacity", _number(6, 19, "dl"), ("It holds {}.", "It takes {}.")),
            Attribute("Power", _number(900, 2_300, "W", 50), ("It draws {}.", "Heats with {}.")),
            Attribute("Body", _one("stainless steel", "glass", "enamel"), ("Of {}.", "{} body.")),
            Attribute("Cord", _number(60, 110, "cm", 5), ("Cord {}.", "The cord is {} long.")),
        ),
        "descaler",
    ),
    "chair": (
        ("office chair", "dining chair", "folding chair"),
        (
            Attribute("Load", _number(90, 165, "kg", 5), ("It carries {}.", "For up to {}.")),
            Attribute("Frame", _one("beech", "ash", "steel"), ("Frame of {}.", "{} frame.")),
            Attribute("Seat depth", _number(38, 52, "cm"), ("Seat {} deep.", "{} deep.")),
            Attribute("Cover", _one("wool felt", "linen", "leather"), ("In {}.", "{} cover.")),
        ),
        "seat pad",
    ),
}  # fmt: skip


def write(n: int, seed: int) -> list[dict[str, object]]:
    """Three products of each line in turn; every third sheet has gaps."""
    rng = random.Random(f"product-{seed}")
    return [_row(number, rng) for number in range(n)]


def _row(number: int, rng: random.Random) -> dict[str, object]:
    category = list(CATEGORIES)[number % len(CATEGORIES)]
    kinds, own, missing = CATEGORIES[category]
    gaps = number % 3 == 2
    name = f"{LINES[number // 3 % len(LINES)]} {rng.choice(kinds)} {rng.randrange(100, 999)}"
    chosen = rng.sample([*COMMON, *own], STATED + 2)
    stated = chosen[:STATED] if gaps else chosen
    values = {one.name: one.value(rng) for one in stated}
    sheet = [f"{one.name}: {values.get(one.name, NOT_STATED)}" for one in chosen]
    sheet.insert(rng.randrange(len(sheet) + 1), f"Not in the box: {missing}")
    said = [rng.choice(one.said).format(values[one.name]) for one in stated]
    sentences = [sentence[0].upper() + sentence[1:] for sentence in said]
    return {
        "id": f"product-{number + 1:03d}",
        "input": ASK,
        "context": "\n".join([f"Name: {name}", *sheet]),
        "reference": " ".join([f"{name}.", *sentences, f"The {missing} is not in the box."]),
        "group": f"L-{number // 3 + 1:03d}",
        "slices": {
            "category": category,
            "gaps": "yes" if gaps else "no",
            "hard": "yes" if gaps else "no",
        },
    }
