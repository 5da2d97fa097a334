"""What is said aloud supports what is written, and nothing else."""

from __future__ import annotations

import pytest

from evaluators.checks.facts.dictated import written
from evaluators.checks.grounding.grounding import find_claims

SUPPORTED = [
    ("She takes 10 mg of it.", "Patient: I take ten m g of it."),
    ("It is 2.5 mg daily.", "two point five m g once a day"),
    ("Colchicine 0.6 mg.", "a point six m g colchicine"),
    ("Xanax 0.125 mg.", "point one twenty five m g of xanax"),
    ("Xanax 0.05 mg.", "point zero five m g of xanax"),
    ("500 mL of urine came out.", "five hundred m l came out"),
    ("Alesse, 20 mcg.", "it is alesse, twenty m c g"),
    ("B12 deficiency.", "evidence of b twelve deficiency"),
    ("A CD4 count of 326.", "my c d four count was three hundred twenty six"),
    ("JAK-2 positive.", "you are j a k two positive"),
    ("Stenosis at L3-L4.", "spinal stenosis at l three l four, but"),
    ("A lesion at C2-3.", "an intramedullary lesion at c two three"),
    ("Reconstruction in 03/2008.", "reconstruction in march of two thousand eight"),
    ("A fall in March 2006.", "I fell in march of two thousand six."),
    ("Negative in August 1994.", "It was negative in august nineteen ninety four."),
    ("It began at 11 a.m. today.", "It began around eleven in the morning."),
    ("She works from 10 p.m. to 7 a.m.", "I work from ten in the night to seven in the morning"),
    ("He came at 4 p.m. yesterday.", "Yesterday evening around four p m."),
    ("Surgery in March 2023.", "I had surgery in march twenty twenty three"),
    ("She woke at 2:30 a.m.", "I woke up at two thirty at night"),
]
UNSUPPORTED = [
    ("She takes 20 mg of it.", "Patient: I take ten m g of it."),
    ("She takes 10 mL of it.", "Patient: I take ten m g of it."),
    ("Colchicine 6 mg.", "a point six m g colchicine"),
    ("Xanax 0.5 mg.", "point zero five m g of xanax"),
    ("B6 deficiency.", "evidence of b twelve deficiency"),
    ("Stenosis at L4-L5.", "spinal stenosis at l three l four, but"),
    ("Reconstruction in 03/2009.", "reconstruction in march of two thousand eight"),
    ("It began at 11 p.m. today.", "It began around eleven in the morning."),
    ("Surgery in March 2003.", "I had surgery in march twenty twenty three"),
    ("In June 2003 it was paid.", "in june two thousand three hundred dollars were paid"),
    ("A dose of 0.2 mg.", "at this point two people have left"),
    ("Vitamin C1 deficiency.", "vitamin c one thousand m g"),
]


@pytest.mark.parametrize(("output", "source"), SUPPORTED)
def test_what_was_said_supports_what_is_written(output: str, source: str) -> None:
    claims = find_claims(output, source)
    assert claims
    assert [claim.problem for claim in claims if claim.problem] == []


@pytest.mark.parametrize(("output", "source"), UNSUPPORTED)
def test_what_was_not_said_does_not(output: str, source: str) -> None:
    assert [claim for claim in find_claims(output, source) if claim.problem]


def test_letters_that_equal_plain_ones_but_for_case_are_read_as_these() -> None:
    said = "two point ſeven eıght of ıt, eıght in the mornıng"
    assert written(said) == "2.78 of ıt, 8 a.m."  # what is not dictated stays as it was


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a b",
        "It's five of us, and I'd say two things.",
        "We met in March, and he paid EUR 5 at nine.",
        "Plan A is good. I am the one.",
        "B" * 5000,
        "l " * 5000,
        "point " * 5000,
        "march of " * 5000,
    ],
)
def test_what_is_not_dictated_is_left_alone_in_little_time(text: str) -> None:
    assert written(text) is None
