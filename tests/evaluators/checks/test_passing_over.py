"""What is passed over for speed, held against looking everywhere."""

from __future__ import annotations

import random

import pytest

from evaluators.checks.facts import dictated
from evaluators.checks.text.claims import listed, split_sentences
from evaluators.checks.text.statements import transcribe

WORDS = listed(
    "I a b d ten m g o point five six twenty May march two thousand nineteen at night in the "
    "morning this p m no denies Dr. ſ K ı ü it's ’d x1 B? pain. fever!"
)
GAPS = (" ", " ", " ", "\n", "\t", "\x1c", "\u00a0")


def _texts(count: int) -> list[str]:
    rng = random.Random(11)
    made = ["".join(w + rng.choice(GAPS) for w in rng.choices(WORDS, k=12)) for _ in range(count)]
    return [*made, *(text.upper() for text in made[: count // 4])]


def test_what_is_dictated_is_found_as_if_every_step_were_taken() -> None:
    found = 0
    for text in _texts(1500):
        put = text
        for pattern, step, _ in dictated._STEPS if dictated._CUE.search(text) else ():
            put = pattern.sub(step, put)
        assert dictated.written(text) == (None if put == text else put)
        found += put != text
    assert found > 200


@pytest.mark.parametrize("words", [{"no"}, {"no", "pain", "fever"}, {"nothing", "at"}, set()])
def test_sentences_are_sought_as_if_each_were_looked_through(words: set[str]) -> None:
    for text in _texts(200):
        read = transcribe(text)
        holding = [i for i in range(len(read)) if any(word in read.bare(i) for word in words)]
        assert list(read.holding(frozenset(words))) == holding


def test_only_a_full_stop_ends_an_abbreviation() -> None:
    text = "See Dr. Anna? Yes! Dr. Bo\nNo. 5 is it."
    said = [text[a:b] for a, b in split_sentences(text)]
    assert said == ["See Dr. Anna?", "Yes!", "Dr. Bo", "No. 5 is it."]


@pytest.mark.parametrize("gap", [" ", "\t", "\n"])
def test_an_hour_is_found_by_its_letters_alone(gap: str) -> None:
    assert dictated.written(f"at seven a{gap}m") == "at 7 a.m."
