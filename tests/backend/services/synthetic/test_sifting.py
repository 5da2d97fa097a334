"""Which drafts are dropped, and why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from backend.services.datasets.conversations import digest_text
from backend.services.datasets.leaks import LeakSide
from backend.services.synthetic.sifting import Beside, Bounds, DraftText, DropReason, Sifted, sift
from backend.tables.synthetic import DraftShape

SOURCE = (
    "The Amber plan costs 19 euros each month and runs for 12 months. Customers may cancel it by "
    "letter. The router is lent, and it must be sent back within 20 days."
)
GOOD = {"input": "How much does the Amber plan cost?", "answer": "It costs 19 euros each month."}
TESTED = "My invoice of March shows two charges for roaming in Portugal, why is that so?"
TAUGHT = "Please tell me how I can move my number from another provider to yours."


def held_out(text: str, reference: str = "") -> list[LeakSide]:
    side = LeakSide("t1", "test of d version 1", text, digest_text(text, None), owner="o")
    return [side, *([side.answer(reference)] if reference else [])]


BESIDE = Beside(
    held_out=held_out(
        TESTED, "Both charges are right, since you were abroad on two days in March."
    ),
    held_out_inputs={TESTED: "t1 (test)"},
    train=[TAUGHT],
    train_answers=["You can move your number by giving us its code, which is free of charge."],
)


def pair(source: str | None = SOURCE, key: int = 1, **said: Any) -> DraftText:
    return DraftText(key, json.dumps({**GOOD, **said}), source=source)


def reasons(found: Sequence[Sifted]) -> list[str | None]:
    return [one.reason for one in found]


DROPPED = [
    (DraftText(1, None, error="too long"), DropReason.FAILED),
    (DraftText(1, "I cannot say."), DropReason.MALFORMED),
    (DraftText(1, json.dumps({"input": "a\x00b", "answer": "c"})), DropReason.MALFORMED),
    (DraftText(1, "  "), DropReason.EMPTY),
    (pair(answer=" "), DropReason.EMPTY),
    (pair(input=""), DropReason.EMPTY),
    (pair(answer="a " * 5000), DropReason.TOO_LONG),
    (DraftText(1, json.dumps(GOOD), source=SOURCE, is_cut=True), DropReason.TOO_LONG),
    (pair(answer="I'm sorry, but I cannot help with that."), DropReason.REFUSAL),
    (pair(answer="It costs 19 euros. " * 40), DropReason.REPETITIVE),
    (pair(source=None, input=TESTED), DropReason.LIKE_HELD_OUT),
    (pair(source=None, input=TESTED.upper().replace("?", " !")), DropReason.LIKE_HELD_OUT),
    (pair(source=None, input=f"Hello there. {TESTED} Best, Ann"), DropReason.LIKE_HELD_OUT),
    (
        pair(
            source=None,
            answer="Both charges are right, since you were abroad on two days in March.",
        ),
        DropReason.LIKE_HELD_OUT,
    ),
    (pair(answer="It costs 29 euros each month."), DropReason.UNGROUNDED),
    (pair(input="How much does the Zircon plan cost in Lisbon?"), DropReason.UNGROUNDED),
    (
        pair(answer="Whales sing under frozen oceans while violins applaud quietly."),
        DropReason.UNGROUNDED,
    ),
    (pair(source=None, input=TAUGHT.replace("Please", "please")), DropReason.LIKE_TRAIN),
    (
        pair(
            source=None,
            answer="You can move your number by giving us its code, which is free of charge.",
        ),
        DropReason.LIKE_TRAIN,
    ),
]


@pytest.mark.parametrize(("written", "reason"), DROPPED)
def test_what_is_unfit_is_dropped_with_its_reason(written: DraftText, reason: DropReason) -> None:
    (found,) = sift([written], BESIDE, shape=DraftShape.PAIR)
    assert found.reason == reason, found.detail


def test_what_is_fit_is_kept_and_said_to_be_unchecked_without_a_source() -> None:
    kept, unchecked = sift(
        [pair(), pair(source=None, key=2, input="May I cancel by telephone, too?")],
        BESIDE,
        shape=DraftShape.PAIR,
    )
    assert reasons([kept, unchecked]) == [None, None]
    assert "unchecked" not in kept.detail
    assert "no source" in unchecked.detail["unchecked"]


def test_an_invented_input_does_not_support_its_own_answer() -> None:
    (found,) = sift(
        [pair(input="Is the Zircon plan 77 euros?", answer="Yes, the Zircon plan is 77 euros.")],
        BESIDE,
        shape=DraftShape.PAIR,
    )
    assert found.reason == DropReason.UNGROUNDED


def test_of_drafts_that_repeat_each_other_the_first_stays() -> None:
    asked = "How many days do customers have until the lent router must be sent back?"
    answer = "It must be sent back within 20 days."
    found = sift(
        [
            pair(key=1, input=asked, answer=answer),
            pair(key=2, input=asked.lower(), answer=answer),
            pair(key=3),
        ],
        Beside(),
        shape=DraftShape.PAIR,
    )
    assert reasons(found) == [None, DropReason.LIKE_DRAFT, None]
    again = sift([pair()], Beside(drafts=[GOOD["input"]]), shape=DraftShape.PAIR)
    assert reasons(again) == [DropReason.LIKE_DRAFT]


def test_a_model_that_writes_one_held_out_text_again_and_again_makes_no_template_of_it() -> None:
    reworded = TESTED.replace("shows", "has")
    names = ("Ann", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hal", "Ida", "Jo") * 4
    texts = [f"{reworded} {name}" for name in names]
    found = sift(
        [pair(source=None, key=n, input=text) for n, text in enumerate(texts)],
        BESIDE,
        shape=DraftShape.PAIR,
    )
    assert {one.reason for one in found} == {DropReason.LIKE_HELD_OUT}


def test_answers_to_one_input_are_held_against_each_other_by_their_documents() -> None:
    other = SOURCE.replace("Amber", "Birch").replace("19", "24")
    ask = "Say what the sheet says of the price."
    found = sift(
        [
            DraftText(1, "It costs 19 euros each month.", source=SOURCE, given_input=ask),
            DraftText(2, "It costs 24 euros each month.", source=other, given_input=ask),
            DraftText(3, "The plan costs 19 euros.", source=SOURCE, given_input=ask),
        ],
        Beside(),
        shape=DraftShape.ANSWER,
    )
    assert reasons(found) == [None, None, DropReason.LIKE_DRAFT]
    assert {one.input for one in found} == {ask}


def test_an_encoder_finds_what_words_do_not() -> None:
    def encode(texts: Sequence[str], /) -> Any:
        import numpy as np

        return np.array([[1.0, 0.0] if "roam" in t or "abroad" in t else [0.0, 1.0] for t in texts])

    asked = "What are these two fees for calls from abroad?"
    written = [pair(source=None, input=asked)]
    by_words = sift(written, BESIDE, shape=DraftShape.PAIR)
    by_meaning = sift(written, BESIDE, shape=DraftShape.PAIR, encode=encode)
    assert (reasons(by_words), reasons(by_meaning)) == ([None], [DropReason.LIKE_HELD_OUT])
    assert by_meaning[0].detail["kind"] == "meaning"


def test_how_much_overlap_is_asked_for_is_a_bound() -> None:
    written = [pair(answer="Monthly, customers pay 19 euros upfront, billed digitally, promptly.")]
    strict = sift(written, Beside(), shape=DraftShape.PAIR, bounds=Bounds(least_overlap=0.95))
    loose = sift(written, Beside(), shape=DraftShape.PAIR, bounds=Bounds(least_overlap=0.0))
    assert strict[0].reason == DropReason.UNGROUNDED
    assert "words_in_source" in strict[0].detail
    assert loose[0].reason != DropReason.UNGROUNDED or "unsupported" in loose[0].detail
