"""Planted errors of whole parts: something that matters dropped, a sentence of no source put in."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from evaluators.checks.facts.numerals import words_of
from evaluators.checks.planting.plant_ground import Ground, TextEdit, stems_of
from evaluators.checks.text.claims import split_sentences

_LIST = re.compile(
    r"(?P<first>[^\s,.;:]{1,40})(?P<more>(?:, [^,.;:\n]{1,80}){1,20}),?"
    r" (?P<last>(?:and|or|und|oder) [^,.;:\n]{1,80})"
)
_PAIR = re.compile(r"(,? (?:and|und) [^,.;:\n]{3,60})(?=[.;\n]|$)")
_CLAUSE = re.compile(
    r"(, (?:but|and|while|although|whereas|because|since|which|who|with|without|aber|und|während|"
    r"obwohl|weil|da|wobei) [^.;:\n]{8,160})(?=[.;\n]|$)"
)
_BOTH = re.compile(r"\b(?:both|between|either|sowohl|zwischen|entweder)\b", re.IGNORECASE)
_LOOKED_AT = 2000  # code points of what stays, which are enough to see that something does
LEAST_KEPT = 1  # words of content that must stay in the output


def find_omissions(ground: Ground, rng: random.Random) -> Iterator[TextEdit]:
    """Sentences, clauses and list items that hold what the source holds."""
    for edit in (*_sentences(ground), *_members(ground), *_clauses(ground)):
        dropped = ground.output[edit.start : edit.end]
        rest = ground.output[: edit.start] + ground.output[edit.end :]
        if len(stems_of(rest[:_LOOKED_AT])) >= LEAST_KEPT and _matters(ground, dropped):
            yield edit


def _matters(ground: Ground, dropped: str) -> bool:
    """Whether words of content of it stand in the source, and not only in what stays."""
    stems = stems_of(dropped)
    told = stems & stems_of(ground.source)
    return bool(told) and len(told) >= 0.5 * len(stems)


def _sentences(ground: Ground) -> Iterator[TextEdit]:
    """A whole sentence with the space before it; the first only where another follows."""
    places = ground.sentences
    if len(places) < 2:
        return
    for i, (start, end) in enumerate(places):
        if i:
            yield TextEdit(places[i - 1][1], end, "", 1)
        elif not ground.output[start:end].endswith(":"):
            yield TextEdit(start, places[1][0], "", 1)


def _members(ground: Ground) -> Iterator[TextEdit]:
    """One member of a list in the middle, with its comma; or the second of two."""
    for m in _LIST.finditer(ground.output):
        for item in re.finditer(r", [^,]+", m["more"]):
            at = m.start("more")
            if len(item[0]) < 40:
                yield TextEdit(at + item.start(), at + item.end(), "")
    for m in _PAIR.finditer(ground.output):
        start, _ = ground.sentence_at(m.start())
        before = ground.output[start : m.start()]
        if "," not in before and not _BOTH.search(before):
            yield TextEdit(*m.span(1), "")


def _clauses(ground: Ground) -> Iterator[TextEdit]:
    for m in _CLAUSE.finditer(ground.output):
        yield TextEdit(*m.span(1), "")


_TEMPLATES = {
    "en": (
        "This was confirmed in writing on {day} {month}.",
        "A second opinion was obtained {n} weeks ago.",
        "The whole amount of ${n}50 was refunded.",
        "A follow-up has been arranged in {n} weeks.",
        "It had already happened {n} times before.",
        "All of this was witnessed by a neighbor.",
        "The costs are covered by the insurance.",
    ),
    "de": (
        "Dies wurde am {day}. {month} schriftlich bestätigt.",
        "Ein Folgetermin ist in {n} Wochen vereinbart.",
        "Der Betrag von {n}50 Euro wurde vollständig erstattet.",
        "Das war zuvor schon {n}-mal vorgekommen.",
        "Die Kosten übernimmt die Versicherung.",
    ),
}
_MONTHS = {"en": ("March", "June", "October"), "de": ("März", "Juni", "Oktober")}
_STATEMENT = re.compile(r"[A-ZÄÖÜ][^?!\n\"“”:]{20,220}\.")
_HANGING = re.compile(
    r"(?:However|Consequently|Thus|Hence|But|And|Also|Then|This|These|That|Those|Therefore|Both|"
    r"Aber|Und|Dies\w*|Das|Danach|Auch)\b"
)
FAMILIAR = 0.5  # a sentence of which the source has so many words might be true of it


def find_insertions(ground: Ground, rng: random.Random) -> Iterator[TextEdit]:
    """A sentence of another document or a template, after any sentence of the output."""
    places = [end for start, end in ground.sentences if ground.output[start:end][-1] in ".!?"]
    if not places:
        return
    known = stems_of(ground.source) | stems_of(ground.output)
    for rank, sentence in _strange(ground, rng):
        stems = stems_of(sentence)
        if stems and len(stems & known) < FAMILIAR * len(stems) and sentence not in ground.output:
            yield TextEdit(at := rng.choice(places), at, " " + sentence, rank)


def _strange(ground: Ground, rng: random.Random) -> Iterator[tuple[int, str]]:
    donors = rng.sample(list(ground.donors), min(8, len(ground.donors)))
    for text in donors:
        for start, end in split_sentences(text):
            sentence = text[start:end]
            if _STATEMENT.fullmatch(sentence) and not _HANGING.match(sentence):
                yield 0, sentence
    for template in _TEMPLATES[ground.language]:
        month = rng.choice(_MONTHS[ground.language])
        filled = template.format(day=rng.randint(2, 28), month=month, n=rng.randint(2, 9))
        if not words_of(filled) <= ground.told.words:
            yield 1, filled
