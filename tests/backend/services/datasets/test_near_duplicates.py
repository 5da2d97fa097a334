"""Texts that stand on both sides of a split are found under other words, and others are not."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.services.datasets.near_duplicates import (
    DuplicateKind,
    find_near_duplicates,
    near_duplicate_pairs,
)

LONG = (
    "The patient came in with a cough that began nine days ago after a holiday in the mountains "
    "and says that it is worse at night, that she has no fever and no pain in the chest, and that "
    "her brother had the same in spring before his asthma was found"
)
REFUND = "please send the money for my old phone back to account number"
INSTRUCTION = (
    "Write one sentence that sums up the call below, and name the customer and the sum.\n\n"
)


@pytest.mark.parametrize(
    ("train", "held_out", "kind"),
    [
        ("Where is my card?", "Where is my card?", DuplicateKind.EXACT),
        ("Where is my card?", "where is my CARD", DuplicateKind.FOLDED),
        ("caf\u00e9 au lait", "cafe\u0301 au lait!", DuplicateKind.FOLDED),
        ("My card has not arrived.", "My card has not arrived yet.", DuplicateKind.NEAR),
        (LONG, LONG.replace("a holiday", "one holiday"), DuplicateKind.NEAR),
        (f"{LONG}. {LONG[::-1]}", LONG, DuplicateKind.PASSAGE),
        ("Where is my card?", "Why was I charged twice?", None),
        (f"{REFUND} four", f"{REFUND} five", DuplicateKind.NEAR),
        (f"{REFUND} 4", f"{REFUND} 5", None),
        (LONG, " ".join(reversed(LONG.split())), None),
        ("", "Where is my card?", None),
        (
            "\u5361\u7247\u4e0d\u89c1\u4e86",
            "\u5361\u7247\u4e0d\u89c1\u4e86\u3002",
            DuplicateKind.FOLDED,
        ),
    ],
)
def test_kinds(train: str, held_out: str, kind: DuplicateKind | None) -> None:
    found = find_near_duplicates(["something else entirely", train], [held_out])
    assert [(pair.train, pair.kind) for pair in found] == ([(1, kind)] if kind else [])
    assert all(0 < pair.similarity <= 1 for pair in found)


def _cases() -> list[str]:
    goods = ["parcel", "bill", "roof", "lamp", "contract", "refund"]
    words = [*goods, "signal", "router", "desk", "window", "coffee", "train"]
    return [
        f"{words[i % 12]} {words[(i * 5 + 1) % 12]} from {chr(97 + i)}{chr(98 + i)} " * 3
        for i in range(24)
    ]


def test_what_all_texts_share_is_their_template_and_makes_none_alike() -> None:
    texts = _cases()
    prompts = [INSTRUCTION + text for text in texts]
    assert find_near_duplicates(prompts[:12], prompts[12:]) == []
    again = INSTRUCTION + texts[20] + "now"
    found = find_near_duplicates([*prompts[:12], again], prompts[12:])
    assert [(pair.train, pair.held_out, pair.kind) for pair in found] == [
        (12, 8, DuplicateKind.NEAR)
    ]


def test_a_template_of_few_texts_is_no_template() -> None:
    one, other = INSTRUCTION + "lamp", INSTRUCTION + "roof"
    assert [pair.kind for pair in find_near_duplicates([one], [other])] == [DuplicateKind.NEAR]


def test_the_strictest_and_then_the_most_similar_is_named() -> None:
    held_out = [LONG.replace("cough", "cold"), LONG.upper(), LONG]
    (found,) = find_near_duplicates([LONG], held_out)
    assert (found.held_out, found.kind) == (2, DuplicateKind.EXACT)
    (found,) = find_near_duplicates([LONG], held_out[:2])
    assert (found.held_out, found.kind) == (1, DuplicateKind.FOLDED)


def test_pairs_within_one_collection() -> None:
    texts = [LONG, "Where is my card?", LONG.replace("nine", "some"), "where is my card"]
    assert near_duplicate_pairs(texts) == [(0, 2), (1, 3)]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=6), st.lists(st.text(max_size=60), max_size=6))
def test_any_text_is_taken_and_a_copy_is_always_found(
    train: list[str], held_out: list[str]
) -> None:
    found = {pair.train: pair for pair in find_near_duplicates(train, held_out)}
    copies = {i for i, text in enumerate(train) if text in held_out}
    assert copies <= found.keys()
    assert all(found[i].kind is DuplicateKind.EXACT for i in copies)


def test_real_queries_are_told_apart_with_and_without_an_instruction(public_data: Path) -> None:
    def queries(name: str) -> list[str]:
        with (public_data / "banking77" / name).open(encoding="utf-8", newline="") as file:
            return [row["text"] for row in csv.DictReader(file)]

    train, test = queries("train.csv")[::8], queries("test.csv")[::2]
    found = find_near_duplicates(train, test)
    instructed = find_near_duplicates(
        [INSTRUCTION + text for text in train], [INSTRUCTION + text for text in test]
    )
    assert 4 < len(found) < 40  # of 1,251: one word of ten differs, or less
    assert [(p.train, p.held_out) for p in found] == [(p.train, p.held_out) for p in instructed]
