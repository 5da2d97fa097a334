"""Where the source speaks of what an output claims: the stretch itself, in code points."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.checks.grounding.grounding import find_claims
from evaluators.checks.grounding.support import MOST_PLACES, find_support

SOURCE = (
    "👍 Dr. Weber saw Anna Kowalska on 3 May 2026 at 14:30. She takes 3,500 mg ibuprofen and "
    "pays EUR 29.90 a month. Ticket T-48231, 2 kg. The patient denies chest pain.\n"
    "Summarise the visit of Monday."
)


def found(output: str, source: str = SOURCE) -> list[tuple[str, bool, list[str]]]:
    return [
        (output[k.start : k.end], k.supported, [source[p.start : p.end] for p in k.sources])
        for k in find_support(output, source)
    ]


@pytest.mark.parametrize(
    ("output", "links"),
    [
        ("Nothing to check here.", []),
        ("On 2026-05-03.", [("2026-05-03", True, ["3 May 2026"])]),
        ("At 2:30 pm.", [("2:30 pm", True, ["14:30"])]),
        ("It was on Monday.", [("Monday", True, ["Monday"])]),
        ("It was on Friday.", [("Friday", False, [])]),
        ("She takes 3500 mg.", [("3500 mg", True, ["3,500 mg"])]),
        ("She takes 3.5 g.", [("3.5 g", True, ["3,500 mg"])]),
        ("She takes about 3,000 g of it.", [("3,000 g", False, [])]),
        ("It weighs about 2000 g.", [("2000 g", True, ["2 kg"])]),
        ("She pays 29,90 € 👍.", [("29,90 €", True, ["EUR 29.90 a month"])]),
        ("She pays about 30 EUR.", [("30 EUR", True, ["EUR 29.90 a month"])]),
        ("She pays 45 EUR.", [("45 EUR", False, [])]),
        ("She pays 29.90 USD.", [("29.90 USD", False, ["EUR 29.90 a month"])]),
        ("Her ticket is T-48231.", [("T-48231", True, ["T-48231"])]),
        ("It was Anna Kowalska.", [("Anna Kowalska", True, ["Anna Kowalska"])]),
        ("It was Kowalska, Weber's Anna.", [("Kowalska", True, ["Kowalska"]),
                                            ("Weber's Anna", True, ["Weber", "Anna"])]),
        ("It was Doctor Miller.", [("Miller", False, [])]),
        ('She “takes 3,500 mg ibuprofen”.',
         [("takes 3,500 mg ibuprofen", True, ["takes 3,500 mg ibuprofen"])]),
        ("The patient has chest pain.",
         [("chest pain", False, ["The patient denies chest pain."])]),
    ],
)  # fmt: skip
def test_a_claim_has_its_places(output: str, links: list[tuple[str, bool, list[str]]]) -> None:
    assert found(output) == links


def test_every_place_of_a_repeated_fact() -> None:
    assert found("She pays 5 EUR.", "5 EUR now, 5 EUR later") == [
        ("5 EUR", True, ["5 EUR", "5 EUR"])
    ]


def test_a_fact_without_end_has_a_bounded_number_of_places() -> None:
    (link,) = find_support("She pays 5 EUR.", "5 EUR. " * 500)
    assert len(link.sources) == MOST_PLACES


def test_a_combining_mark_and_an_emoji_are_code_points() -> None:
    source = "\U0001f469\u200d\u2695\ufe0f Zoe\u0308 sees 7 patients"
    ((_, supported, places),) = found("She sees 7 patients.", source)
    assert (supported, places) == (True, ["7"])


PIECES = ["Anna", "Miller", "5 EUR", "on 3 May 2026", "T-48", "not", "pain.", "👍", "“", "”", "\n"]
TEXTS = st.lists(
    st.sampled_from([*PIECES, *SOURCE.split()]) | st.text(max_size=3), max_size=25
).map(" ".join)


@given(output=TEXTS, source=TEXTS)
def test_links_are_the_claims_and_lie_in_their_texts(output: str, source: str) -> None:
    links = find_support(output, source)
    claims = find_claims(output, source)
    assert [(k.start, k.end, k.reason) for k in links] == [
        (c.start, c.end, c.problem) for c in claims
    ]
    for link in links:
        ends = 0
        for place in link.sources:
            assert ends <= place.start < place.end <= len(source)
            ends = place.end
