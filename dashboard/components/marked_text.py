"""Text that models and files gave us, made into HTML that can only be text.

The one place where such text meets HTML. Every piece is escaped after it was cut, so that spans
keep their code-point offsets; control characters and direction overrides are shown as symbols,
because they could hide or reorder what an expert judges. Knows nothing of pages or of the API.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

KEPT_CONTROLS = frozenset("\n\t")
DIRECTION_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
LONGEST_SHOWN = 200_000


@dataclass(frozen=True, slots=True)
class Flag:
    """A stretch of a text that something doubts, with the reason. Offsets are code points."""

    start: int
    end: int
    reason: str


def visible(text: str) -> str:
    """The text with a symbol in place of each character that cannot be seen or that reorders.

    Control characters become control pictures (ESC is shown as ␛), direction overrides and other
    format characters their code point in brackets. Line breaks and tabs stay; CR LF is one break.
    """
    return "".join(map(_visible_character, text.replace("\r\n", "\n")))


def _visible_character(character: str) -> str:
    code = ord(character)
    if code < 0x20 and character not in KEPT_CONTROLS:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if character in DIRECTION_CONTROLS or 0x80 <= code < 0xA0 or 0xD800 <= code < 0xE000:
        return f"\u27e8U+{code:04X}\u27e9"
    return character


def unwrapped(text: str) -> str:
    """Prose without the line breaks of its source file; blank lines and list items stay."""
    return re.sub(r"(?<=\S)\n[ \t]*(?![ \t\n]|[-*•] |\d+[.)] )", " ", text.strip())


def text_html(text: str, *, kind: str = "") -> str:
    """A block that shows the text and nothing else, line breaks kept."""
    shown, rest = text[:LONGEST_SHOWN], len(text) - LONGEST_SHOWN
    return _block(_escape(shown), kind=kind, cut=rest)


def marked_html(text: str, flags: Sequence[Flag], *, kind: str = "output") -> str:
    """A block that shows the text with its flags marked and numbered.

    Each mark carries its number as text and its reason for screen readers, so that colour is
    never the only sign. Flags outside the text are cut to it; of overlapping ones the later
    begins where the earlier ends.
    """
    shown, rest = text[:LONGEST_SHOWN], len(text) - LONGEST_SHOWN
    pieces, at = [], 0
    for number, flag in enumerate(in_order(flags), start=1):
        start, end = max(at, flag.start), min(len(shown), flag.end)
        if start >= end:
            continue
        pieces += [_escape(shown[at:start]), _mark(shown[start:end], number, flag.reason)]
        at = end
    return _block("".join([*pieces, _escape(shown[at:])]), kind=kind, cut=rest)


def flag_list_html(text: str, flags: Sequence[Flag]) -> str:
    """The flags of a text as a numbered list: what was written, and why it is doubted."""
    rows = "".join(f"<li>{_flag_line(text, flag)}</li>" for flag in in_order(flags))
    return f"<ol class='strop-flags'>{rows}</ol>"


def _flag_line(text: str, flag: Flag) -> str:
    """What was written and why it is doubted; not twice when the reason quotes it already."""
    written = text[flag.start : flag.end]
    reason = f"<span class='strop-reason'>{_escape(flag.reason)}</span>"
    if written and written in flag.reason:
        return reason
    return f"<q dir='auto'>{_escape(written)}</q> {reason}"


def in_order(flags: Iterable[Flag]) -> list[Flag]:
    """The flags by place; the order in which they are numbered."""
    return sorted(flags, key=lambda flag: (flag.start, flag.end))


def _mark(text: str, number: int, reason: str) -> str:
    label = _escape(f"flag {number}: {reason}")
    return (
        f"<mark class='strop-flag' title='{_escape(reason)}' aria-label='{label}'>{_escape(text)}"
        f"<sup aria-hidden='true'>{number}</sup></mark>"
    )


def _block(body: str, *, kind: str, cut: int) -> str:
    note = f"<p class='strop-cut'>{cut:,} more characters are not shown.</p>" if cut > 0 else ""
    return f"<div class='strop-text {html.escape(kind)}' dir='auto'>{body}</div>{note}"


def _escape(text: str) -> str:
    return html.escape(visible(text), quote=True)


def plain(text: str) -> str:
    """One line for a label that Streamlit would read as Markdown: its signs are escaped."""
    line = " ".join(visible(text).split())
    signs = {c for c in line if c.isascii() and unicodedata.category(c)[0] in "PS"}
    return "".join(f"\\{c}" if c in signs else c for c in line)
