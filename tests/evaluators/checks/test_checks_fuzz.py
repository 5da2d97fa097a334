"""Grounding on any text: spans lie inside, nothing raises, the same text gives the same claims."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.checks.grounding.grounding import find_claims
from evaluators.checks.text.claims import listed
from tests.depth import examples

PIECES = st.sampled_from(
    [
        *listed(
            "no not n't denies without never any fever pain chest he she the patient customer was "
            "has refunded paid Anna Ben from to by mother father my diabetes total 50 EUR 30 and "
            "or but , . ? : ; - No. Yes. Doctor: Patient: I have do you don't 🙂 e\u0301 "
            "שלום \u202e ’ of on if may May longer only İ ß ﬁ"
        ),
        "\n",
    ]
)
TEXTS = st.lists(PIECES, max_size=40).map(" ".join)


@given(TEXTS | st.text(max_size=120), TEXTS | st.text(max_size=120))
@settings(max_examples=examples(600), deadline=None)
def test_spans_lie_inside_and_nothing_raises(output: str, source: str) -> None:
    claims = find_claims(output, source)
    assert all(0 <= c.start < c.end <= len(output) for c in claims)
    assert all(a.end <= b.start for a, b in pairwise(claims))
    assert claims == find_claims(output, source)


@given(TEXTS)
@settings(max_examples=examples(400), deadline=None)
def test_a_text_never_contradicts_itself(text: str) -> None:
    assert [c for c in find_claims(text, text) if c.problem] == []


HOSTILE = [
    "no fever, ",
    "denies ",
    "he has not ",
    "Any pain? No. ",
    "Anna paid Ben ",
    "Anna ",
    "from a to b ",
    "the patient was called by the ",
    "My mother has diabetes. ",
    "A. ",
    "no x\n",
    "x: no\n",
    "\u202eno fever\u202c ",
    "e\u0301\u0301\u0301 not 🙂 ",
    "50 EUR in total ",
    "n't",
    "don",
]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "piece", [*HOSTILE[:5], *(pytest.param(one, marks=pytest.mark.deep) for one in HOSTILE[5:])]
)
def test_no_text_takes_forever(piece: str) -> None:
    text = piece * (60_000 // len(piece))
    assert all(c.end <= len(text) for c in find_claims(text, text[: len(text) // 2]))


@pytest.mark.timeout(120)
def test_many_different_denials_end_soon() -> None:
    """Quadratic work would take many minutes here, not seconds."""
    words = [
        f"{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}{chr(97 + i // 676 % 26)}x"
        for i in range(8_000)
    ]
    output = " ".join(f"He has {word}." for word in words)
    source = " ".join(f"He has no {word}." for word in words)
    assert sum(c.problem is not None for c in find_claims(output, source)) > 5_000
