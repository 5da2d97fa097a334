"""A conversation as one text: every turn is found again in it, counted in code points."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.schemas.turns import transcript, turns_of

SAID = {
    "two turns": [("user", "Hi"), ("assistant", "Yes?")],
    "system first": [("system", "Be brief."), ("user", "Hi")],
    "a tool": [("user", "Who?"), ("tool", '{"name": "Zoë"}')],
    "beyond the first plane": [("user", "👩\u200d⚕️ Zoe\u0308"), ("user", "🇩🇪")],
    "blank lines and labels within": [("user", "a\n\nAssistant: b"), ("assistant", "\n\nUser: ")],
    "an empty turn": [("user", ""), ("assistant", "x")],
}
ROLES = st.sampled_from(["system", "user", "assistant", "tool"])
SPOKEN = st.tuples(ROLES, st.text(max_size=8))


def messages(said: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in said]


@pytest.mark.parametrize("said", SAID.values(), ids=SAID.keys())
def test_each_turn_is_a_stretch_of_the_transcript(said: list[tuple[str, str]]) -> None:
    text = transcript(messages(said))
    assert [(t.role, text[t.start : t.end]) for t in turns_of(messages(said))] == said


@given(said=st.lists(SPOKEN, max_size=6))
def test_whatever_is_said(said: list[tuple[str, str]]) -> None:
    text = transcript(messages(said))
    assert [(t.role, text[t.start : t.end]) for t in turns_of(messages(said))] == said


def test_the_words_between_name_who_speaks() -> None:
    assert transcript(messages(SAID["system first"])) == "System: Be brief.\n\nUser: Hi"


def test_what_is_no_conversation_has_no_turns() -> None:
    assert turns_of(None) == []
