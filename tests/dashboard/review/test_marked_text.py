"""Text is data: whatever it holds, the page shows it as text, and offsets stay code points."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.components.marked_text import (
    Flag,
    flag_list_html,
    marked_html,
    plain,
    text_html,
    unwrapped,
    visible,
)

ALLOWED = {"div", "mark", "sup", "p", "ol", "li", "q", "span"}
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![x](http://evil.example/x.png)",
    "' onmouseover='alert(1)",
    '" onmouseover="alert(1)',
    "&lt;b&gt; &amp;",
    "</div><h1>out</h1>",
    "\x1b[31mred\x1b[0m\x00",
    "\u202eevil\u202c \u2066x\u2069",
    "<!-- comment --><![CDATA[x]]>",
]


class Reader(HTMLParser):
    """What a browser would see: tags, attributes, and the text outside of <sup>."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.marked: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self._open.append(tag)
        if tag == "mark":
            self.marked.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "sup" in self._open:
            return
        self.text += data
        if "mark" in self._open:
            self.marked[-1] += data


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_text(text: str) -> None:
    read = Reader(text_html(text))
    assert read.text == visible(text)
    assert read.tags == {"div"}
    assert read.attributes == {"class", "dir"}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_reasons_stay_reasons(text: str) -> None:
    read = Reader(
        marked_html("abc", [Flag(0, 2, text)]) + flag_list_html("abc", [Flag(0, 2, text)])
    )
    assert read.tags <= ALLOWED
    assert read.attributes <= {"class", "dir", "title", "aria-label", "aria-hidden"}
    assert visible(text) in read.text


@given(
    st.text(max_size=60),
    st.lists(st.tuples(st.integers(0, 70), st.integers(0, 70)), max_size=4),
)
def test_marks_lose_no_character(text: str, places: list[tuple[int, int]]) -> None:
    flags = [Flag(a, b, "why") for a, b in places]
    read = Reader(marked_html(text, flags))
    assert read.text.replace("\r", "") == visible(text).replace("\r", "")
    assert read.tags <= ALLOWED


@pytest.mark.parametrize(
    ("text", "flag", "marked"),
    [
        ("pay 39 EUR", Flag(4, 10, ""), "39 EUR"),
        ("👩‍⚕️ 42 mg", Flag(5, 10, ""), "42 mg"),
        ("e\u0301 42", Flag(3, 5, ""), "42"),
        ("שלום 42", Flag(5, 7, ""), "42"),
        ("<b> 42", Flag(4, 6, ""), "42"),
        ("42", Flag(0, 99, ""), "42"),
    ],
)
def test_offsets_are_code_points(text: str, flag: Flag, marked: str) -> None:
    assert Reader(marked_html(text, [flag])).marked == [marked]


def test_overlapping_flags_are_cut() -> None:
    assert Reader(marked_html("abcdef", [Flag(2, 6, ""), Flag(0, 4, "")])).marked == ["abcd", "ef"]


def test_colour_is_not_the_only_sign() -> None:
    html = marked_html("pay 39 EUR", [Flag(4, 6, "not in the source")])
    assert "<sup aria-hidden='true'>1</sup>" in html
    assert "aria-label='flag 1: not in the source'" in html


def test_a_very_long_text_says_what_is_not_shown() -> None:
    assert "50 more characters are not shown" in text_html("x" * 200_050)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\nb\tc", "a\nb\tc"),
        ("\x1b[0m", "␛[0m"),
        ("\x00\x7f", "␀␡"),
        ("\u202e", "⟨U+202E⟩"),
        ("\ud800", "⟨U+D800⟩"),
        ("é שלום 👍", "é שלום 👍"),
    ],
)
def test_what_cannot_be_seen_gets_a_sign(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_label_is_no_markdown() -> None:
    assert plain("**b** [l](u)\n:red[x] $y$") == (r"\*\*b\*\* \[l\]\(u\) \:red\[x\] \$y\$")


def test_prose_is_unwrapped_and_lists_stay() -> None:
    source = "One\nsentence.\n\n1. first\n   goes on\n2. second\n- third"
    assert unwrapped(source) == "One sentence.\n\n1. first goes on\n2. second\n- third"
