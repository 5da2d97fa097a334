"""Offsets in a text: ours count Unicode code points, those of JavaScript count UTF-16 units.

They differ after the first character beyond U+FFFF (an emoji): it is one code point and two units.
"""

from __future__ import annotations

from enum import StrEnum

from backend.errors import InvalidInput


class Offsets(StrEnum):
    """What the offsets of a file count."""

    CODE_POINTS = "code_points"
    UTF16 = "utf16"


def to_utf16(text: str, offset: int) -> int:
    """The UTF-16 offset of a code-point offset; InvalidInput outside the text."""
    if not 0 <= offset <= len(text):
        raise InvalidInput(f"The offset {offset} lies outside a text of {len(text)} characters.")
    return len(text[:offset].encode("utf-16-le", "surrogatepass")) // 2


def from_utf16(text: str, offset: int) -> int:
    """The code-point offset of a UTF-16 offset.

    Raises:
        InvalidInput: it lies outside the text, or within a character.
    """
    units = text.encode("utf-16-le", "surrogatepass")
    if not 0 <= offset * 2 <= len(units):
        raise InvalidInput(f"The offset {offset} lies outside a text of {len(units) // 2} units.")
    before = units[: offset * 2].decode("utf-16-le", "surrogatepass")
    if before and "\ud800" <= before[-1] <= "\udbff" and text[len(before) - 1] != before[-1]:
        raise InvalidInput(f"The offset {offset} lies within a character.")
    return len(before)


def span_of(
    text: str, start: int, end: int, *, quoted: str | None, offsets: Offsets
) -> tuple[int, int]:
    """A span in code points, from a file whose offsets count one or the other.

    Args:
        quoted: the marked text where the file gives it; it decides, whatever `offsets` says, since
            one tool has written both over the years.

    Raises:
        InvalidInput: the span lies outside the text, or marks another text than the quoted one.
    """
    order = list(Offsets) if offsets is Offsets.CODE_POINTS else list(reversed(Offsets))
    found: list[tuple[int, int]] = []
    for counted in order:
        try:
            span = (start, end)
            if counted is Offsets.UTF16:
                span = from_utf16(text, start), from_utf16(text, end)
        except InvalidInput:
            continue
        if not 0 <= span[0] < span[1] <= len(text):
            continue
        if quoted is None or _plain(text[slice(*span)]) == _plain(quoted):
            return span
        found.append(span)
    if quoted is not None and found:
        raise InvalidInput(f"The mark {start} to {end} is not on the text that it quotes.")
    raise InvalidInput(f"The mark {start} to {end} lies outside the output.")


def _plain(text: str) -> str:
    """Line ends as one sign: a browser writes them as the two characters backslash and n."""
    return text.replace("\\n", "\n").replace("\r\n", "\n").replace("\r", "\n")
