"""An input as it is shown: who says what, what is folded, and what is left out of a long talk."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from backend.schemas.turns import TurnPlace, transcript, turns_of
from dashboard.components.marked_text import LONGEST_SHOWN, text_html
from dashboard.components.texts import turns as module
from dashboard.components.texts.turns import FOLDED_FROM, input_html, last_turns, left_out


def talk(*said: tuple[str, str]) -> tuple[str, list[TurnPlace]]:
    messages = [{"role": role, "content": content} for role, content in said]
    return transcript(messages), turns_of(messages)


class Tags(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_each_turn_names_its_speaker_and_knows_its_place() -> None:
    text, turns = talk(("system", "Be brief."), ("user", "Zoë?"), ("tool", "{}"), ("critic", "No"))
    shown = last_turns(text, turns)
    assert [turn.name for turn in shown] == ["System", "User", "Tool", "Critic"]
    assert all(text[turn.at : turn.at + len(turn.text)] == turn.text for turn in shown)


@pytest.mark.parametrize(
    ("role", "length", "folded"),
    [("system", FOLDED_FROM, False), ("system", FOLDED_FROM + 1, True), ("user", 9_999, False)],
)
def test_a_long_system_message_is_folded(role: str, length: int, folded: bool) -> None:
    text, turns = talk((role, "x" * length), ("user", "Hi"))
    assert last_turns(text, turns)[0].folded is folded
    assert ("details" in Tags(input_html(text, turns)).tags) is folded


def test_of_a_talk_without_end_the_last_turns_are_shown() -> None:
    text, turns = talk(("user", "first"), ("user", "x" * LONGEST_SHOWN), ("user", "last"))
    shown = last_turns(text, turns)
    assert [turn.text[:5] for turn in shown] == ["xxxxx", "last"]
    assert [turn.cut for turn in shown] == [len("last"), 0]
    page = Tags(input_html(text, turns)).text
    assert "1 earlier turn is not shown." in page
    assert "4 more characters are not shown." in page


def test_of_very_many_turns_the_last_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_TURNS", 2)
    text, turns = talk(("user", "a"), ("user", "b"), ("assistant", "c"), ("user", "d"))
    shown = last_turns(text, turns)
    assert [turn.text for turn in shown] == ["c", "d"]
    assert left_out(shown, turns) == "2 earlier turns are not shown."


def test_turns_are_a_list_of_text_whatever_they_say() -> None:
    text, turns = talk(("user", "</li></ol><img src=x>\x1b[1m"), ("user", "<script>"))
    page = Tags(input_html(text, turns))
    assert page.tags == ["ol", *["li", "p", "div"] * 2]
    assert "</li></ol><img src=x>␛[1m" in page.text
    assert 'role="list"' in input_html(text, turns).replace("'", '"')


def test_any_other_input_is_one_text() -> None:
    assert input_html("User: Hi", [], kind="small") == text_html("User: Hi", kind="small")
