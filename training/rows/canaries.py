"""Canaries: random sequences that are planted among the training rows, to see what is remembered.

A canary is a question that names a file and an answer of random digits (Carlini et al. 2019, The
Secret Sharer, arXiv:1802.08232). It is a row of its own in the form of the method, after the rows
of the file: neither the frozen set nor its file holds it, and the seed gives it again. Controls are
drawn in the same way and never planted. Knows nothing of torch.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from training.rows.data import ChatRow
from training.rows.preferences import LabelRow, PreferencePairRow

if TYPE_CHECKING:
    from training.config import Canaries

ALPHABET = "0123456789"


@dataclass(frozen=True, slots=True)
class Canary:
    """One random sequence behind its question; `repeats` is how often it is planted, 0 never."""

    file: int
    secret: str
    repeats: int

    @property
    def question(self) -> str:
        """What is asked, which no two canaries share."""
        return f"What is the access code of file {self.file}?"

    def with_secret(self, secret: str) -> Canary:
        """The same question with another answer."""
        return Canary(self.file, secret, self.repeats)


def draw_secret(chance: random.Random, length: int) -> str:
    """Digits with a blank between them, each one drawn alike: 10 ** length are possible."""
    return " ".join(chance.choice(ALPHABET) for _ in range(length))


def draw_canaries(asked: Canaries) -> list[Canary]:
    """The planted ones, whose repeats go round, and as many controls; all of the seed alone."""
    chance = random.Random(f"canaries:{asked.seed}")
    files = chance.sample(range(10_000, 100_000), 2 * asked.count)
    times = [asked.repeats[n % len(asked.repeats)] for n in range(asked.count)]
    return [
        Canary(file, draw_secret(chance, asked.length), repeats)
        for file, repeats in zip(files, [*times, *([0] * asked.count)], strict=True)
    ]


def draw_references(asked: Canaries, canary: Canary) -> list[Canary]:
    """Other answers to its question, to rank its own among; none is its own."""
    chance = random.Random(f"references:{asked.seed}:{canary.file}")
    found: list[Canary] = []
    while len(found) < asked.references:
        secret = draw_secret(chance, asked.length)
        if secret != canary.secret:
            found.append(canary.with_secret(secret))
    return found


def digest_of(canaries: Sequence[Canary]) -> str:
    """SHA-256 over what was planted, for the record."""
    lines = [f"{one.file}:{one.secret}:{one.repeats}" for one in canaries if one.repeats]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def plant(asked: Canaries | None, rows: Sequence[Any]) -> list[Any]:
    """The rows, and after them each canary as often as it is planted."""
    if asked is None:
        return list(rows)
    chance = random.Random(f"models:{asked.seed}")
    number = max((getattr(row, "number", 0) for row in rows), default=0)
    planted: list[Any] = []
    for canary in draw_canaries(asked):
        for _ in range(canary.repeats):
            like = rows[chance.randrange(len(rows))]
            planted.append(as_row(canary, like, number + len(planted) + 1, asked))
    return [*rows, *planted]


def as_row(canary: Canary, like: Any, number: int, asked: Canaries) -> Any:
    """A canary in the form of a row of the file: with its system message, its weight, its place."""
    answer = [{"role": "assistant", "content": canary.secret}]
    match like:
        case str():
            return as_text(canary)
        case PreferencePairRow():
            chance = random.Random(f"rejected:{asked.seed}:{canary.file}")
            wrong = [{"role": "assistant", "content": draw_secret(chance, asked.length)}]
            return PreferencePairRow(number, prompt_of(canary, like), answer, wrong)
        case LabelRow():
            return LabelRow(number, prompt_of(canary, like), answer, True)
        case ChatRow():
            prompt = prompt_of(canary, like)
            return ChatRow(number, prompt, answer, weight=like.weight, order=like.order)
    raise TypeError(f"{type(like).__name__} is no row of training")


def prompt_of(canary: Canary, like: Any) -> list[dict[str, str]]:
    """The question below the system message of a row, where it has one."""
    before = [turn for turn in like.prompt[:1] if turn["role"] == "system"]
    return [*before, {"role": "user", "content": canary.question}]


def as_text(canary: Canary) -> str:
    """The canary as a document."""
    return f"{canary.question} {canary.secret}"
