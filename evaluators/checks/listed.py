"""Counts of what is listed: `two friends, Anna and Ben`, and three friends where three are named.

Counting is no invention, so a small number is supported by a list of so many, in the output itself
or, under the same noun, in the source.
"""

from __future__ import annotations

import re

from evaluators.checks.facts import Number

MOST_LISTED = 12
_AND = r"\s(?:and|or|&|und|oder|sowie)\s"
_ITEM = r"[^\n,;:.!?()]{1,60}?"
_LIST = re.compile(rf"({_ITEM}(?:[,;]\s{_ITEM})*),?{_AND}[^\n,;:.!?()]{{1,60}}")
_BETWEEN = re.compile(rf"[,;]\s(?:(?:and|or|und|oder)\s)?|{_AND}")
_OPENS = re.compile(rf"{_ITEM}(?:,|:|\s[-–—]|\s?\()\s?(?:namely\s|nämlich\s)?")
_NOUN = re.compile(r"(?:\s[^\W\d_]+){0,2}?\s([^\W\d_]{3,})")
_BULLET = re.compile(r"(?m)^[ \t]*(?:[-*•–]|\(?\d{1,2}[.)])\s")


def counts_its_list(output: str, number: Number) -> bool:
    """Whether so many things are listed right after the number, or in lines of their own."""
    wanted = _small(number)
    if wanted is None:
        return False
    opening = _OPENS.match(output, number.end)
    if opening is not None and (found := _LIST.match(output, opening.end())) is not None:
        return size_of(found[0]) == wanted
    rest = output[number.end :]
    return ":" in rest[:80] and len(_BULLET.findall(rest)) == wanted


def is_counted_in(output: str, number: Number, source: str) -> bool:
    """Whether the source lists so many of the noun that the number counts."""
    wanted, noun = _small(number), _NOUN.match(output, number.end)
    if wanted is None or noun is None:
        return False
    stem = re.escape(noun[1].rstrip("s").casefold())
    named = rf"(?i)\b{stem}(?:s|es|e|en|n)?\b(?:,|:|\s(?:are|were|is|was|sind))?\s"
    for m in re.finditer(named, source):
        found = _LIST.match(source, m.end())
        if found is not None and size_of(found[0]) == wanted:
            return True
    return False


def size_of(listed: str) -> int:
    """Items of a list in one sentence."""
    return len(_BETWEEN.split(listed))


def _small(number: Number) -> int | None:
    value = number.values[0]
    return int(value) if value.is_integer() and 2 <= value <= MOST_LISTED else None
