"""NEVER_FIRST, by which sentences are passed over unread, agrees with `_core` and `_split`."""

from __future__ import annotations

import pytest

from evaluators.checks.contradictions import polarity
from evaluators.checks.contradictions.denials import JOINS, NEVER_FIRST, TRIGGERS, _core, _split
from evaluators.checks.contradictions.polarity import denied_phrases
from evaluators.checks.facts.numerals import words_of
from evaluators.checks.text.content import stems_of
from evaluators.checks.text.statements import Word, stem_word

SENTENCES = [
    "She denies pain.",
    "She denies having any recent chest pain, fever or chills on exertion.",
    "There is no fever with chills, and no of the in rash.",
    "He has never smoked cigarettes.",
    "There was no evidence of edema or of pneumonia.",
    "Without any really recent rash, itch / swelling & redness.",
    "Do you have any cough or wheezing? No.",
    "Negative for really very bad headaches.",
]


def word(text: str) -> Word:
    return Word(text, stem_word(text))


@pytest.mark.parametrize("text", sorted(NEVER_FIRST))
def test_no_phrase_begins_with_such_a_word(text: str) -> None:
    words = [word(text), word("fever"), word("edema")]
    chunks, _ = _split(words, 0, len(words))
    for chunk in chunks:
        core, _, _ = _core(words, chunk)
        assert [words[i].text for i in core[:1]] in ([], ["fever"])


def test_every_other_word_may_begin_one_or_is_none() -> None:
    """What `_core` skips and NEVER_FIRST lacks costs a reading; what it has too much, a finding."""
    for text in sorted(TRIGGERS - NEVER_FIRST - {"n't", "n’t"}):
        words = [word(text), word("edema")]
        assert _core(words, range(2))[0][:1] == [0], text
    assert JOINS <= NEVER_FIRST


def test_what_is_passed_over_unread_denies_nothing_that_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = [
        (text, stems)
        for text in SENTENCES
        for stems in [
            stems_of(words_of(text)),
            frozenset(),
            *(frozenset({stem_word(one)}) for one in words_of(text)),
        ]
    ]
    found = [denied_phrases(*one) for one in asked]
    assert sum(map(bool, found)) >= 2 * len(SENTENCES)
    monkeypatch.setattr(polarity, "NEVER_FIRST", frozenset())
    assert found == [denied_phrases(*one) for one in asked]
