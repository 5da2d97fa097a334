"""Plants errors in an output that its source supports: one of each kind that it gives occasion for.

A planted error tells how much a check finds of what it should, and teaches a checker what to find.
The new statement is not one of the source: what replaces a word, a number or a name is not told
there beside the words that stay. It is planted in English and German only, in the language of the
source, with casing, inflection and articles kept. An omission is the exception: what remains is
true, and something that the source holds is missing (`KINDS["omission"].misstates` is False).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evaluators.checks.planting.plant_entities import find_entities, find_roles
from evaluators.checks.planting.plant_ground import (
    Finder,
    Ground,
    TextEdit,
    fit_article,
    source_says,
    survey,
)
from evaluators.checks.planting.plant_numbers import find_dates, find_numbers, find_units
from evaluators.checks.planting.plant_parts import find_insertions, find_omissions
from evaluators.checks.planting.plant_polarity import find_antonyms, find_directions, find_negations
from evaluators.errors import InvalidValues

MOST_TRIED = 300  # edits of one kind, so that no text takes forever
LONGEST = 50_000  # a longer output is no output, and is left alone


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """A kind of planted error.

    Attributes:
        find: edits that make such an error, in any order.
        says: what is done, in words.
        misstates: the new text says something that the source does not support.
    """

    find: Finder
    says: str
    misstates: bool = True


KINDS: Mapping[str, ErrorKind] = {
    "entity": ErrorKind(find_entities, "a name or thing swapped for another of its kind"),
    "number": ErrorKind(find_numbers, "a number that the source does not give for that thing"),
    "unit": ErrorKind(find_units, "another unit of the same dimension"),
    "date": ErrorKind(find_dates, "another day, month, year, weekday or time"),
    "negation": ErrorKind(find_negations, "a denial put in or taken out"),
    "antonym": ErrorKind(find_antonyms, "a word swapped for its opposite"),
    "direction": ErrorKind(find_directions, "up for down, more for less, before for after"),
    "role": ErrorKind(find_roles, "who did it and to whom it was done exchanged"),
    "omission": ErrorKind(
        find_omissions, "a sentence, clause or list item dropped", misstates=False
    ),
    "insertion": ErrorKind(
        find_insertions, "a sentence of another document, or of no source, put in"
    ),
}


@dataclass(frozen=True, slots=True)
class Planted:
    """An output with one error in it.

    Attributes:
        text: the output with the error.
        start, end: code points of the changed stretch in `text`; for an omission the point where
            something is missing.
        was: what stood there; empty for an insertion.
    """

    text: str
    start: int
    end: int
    kind: str
    was: str


def plant_errors(
    output: str,
    source: str,
    *,
    kinds: Sequence[str] = tuple(KINDS),
    seed: int,
    donors: Sequence[str] = (),
) -> list[Planted]:
    """At most one planted error of each kind that the text gives occasion for.

    Deterministic by seed, output and source; what is planted of one kind does not depend on which
    other kinds are asked for. A text in which nothing can be planted (empty, very long, in another
    language or script than English and German, or in another than its source) gives an empty list.

    Args:
        donors: outputs of other documents, from which names and whole sentences may be taken.

    Raises:
        InvalidValues: a kind that is none of KINDS; the message lists them.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise InvalidValues(
                f"There is no kind of planted error named {kind!r}.",
                hint=f"Kinds: {', '.join(KINDS)}.",
            )
    ground = survey(output, source, donors) if len(output) <= LONGEST else None
    if ground is None:
        return []
    found = (_plant(ground, kind, seed) for kind in dict.fromkeys(kinds))
    return [planted for planted in found if planted is not None]


def _plant(ground: Ground, kind: str, seed: int) -> Planted | None:
    """The first edit, the hardest to see through first, that makes an error."""
    mark = hashlib.sha256(f"{ground.output}\0{ground.source}".encode("utf-8", "replace"))
    rng = random.Random(f"{seed}|{kind}|{mark.hexdigest()}")
    edits = list(KINDS[kind].find(ground, rng))
    rng.shuffle(edits)
    for edit in sorted(edits, key=lambda edit: edit.rank)[:MOST_TRIED]:
        if not _is_told_already(ground, edit):
            return _apply(ground, fit_article(ground.output, edit, ground.language), kind)
    return None


def _is_told_already(ground: Ground, edit: TextEdit) -> bool:
    """Whether the source says the new words beside those that stay of the sentence."""
    if not edit.near:
        return False
    start, end = ground.sentence_at(edit.start)
    around = ground.output[start : edit.start] + " " + ground.output[edit.end : end]
    return source_says(ground, edit.near, around)


def _apply(ground: Ground, edit: TextEdit, kind: str) -> Planted | None:
    text = ground.output[: edit.start] + edit.new + ground.output[edit.end :]
    if text == ground.output or not text.strip():
        return None
    was = ground.output[edit.start : edit.end]
    return Planted(text, edit.start, edit.start + len(edit.new), kind, was)
