"""Which claims of an output the source supports: golden tables."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.aggregate import aggregate
from evaluators.checks.grounding.grounding import find_claims
from evaluators.checks.text.claims import listed
from evaluators.registry import METRICS
from evaluators.types import Sample
from tests.depth import examples

SUPPORTED = [
    # numbers
    ("It costs 3,500.", "It costs 3500."),
    ("It costs 3.5k.", "It costs three thousand five hundred."),
    ("It costs 3500.", "It costs 3.5k."),
    ("About 2 million users.", "They have 2,000,000 users."),
    ("2.5 Mio. Kunden sind das und die zahlen nicht", "the firm has 2,500,000 customers"),
    ("The value is 2.5.", "two and then two point five"),
    ("He waited 1,200 minutes.", "He waited 20 hours."),
    ("There are 21 lines.", "There are twenty-one lines."),
    ("It was 1984.", "It was nineteen eighty four."),
    ("The blood pressure is 120 over 80.", "one twenty over eighty"),
    ("A drop of -5 °C was seen.", "The drop of -5 °C was seen."),
    ("roughly 3,500 users", "There are 3,512 users."),
    # money
    ("The plan is EUR 29.90.", "The plan is 29,90 € und das ist für Sie nicht viel"),
    ("The plan is €29.90.", "The plan is 29.90 euros."),
    ("Der Tarif kostet 29,90 €.", "The plan costs EUR 29.90 a month for the customer."),
    ("Das sind 1.299,00 € für Sie und die Familie.", "It is EUR 1,299.00 for the family."),
    ("EUR29.90", "29.90 EUR"),
    # shares, ranges, units
    ("It rose by 12%.", "It rose by 12 percent."),
    ("Es sind 12 Prozent.", "It is twelve percent."),
    ("It takes 2-3 days.", "It takes two to three days."),
    ("He weighs 80 kg.", "He weighs 176 lb."),
    ("He runs 5 km.", "He runs 5000 m."),
    ("The 55-year-old man.", "I am fifty five."),
    ("The contract runs 24 months.", "It runs for 2 years."),
    ("50 Mbps is fast.", "The line has 50 Mbit/s."),
    # dates and times
    ("On 3 May 2026 she called.", "2026-05-03"),
    ("On May 3rd she called.", "3 May 2026"),
    ("On May 3, 2026 she called.", "3.5.2026"),
    ("Am 3. Mai 2026 rief sie an.", "She called on May 3, 2026."),
    ("On 05/03/2026 she called.", "3 May 2026"),
    ("on 07/29/2008", "July twenty ninth two thousand eight"),
    ("on 29 July 2008", "the twenty ninth of July, 2008"),
    ("In August 2025 she called.", "It was 12 August 2025."),
    ("It happened in 2026.", "It happened on 2026-05-03."),
    ("At 3 pm.", "At 15:00."),
    ("At 3:30 p.m.", "um 15.30 Uhr"),
    ("See you on Monday.", "Wir sehen uns am Montag."),
    # identifiers
    ("Ticket TK-48213 is open.", "ticket tk 48213"),
    ("Call +49 170 1234567.", "Phone: +49-170-1234567"),
    ("Write to Anna.K@firm.example.", "mail anna.k@firm.example please"),
    ("Order #4821.", "order #4821"),
    # names
    ("Zefirina called.", "Anna called."),  # one capital at the head of a sentence is no sign
    ("We met Maria Lopez's son.", "Maria Lopez has a son."),
    ("Dr. Smith came.", "I am Doctor Smith."),
    ("Herr Keller hat angerufen.", "Mr Keller called."),
    ("The patient has an MRI.", "He was scanned."),  # to abbreviate is not to invent
    ("PLAN DETAILS: none", "nothing"),
    ("We met at the World Health Organization.", "We met at the WHO."),
    ("We use AI-based tools.", "We use tools."),
    ("We met President Ramaphosa.", "We met Ramaphosa."),
    # quotations
    ('Click "Save" to keep all of it, or "Save As" to copy it.', "Click Save, or Save As."),
    ('She said "the line is dead again".', "She said: the line  is dead -- again!"),
    ('The "new plan" starts.', "It starts."),
    # what claims nothing
    ("1. Call back.\n2. Close.", "Call back, then close."),
    ("As shown [3].", "As shown."),
    ("These are the steps: 1.", "These are the steps."),
    ("One of them called.", "They called."),
]

UNSUPPORTED = [
    ("It costs 3,600.", "It costs 3500.", "3,600", "number"),
    ("It costs $29.90.", "It costs EUR 29.90.", "$29.90", "money"),
    ("It costs EUR 39.90.", "It costs EUR 29.90.", "EUR 39.90", "money"),
    ("It rose by 12%.", "It rose by 12 points of 21%.", "", ""),
    ("It takes 3 weeks.", "It takes 3 days.", "3 weeks", "measure"),
    ("He weighs 80 kg.", "He weighs 80 lb.", "80 kg", "measure"),
    ("exactly 3,500 users", "There are 3,512 users.", "3,500", "number"),
    ("On 4 May 2026.", "On 3 May 2026.", "4 May 2026", "date"),
    ("On 3 May 2025.", "On 3 May 2026.", "3 May 2025", "date"),
    ("In June 2026 or so.", "On 3 May 2026.", "June 2026", "date"),
    ("At 4 pm.", "At 15:00.", "4 pm", "time"),
    ("See you on Tuesday.", "See you on Monday.", "Tuesday", "date"),
    ("Ticket TK-48213.", "Ticket TK-482135.", "TK-48213", "identifier"),
    ("Ticket TK-48213.", "Ticket TK-48214.", "TK-48213", "identifier"),
    ("We met Maria Lopez.", "We met Maria.", "Maria Lopez", "name"),
    ("Wir danken Herrn Keller für die Geduld und das ist gut.", "Mr Kern", "Keller", "name"),
    (
        "Das sind viertausend Euro für Sie und die Familie.",
        "3,500 EUR",
        "viertausend Euro",
        "money",
    ),
    ('She said "I will cancel 2 lines".', "She may cancel.", "I will cancel 2 lines", "quotation"),
    ("🙂🙂 It costs 39 EUR.", "It costs 29 EUR.", "39 EUR", "money"),
    ("e\u0301te\u0301 39 EUR", "29 EUR", "39 EUR", "money"),
    ("שלום 39 EUR", "29 EUR", "39 EUR", "money"),
]


@pytest.mark.parametrize(("output", "source"), SUPPORTED)
def test_supported(output: str, source: str) -> None:
    assert [c.problem for c in find_claims(output, source) if c.problem] == []


@pytest.mark.parametrize(("output", "source", "span", "kind"), [r for r in UNSUPPORTED if r[2]])
def test_unsupported(output: str, source: str, span: str, kind: str) -> None:
    bad = [c for c in find_claims(output, source) if c.problem]
    assert [(output[c.start : c.end], c.kind) for c in bad] == [(span, kind)]


def test_the_reason_names_the_other_unit() -> None:
    [score] = METRICS["grounding"].score([Sample("1", "It is $5.", context="It is 5 EUR.")])
    assert score.spans[0].reason == "the source gives '$5' in EUR"


@pytest.mark.parametrize(
    ("output", "grounding", "invented", "stats"),
    [
        ("29 EUR on 3 May", 1.0, 0.0, (2.0, 0.0)),
        ("29 EUR on 4 May", 0.5, 1.0, (2.0, 1.0)),
        ("nothing to check", None, 0.0, (0.0, 0.0)),
        ("", None, 0.0, (0.0, 0.0)),
    ],
)
def test_scores(
    output: str, grounding: float | None, invented: float, stats: tuple[float, ...]
) -> None:
    sample = [Sample("1", output, context="29 EUR on 3 May")]
    [share], [any_bad] = METRICS["grounding"].score(sample), METRICS["invented"].score(sample)
    assert share.value == grounding
    assert share.not_applicable == (grounding is None)
    assert (any_bad.value, any_bad.stats) == (invented, stats)


@pytest.mark.parametrize("context", [None, "", "  "])
def test_no_source_is_an_error(context: str | None) -> None:
    [score] = METRICS["grounding"].score([Sample("1", "29 EUR", context=context)])
    assert score.error == "no source to check against"


def test_the_input_is_a_source_too() -> None:
    sample = Sample("1", "29 EUR", context="see above", input="What costs 29 EUR?")
    assert METRICS["grounding"].score([sample])[0].value == 1.0


@given(st.text(max_size=200))
@settings(max_examples=examples(300), deadline=None)
def test_a_text_supports_itself(text: str) -> None:
    assert [c for c in find_claims(text, text) if c.problem] == []


PIECES = st.sampled_from(
    listed(
        "29 , . € EUR $ % 3rd May March 2026 - / : am pm Uhr TK-4 k million twenty nine hundred "
        "and point zwei und Herr Keller Dr. Smith ( ) [1] 🙂 שלום x 07/29/2008 kg + # @ '"
    )
)


@given(st.lists(PIECES, max_size=25), st.lists(PIECES, max_size=25), st.booleans())
@settings(max_examples=examples(400), deadline=None)
def test_spans_lie_within_the_output(output: list[str], source: list[str], spaced: bool) -> None:
    text = (" " if spaced else "").join(output)
    claims = find_claims(text, " ".join(source))
    assert all(0 <= c.start < c.end <= len(text) for c in claims)
    assert all(a.end <= b.start for a, b in pairwise(claims))


@pytest.mark.parametrize(
    "text",
    [
        "May and ſept. 5", "the ſixtieſ", "dreiviertel nİne uhr", "ſix at night", "2 täglıch",
        "zweİmal täglich", "20 at dreıviertel acht uhr", "every six minuteſ of half an hour",
    ],
)  # fmt: skip
def test_letters_that_equal_plain_ones_but_for_case_break_nothing(text: str) -> None:
    assert [c for c in find_claims(text, text) if c.problem] == []
    find_claims("In May five came.", text)
    find_claims(text, "In May five came.")


def test_a_long_s_is_an_s() -> None:
    claims = find_claims("Auguſt 5, ſix patients.", "On August 5 six patients.")
    assert [(c.kind, c.problem) for c in claims] == [("date", None), ("number", None)]


def test_300_kilobytes_in_one_cell() -> None:
    scores = METRICS["invented"].score(
        [Sample("1", "the price of it is 39 EUR; " * 12_000, context="29 EUR")]
    )
    assert aggregate(METRICS["invented"], scores, [None]).value == 1.0


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "piece",
    [
        "aB3_",
        "eJzzLTKscjR3MfcpNzRwK_EwS",
        "0 ",
        "0-",
        "1.",
        "1,",
        "and ",
        "one ",
        "ein",
        "a@",
        "A-",
    ],
)
def test_no_text_takes_forever(piece: str) -> None:
    text = piece * (30_000 // len(piece)) + "!"
    assert all(claim.end <= len(text) for claim in find_claims(text, text + "--"))
