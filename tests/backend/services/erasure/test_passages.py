"""Stretches of an erased text are found whole, cut and quoted; what others share stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.services.erasure.passages import BLACK, SHORTEST, Passages

TEXT = "Odilia Brandtner was seen on the fourth of May. She has a fever and a cough."


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (TEXT, ""),
        (f"before {TEXT} after", "before  after"),
        (TEXT[:30], ""),
        (TEXT[20:60], ""),
        (f"row 3 ({TEXT[5:40]!r}) is odd", "row 3 ('') is odd"),
        (f"{TEXT[:30]} ... {TEXT[40:]}", " ..."),
        (TEXT[:20], TEXT[:20]),
        ("", ""),
        ("nothing of the kind, and long enough to be looked at", None),
    ],
)
def test_stretches_are_blacked_out(value: str, left: str | None) -> None:
    blacked = Passages([TEXT]).blacked(value)
    assert len(blacked) == len(value)
    assert blacked.replace(BLACK, "") == (value if left is None else left)


def test_in_json_values_and_keys_are_searched() -> None:
    passages = Passages([TEXT])
    assert passages.holds({"a": [1, {"b": TEXT}]})
    assert passages.holds({TEXT: 1})
    assert not passages.holds({"a": [1, None, True, "short"]})
    assert TEXT not in str(passages.blacked({TEXT: [TEXT]}))


def test_what_others_share_stays() -> None:
    common = "Summarise the following call for the record: "
    passages = Passages([common + TEXT], is_shared=lambda stretch: stretch in common)
    assert passages.blacked(common + "something else") == common + "something else"
    assert "Odilia" not in passages.blacked(common + TEXT)


def test_short_texts_are_found_as_whole_values_and_single_words_not_at_all() -> None:
    passages = Passages(["Eva Brandtner", "billing"])
    assert passages.blacked("Eva Brandtner") == BLACK * 13
    assert passages.blacked("billing") == "billing"


@given(
    st.text(alphabet="abcde ", min_size=SHORTEST, max_size=80),
    st.integers(0, 60),
    st.text(alphabet="xyz", max_size=30),
    st.text(alphabet="xyz", max_size=30),
)
def test_any_stretch_that_is_long_enough_is_found(
    text: str, start: int, before: str, after: str
) -> None:
    if not text.strip():
        return
    stretch = text[start : start + SHORTEST]
    blacked = Passages([text]).blacked(before + stretch + after)
    if len(stretch) == SHORTEST:
        assert blacked == before + BLACK * SHORTEST + after
