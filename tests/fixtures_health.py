"""Rows for examinations of data: sound ones, and ones with faults of known number and place."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from backend.services.datasets.versions import ExampleRow

THEMES = {
    "card_lost": "card lost stolen street wallet block replace purse",
    "rate": "exchange rate currency abroad euro dollar conversion market",
    "pin": "pin code forgotten unblock reset machine digits wrong",
    "transfer": "transfer pending arrives late account friend bank holiday",
}
FILLERS = ("please tell me", "hello there", "quick question", "urgent", "i wonder about this")


def class_rows(per_class: int = 60, *, seed: int = 0, group_size: int = 1) -> list[ExampleRow]:
    """Questions of four classes, each with its own words; every other fifth row is a test row."""
    rng = random.Random(seed)
    rows = []
    for n in range(per_class * len(THEMES)):
        label = list(THEMES)[n % len(THEMES)]
        said = " ".join(rng.sample(THEMES[label].split(), 4))
        text = f"{rng.choice(FILLERS)} {said} ref {rng.randrange(10**6)}"
        split = "test" if n // group_size % 5 == 4 else "train"
        group = f"g{n // group_size}" if group_size > 1 else None
        rows.append(ExampleRow(f"r{n}", text, None, (label,), group, split=split))
    return rows


def with_wrong_labels(
    rows: Sequence[ExampleRow], share: float, *, seed: int = 1
) -> tuple[list[ExampleRow], set[str]]:
    """The rows with a share of the labels made wrong, and the ids of those."""
    rng = random.Random(seed)
    names = sorted({row.references[0] for row in rows})
    wrong = set(rng.sample(range(len(rows)), round(share * len(rows))))
    made = [
        replace(row, references=(rng.choice([x for x in names if x != row.references[0]]),))
        if n in wrong
        else row
        for n, row in enumerate(rows)
    ]
    return made, {rows[n].external_id for n in wrong}


NOUNS = [
    *("invoice", "kettle", "bridge", "garden", "violin", "harbour", "ladder", "saddle", "copper"),
    *("lantern", "meadow", "thunder", "pepper", "castle", "anchor", "basket", "candle", "desert"),
    *("engine", "feather", "goblet", "hammer", "island", "jacket"),
]


def text_rows(n: int = 60, *, seed: int = 0) -> list[ExampleRow]:
    """Summaries that their sources bear out, all whole sentences in English."""
    rng = random.Random(seed)
    rows = []
    for i in range(n):
        a, b, c, d = rng.sample(NOUNS, 4)
        price = 20 + i
        source = (
            f"The customer of the {a} said that the {b} near the {c} was sold for {price} euros, "
            f"and that the {d} is still with them."
        )
        answer = (
            f"The {b} was sold for {price} euros, and the {d} is still there with the customer."
        )
        split = "test" if i % 5 == 4 else "train"
        asked = f"Sum up the call about the {a}, the {c} and case {i * 37} in one sentence."
        rows.append(ExampleRow(f"t{i}", asked, source, (answer,), f"c{i}", split=split))
    return rows
