"""Swapped roles and derived numbers: tables of what must be found and what must not."""

from __future__ import annotations

import pytest

from evaluators.checks.grounding.grounding import find_claims

SWAPPED = [
    ("Ben paid Anna 50 EUR.", "Anna paid Ben 50 EUR.", "Ben paid Anna"),
    ("Ben has already paid Anna.", "Anna paid Ben.", "Ben has already paid Anna"),
    ("Anna was paid by Ben.", "Anna paid Ben 50 EUR.", "Anna was paid by Ben"),
    ("Ben gave 50 EUR to Anna.", "Anna gave Ben 50 EUR.", "Ben gave 50 EUR to Anna"),
    ("The agent called the customer.", "The customer called the agent.", "The agent called the"),
    ("It went from Paris to Berlin.", "It went from Berlin to Paris.", "from Paris to Berlin"),
    ("It went to Paris from Berlin.", "It went from Paris to Berlin.", "to Paris from Berlin"),
    (
        "He moved 50 EUR from savings to checking.",
        "He moved 50 EUR from checking to savings.",
        "from savings to checking",
    ),
    (
        "The dose went from 20 mg to 10 mg.",
        "The dose went from 10 mg to 20 mg.",
        "from 20 mg to 10 mg",
    ),
    ("The patient has diabetes.", "Her mother has diabetes.", "has diabetes"),
    ("Her mother has diabetes.", "The patient has diabetes.", "has diabetes"),
    ("His father has diabetes.", "Patient: My mom has diabetes.", "has diabetes"),
]

KEPT = [
    ("Ben was paid by Anna.", "Anna paid Ben 50 EUR."),
    ("Anna paid 50 EUR to Ben.", "Anna paid Ben 50 EUR."),
    ("Anna met Ben.", "Ben met Anna."),
    ("Ben paid Anna.", "Anna paid Ben and Ben paid Anna."),
    ("Ben called Anna.", "Anna paid Ben."),
    ("She flew from Paris to Berlin.", "She flew from Berlin to Paris and back."),
    ("From 20 mg to 10 mg.", "From 10 mg to 20 mg, then from 20 mg to 10 mg."),
    ("The patient's mother has diabetes.", "Patient: My mom has diabetes."),
    ("The patient has diabetes.", "I have diabetes, and my mother has diabetes."),
    ("The patient has diabetes.", "He was told of it. His mother has diabetes. He has diabetes."),
    ("His father had cancer.", "Doctor: And your father? He had cancer."),
    ("She has anxiety.", "Guest: My father has anxiety.\nDoctor: Hm.\nGuest: Yes.\nDoctor: Oh."),
    ("Family history: diabetes.", "My mother has diabetes."),
]


@pytest.mark.parametrize(("output", "source", "span"), SWAPPED)
def test_a_swap_is_marked_and_quotes_the_source(output: str, source: str, span: str) -> None:
    [bad] = [c for c in find_claims(output, source) if c.problem]
    assert bad.kind == "role"
    assert span in output[bad.start : bad.end]
    assert "“" in (bad.problem or "")


@pytest.mark.parametrize(("output", "source"), KEPT)
def test_no_false_alarm(output: str, source: str) -> None:
    assert [c for c in find_claims(output, source) if c.problem] == []


DERIVED = [
    ("The total is 80 EUR.", "50 EUR and 30 EUR"),
    ("80 EUR altogether.", "50 EUR, 7 EUR, 30 EUR"),
    ("They sum to 60 EUR.", "10 EUR, 20 EUR, 30 EUR"),
    ("The difference is 20 EUR.", "50 EUR and 30 EUR"),
    ("3 at 20 EUR, 60 EUR in total.", "3 items at 20 EUR each"),
    ("The total dose is 1.5 g.", "500 mg, then 1000 mg"),
    ("Insgesamt 80 EUR.", "50 EUR und 30 EUR"),
]

NOT_DERIVED = [
    ("The total is 90 EUR.", "50 EUR and 30 EUR", "nor a sum or difference"),
    ("It costs 80 EUR.", "50 EUR and 30 EUR", "is not in the source"),  # not called a total
    ("The total is 80 USD.", "50 EUR and 30 EUR", "nor a sum or difference"),
    ("The total is 80 EUR.", "50 EUR and 30 kg", "nor a sum or difference"),
    ("Nothing in total. It costs 80 EUR.", "50 EUR and 30 EUR", "is not in the source"),
    # with so many numbers anything would be a sum of some
    (
        "The total is 7 EUR.",
        ", ".join(f"{n}.17 EUR" for n in range(1, 60)) + ", 3 EUR, 4 EUR",
        "is not in the source",
    ),
]


@pytest.mark.parametrize(("output", "source"), DERIVED)
def test_a_total_of_the_sources_numbers_is_supported_as_derived(output: str, source: str) -> None:
    claims = find_claims(output, source)
    assert [c for c in claims if c.problem] == []
    assert [c.kind for c in claims if c.kind == "derived"] == ["derived"]


@pytest.mark.parametrize(("output", "source", "reason"), NOT_DERIVED)
def test_what_is_no_total_is_no_support(output: str, source: str, reason: str) -> None:
    [bad] = [c for c in find_claims(output, source) if c.problem]
    assert reason in (bad.problem or "")
