"""The texts of one document masked together: input, context, references, messages of one example.

What is masked already is found again: surrogates look like identifiers and are replaced by other
surrogates, so that a second pass changes names but garbles nothing. Placeholders stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from backend.errors import InvalidInput
from backend.services.datasets.masking.identifiers.checks import plain_of
from backend.services.datasets.masking.identifiers.dates import (
    find_ages,
    find_dates,
    puts_day_first,
    weeks_of,
)
from backend.services.datasets.masking.identifiers.draw import Draw
from backend.services.datasets.masking.identifiers.kinds import KINDS
from backend.services.datasets.masking.identifiers.logins import find_logins
from backend.services.datasets.masking.identifiers.names import find_people, name_lists, tokens_of
from backend.services.datasets.masking.identifiers.shapes import (
    FoundIdentifier,
    compile_shape,
    settle,
    stands_apart,
    trimmed,
)
from backend.services.datasets.masking.identifiers.surrogates import (
    Making,
    learn_genders,
    numbered,
    person,
)
from backend.services.datasets.masking.policy import MaskingPolicy
from evaluators.checks.planting.plant_ground import find_language

BETWEEN = "\n\x1e\n"  # between the texts of a document: nothing that is found reaches over it
_PLACEHOLDER = re.compile(r"\[[A-Z][A-Z0-9_]*_\d+\]")
_RUN = re.compile(r"\S+")
_PATTERN_WEIGHT, _ECHO_WEIGHT = 0.95, 0.5
_HEAD = 4_000  # characters by which the language of a document is told


@dataclass(frozen=True, slots=True)
class MaskedSpan:
    """Where a surrogate stands in a masked text, in code points, and of what kind it is."""

    field: str
    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True)
class MaskedDocument:
    """A document masked.

    Attributes:
        texts: the masked texts, by the names of their fields.
        spans: where surrogates stand.
        found: what was replaced: kind, original, and what stands there now.
    """

    texts: Mapping[str, str]
    spans: Sequence[MaskedSpan]
    found: Sequence[tuple[str, str, str]]


def mask_document(
    texts: Mapping[str, str], policy: MaskingPolicy, *, key: bytes, scope: bytes
) -> MaskedDocument:
    """Mask the texts of one document.

    Args:
        key: the key of the project's surrogates.
        scope: what surrogates are consistent in; the same scope and text give the same.

    Raises:
        CannotCompute: no surrogate is left, or a pattern took too long.
        InvalidInput: the policy names a model that is not installed.
    """
    joined = BETWEEN.join(texts.values())
    day_first = _reads_day_first(joined, policy)
    findings = find_identifiers(joined, policy, day_first=day_first)
    making = _making(joined, policy, Draw(key, scope), day_first)
    put = _surrogates if policy.replace == "surrogate" else _placeholders
    pairs = zip(findings, put(joined, findings, making), strict=True)
    return _assemble(texts, joined, list(pairs))


def language_of(text: str) -> str | None:
    """`en`, `de`, or None where it is another one or cannot be told."""
    return find_language(text[:_HEAD])


def _reads_day_first(text: str, policy: MaskingPolicy) -> bool:
    if policy.date_order != "auto":
        return policy.date_order == "dmy"
    language = language_of(text) or policy.languages[0]
    return puts_day_first(text, language == "de")


def find_identifiers(text: str, policy: MaskingPolicy, *, day_first: bool) -> list[FoundIdentifier]:
    """Every identifier that the policy masks, in order and without overlap."""
    found = [f for f in _by_kind(text, policy) if f.kind not in KINDS or policy.masks(f.kind)]
    found += [f for f in find_dates(text, day_first=day_first) if policy.masks(f.kind)]
    found += find_ages(text) if policy.masks("AGE") else []
    if policy.masks("PERSON"):
        lists = name_lists(policy.languages, policy.names)
        ents = _model(policy.names_model)(text).ents if policy.names_model else ()
        more = [(e.start_char, e.end_char) for e in ents if e.label_ in ("PERSON", "PER")]
        people = find_people(text, lists, more=[*more, *_named(text, policy.names)])
        found += people
        found += find_logins(text, people, lists) if policy.masks("LOGIN") else []
    barred = [m.span() for m in _PLACEHOLDER.finditer(text)]
    allowed = {_folded(term) for term in policy.allow}
    kept = [
        one
        for one in found
        if "\x1e" not in text[one.start : one.end]
        and _folded(text[one.start : one.end]) not in allowed
        and not any(one.start < end and start < one.end for start, end in barred)
    ]
    return settle([*kept, *_echoes(text, kept)], text)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _by_kind(text: str, policy: MaskingPolicy) -> Iterator[FoundIdentifier]:
    for name, kind in KINDS.items():
        if policy.masks(name) and kind.languages.intersection(policy.languages):
            for finder in kind.finders:
                for start, end, weight in finder(text):
                    yield FoundIdentifier(name, start, end, weight)
    for own in policy.patterns:
        for match in compile_shape(own.pattern).finditer(text):
            if match.end() > match.start():
                yield FoundIdentifier(own.kind, match.start(), match.end(), _PATTERN_WEIGHT)


def _named(text: str, names: Sequence[str]) -> list[tuple[int, int]]:
    """Where names of the policy stand, in whatever case."""
    found = []
    for name in names:
        shape = r"(?i)" + r"[\s-]+".join(re.escape(part) for part in name.split())
        spans = (match.span() for match in compile_shape(shape).finditer(text))
        found += [span for span in spans if stands_apart(text, *span)]
    return found


def _echoes(text: str, findings: Sequence[FoundIdentifier]) -> list[FoundIdentifier]:
    """Numbers found by what announces them, in the places where nothing does."""
    known = {
        plain: one.kind
        for one in findings
        if one.kind not in ("PERSON", "DATE", "BIRTH_DATE", "AGE", "TOWN", "ADDRESS")
        and len(plain := plain_of(text[one.start : one.end])) >= 5
        and sum(ch.isdecimal() for ch in plain) >= 4
    }
    found = []
    for run in _RUN.finditer(text) if known else ():
        start, end = trimmed(text, *run.span())
        if (kind := known.get(plain_of(text[start:end]))) is not None:
            found.append(FoundIdentifier(kind, start, end, _ECHO_WEIGHT))
    return found


@lru_cache(maxsize=2)
def _model(name: str) -> Any:
    """A spaCy model, which calls stretches of a text a person."""
    import spacy

    try:
        return spacy.load(name)
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"The masking policy names the model {name[:80]!r}, which cannot be loaded "
            f"({type(error).__name__}).",
            hint="Install it where imports run, or leave names_model out: names by lists then.",
        ) from None


def _making(text: str, policy: MaskingPolicy, draw: Draw, day_first: bool) -> Making:
    language = language_of(text)
    making = Making(
        draw=draw,
        lists=name_lists(policy.languages, policy.names),
        language=language if language in policy.languages else policy.languages[0],
        days=weeks_of(draw.number("weeks", below=10_000)),
        day_first=day_first,
        words=frozenset(token.folded for token in tokens_of(text)),
        plain=plain_of(text),
    )
    learn_genders(text, making)
    return making


def _surrogates(text: str, findings: Sequence[FoundIdentifier], making: Making) -> list[str]:
    """A surrogate for each: whole names before single ones, so that roles are known."""
    people = [text[f.start : f.end] for f in findings if f.kind == "PERSON"]
    for name in sorted(dict.fromkeys(people), key=lambda one: len(tokens_of(one)) < 2):
        person("PERSON", name, making)
    makers = {kind: of.surrogate for kind, of in KINDS.items()}
    others = numbered()
    return [makers.get(f.kind, others)(f.kind, text[f.start : f.end], making) for f in findings]


def _placeholders(text: str, findings: Sequence[FoundIdentifier], making: Making) -> list[str]:
    """`[KIND_n]`: the same number for the same identifier, and for one person."""
    numbers: dict[str, dict[str, int]] = {}
    people: list[set[str]] = []
    put = []
    for one in findings:
        piece = text[one.start : one.end]
        if one.kind == "PERSON":
            put.append(f"[PERSON_{_person_number(piece, people)}]")
            continue
        known = numbers.setdefault(one.kind, {})
        put.append(f"[{one.kind}_{known.setdefault(plain_of(piece), len(known) + 1)}]")
    return put


def _person_number(name: str, people: list[set[str]]) -> int:
    """Which person of the document a name is: the first who bears all its words, or a new one."""
    words = {t.folded for t in tokens_of(name) if len(t.text) > 1} or {name.casefold()}
    for number, known in enumerate(people, start=1):
        if words <= known or known <= words:
            known |= words
            return number
    people.append(words)
    return len(people)


def _assemble(
    texts: Mapping[str, str], joined: str, put: Sequence[tuple[FoundIdentifier, str]]
) -> MaskedDocument:
    masked: dict[str, str] = {}
    spans: list[MaskedSpan] = []
    offset, place = 0, 0
    for field, text in texts.items():
        parts, length, last = [], 0, offset
        while place < len(put) and put[place][0].end <= offset + len(text):
            one, new = put[place]
            parts += [joined[last : one.start], new]
            length += one.start - last
            spans.append(MaskedSpan(field, length, length + len(new), one.kind))
            length += len(new)
            last, place = one.end, place + 1
        masked[field] = "".join([*parts, joined[last : offset + len(text)]])
        offset += len(text) + len(BETWEEN)
    found = [(one.kind, joined[one.start : one.end], new) for one, new in put]
    return MaskedDocument(masked, spans, found)
