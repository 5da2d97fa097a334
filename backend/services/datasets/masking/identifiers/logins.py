"""User names: those that are announced, and those that are made of the name of somebody.

`akowalczyk`, `anna.kowalczyk`, `kowalczyk7` are found wherever they stand, once the document has
named Anna Kowalczyk; where it has not, after a word such as `login`, by the listed family names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from backend.services.datasets.masking.identifiers.names import (
    NameLists,
    ascii_name,
    shipped_words,
    tokens_of,
)
from backend.services.datasets.masking.identifiers.shapes import (
    FoundIdentifier,
    compile_shape,
    stands_apart,
)

_CANDIDATE = re.compile(r"[A-Za-z][A-Za-z\d]*(?:[._-][A-Za-z\d]+)*")
_ENTRY = re.compile(
    r"\b(?:user(?:\s?name|\s?id)?|log[\s-]?(?:in|on)|sign(?:ed)?[\s-]in|account\sname|benutzer\w*"
    r"|nutzer\w*|anmelde\w*|angemeldet|eingeloggt|(?:zugangs)?kennung|zugang)\b",
    re.IGNORECASE,
)
_ANNOUNCED = (
    r"(?i)(?:^|[^\pL])(?:user\s?names?|user\s?id|log[\s-]?(?:in|on)\s?(?:name|id)|login"
    r"|account\sname|benutzer(?:name|kennung)|nutzer(?:name|kennung)|anmelde(?:name|kennung)"
    r"|(?:zugangs)?kennung)(?:\sthat\syou\s[a-z\s]{3,20}|\syou\s[a-z\s]{3,20})?\s?(?:[:=|]\s?"
    r"|\?\s*\n[^\n:]{2,16}:\s(?:it['’]s\s|it\sis\s|das\sist\s)?)([a-z][a-z\d]*(?:[._-][a-z\d]+)*)",
    r"(?i)(?:signed|logged|log)\s(?:in|on)\sas[\s:|]{1,3}([a-z][a-z\d]*(?:[._-][a-z\d]+)*)",
    r"(?i)(?:angemeldet|eingeloggt)\sals[\s:|]{1,3}([a-z][a-z\d]*(?:[._-][a-z\d]+)*)",
)
_BEFORE, _LEAST, _SURE, _WEIGHT = 30, 4, 6, 0.86


def find_logins(
    text: str, people: Iterable[FoundIdentifier], lists: NameLists
) -> Iterator[FoundIdentifier]:
    """User names in a text in which these people were found."""
    for start, end in _announced(text, lists):
        yield FoundIdentifier("LOGIN", start, end, _WEIGHT)
    spans = [text[one.start : one.end] for one in people]
    named = {ascii_name(t.text) for span in spans for t in tokens_of(span) if len(t.text) > 2}
    enters = _ENTRY.search(text) is not None
    listed = {ascii_name(name) for name in lists.family - lists.ambiguous} if enters else set()
    for match in _CANDIDATE.finditer(text) if named or listed else ():
        word, (start, end) = match[0].lower(), match.span()
        if word in named or not stands_apart(text, start, end):
            continue
        near = enters and _ENTRY.search(text[max(0, start - _BEFORE) : start]) is not None
        own = _is_made_of(word, named, least=_LEAST if near else _SURE)
        if own or (near and (_is_made_of(word, listed, least=_LEAST) or _is_cut_of(word, named))):
            yield FoundIdentifier("LOGIN", start, end, _WEIGHT)


def _announced(text: str, lists: NameLists) -> Iterator[tuple[int, int]]:
    for shape in _ANNOUNCED:
        for match in compile_shape(shape).finditer(text):
            word = match.group(1).lower()
            if (
                len(word) > 2
                and stands_apart(text, *match.span(1))  # no part of `ungültig`
                and word not in lists.never
                and word not in shipped_words()["no_login"].split()
            ):
                yield match.span(1)


def _is_made_of(word: str, names: set[str], *, least: int) -> bool:
    """Whether a user name is a name with a letter before it, digits after it, or another name.

    Args:
        least: letters of a name after a single one, since `shall` is no S. Hall.
    """
    pieces = [re.sub(r"\d+\Z", "", piece) for piece in re.split(r"[._]", word)]
    if len(pieces) > 1:
        known = [piece in names for piece in pieces]
        return any(known) and all(k or len(p) < 2 for k, p in zip(known, pieces, strict=True))
    (stem,) = pieces
    if stem != word and len(stem) >= _LEAST and stem in names:
        return True
    return len(stem) > least and stem[1:] in names


def _is_cut_of(word: str, names: set[str]) -> bool:
    """Whether it is two names cut to three letters: `annkow`."""
    heads = {name[:3] for name in names}
    return len(word) == 6 and word[:3] in heads and word[3:] in heads
