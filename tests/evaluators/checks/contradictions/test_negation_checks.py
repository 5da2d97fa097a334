"""Negation flips: tables of what must be found, and of paraphrases that must not be."""

from __future__ import annotations

import pytest

from evaluators.checks.grounding.grounding import find_claims
from evaluators.registry import METRICS
from evaluators.types import Sample

# output, source, words of the output that are marked, words that the reason quotes
FLIPS = [
    ("The patient has chest pain.", "Patient denies chest pain.", "chest pain", "denies"),
    ("The patient denies chest pain.", "He has chest pain.", "denies chest pain", "has chest"),
    ("He has a fever.", "There is no fever.", "fever", "no fever"),
    ("No fever.", "Patient: I have a fever.", "No fever", "I have a fever"),
    ("Mild fever.", "No fever.", "fever", "No fever"),
    ("She presents without fever.", "She presents with fever.", "without fever", "with fever"),
    ("She had a stroke.", "No evidence of stroke.", "stroke", "No evi"),
    ("The customer was refunded.", "The customer was not refunded.", "refunded", "not refunded"),
    (
        "The customer was not refunded.",
        "The customer was refunded on 3 May.",
        "not refunded",
        "was refunded",
    ),
    ("The line was repaired.", "The line wasn't repaired.", "repaired", "wasn't"),
    ("The line was repaired.", "The line wasn’t repaired.", "repaired", "wasn’t"),
    ("She smokes.", "She does not smoke.", "smokes", "not smoke"),
    ("He never smoked.", "He smoked.", "never smoked", "He smoked"),
    ("The patient takes aspirin.", "She doesn't take aspirin.", "takes aspirin", "doesn't take"),
    ("He is allergic to latex.", "He is not allergic to latex.", "allergic", "not allergic"),
    ("She has a history of gout.", "She has no history of gout.", "history of gout", "no history"),
    ("He reports chills.", "He denies fever, chills, or cough.", "chills", "denies fever"),
    # dialogues
    ("She has chest pain.", "Doctor: Any chest pain?\nPatient: No.", "chest pain", "Any chest"),
    ("She denies nausea.", "Doctor: Any nausea?\nPatient: Yes.", "denies nausea", "Any nausea"),
    ("He smokes.", "Doctor: Do you smoke?\nPatient: No, never.", "smokes", "Do you smoke"),
    # offsets are code points
    ("🙂🙂 He has fever.", "He has no fever.", "fever", "no fever"),
    ("e\u0301te\u0301: he has fever.", "He has no fever.", "fever", "no fever"),
]

HOLDS = [
    # the same, said otherwise
    ("She denies chest pain.", "She has no chest pain."),
    ("She has no chest pain.", "She does not have chest pain."),
    ("No chest pain.", "Doctor: Any chest pain?\nPatient: No."),
    ("Ben was not paid by Anna.", "Anna did not pay Ben."),
    # double negation, and what only looks like one
    ("He has pain.", "He presents not without pain."),
    ("Patient presents not without pain.", "She has pain."),
    ("He cannot deny chest pain.", "He has chest pain."),
    ("He has chest pain.", "He does not deny chest pain."),
    ("He has chest pain.", "He was never without chest pain."),
    ("He has fever and chills.", "He has not only fever but also chills."),
    ("He no longer has chest pain.", "He has chest pain."),
    ("He has chest pain.", "He no longer has chest pain."),
    ("There is no doubt that he has fever.", "He has doubt."),
    # asked, not said; answered, but not plainly
    ("He has fever.", "Doctor: Any fever?\nPatient: Well, sometimes."),
    ("He has fever.", "Doctor: Any fever?\nPatient: No, just last night."),
    ("He has fever.", "Doctor: No fever?\nPatient: I do."),
    ("He has fever.", "Doctor: Any fever?\nPatient: No. It comes and goes, the fever."),
    ("There is no swelling.", "Doctor: Have you had any swelling."),
    # of something else
    ("He has chest pain.", "He has no back pain."),
    ("He has chest pain.", "No pain on palpation."),
    ("No pain on palpation.", "He has pain."),
    ("She takes pain medication.", "She has no pain."),
    ("The deposit was paid.", "The invoice was not paid."),
    ("Anna has paid.", "Anna was not paid."),
    ("The second order was refunded.", "The first order was not refunded."),
    ("The agent has the invoice.", "The customer has no invoice."),
    ("The customer has a claim.", "The claim was denied."),
    ("The plan was changed.", "There is no change in the plan."),
    ("No refund was promised.", "She has a refund."),
    # of somebody else
    ("No family history of diabetes.", "The patient has diabetes."),
    ("He has diabetes.", "His mother has no diabetes."),
    ("The customer has a record.", "Agent: I have no record.\nCustomer: Hm.\nAgent: Right."),
    # at another time
    ("He has no fever today.", "He had a fever last week."),
    ("He has fever.", "He had no fever last week."),
    # hedged, conditional, only spoken of
    ("If there is no fever, discharge him.", "He has a fever."),
    ("She takes Tylenol for fever.", "She has no fever."),
    ("Return if you have fever.", "No fever."),
    ("He may have a fever.", "He has no fever."),
    ("She asked for a refund.", "There was no refund."),
    ("He was tested for fever.", "No fever."),
    # too general to hold against anything
    ("He has no problem.", "He has a problem with the line."),
    ("None.", "Patient: No, none that I know of."),
    # the source says both
    ("He has fever.", "He has no fever. He has a fever."),
]


@pytest.mark.parametrize(("output", "source", "span", "told"), FLIPS)
def test_a_flip_is_marked_and_quotes_the_source(
    output: str, source: str, span: str, told: str
) -> None:
    bad = [c for c in find_claims(output, source) if c.problem and c.kind == "negation"]
    assert span in [output[c.start : c.end] for c in bad]
    assert all(told in (c.problem or "") for c in bad)


@pytest.mark.parametrize(("output", "source"), HOLDS)
def test_no_false_alarm(output: str, source: str) -> None:
    bad = [c for c in find_claims(output, source) if c.problem]
    assert [c for c in bad if c.kind == "negation"] == []


def test_an_agreed_denial_is_a_claim_that_holds() -> None:
    [score] = METRICS["grounding"].score([Sample("1", "No fever.", context="He denies fever.")])
    assert (score.value, score.stats) == (1.0, (1.0, 0.0))


def test_every_member_of_a_list_is_denied() -> None:
    claims = find_claims(
        "He reports fever, chills, and night sweats.", "He denies fever, chills, or night sweats."
    )
    assert len([c for c in claims if c.problem]) == 3


def test_a_list_of_which_only_the_first_is_surely_denied() -> None:
    assert find_claims("He has a cough.", "No fever, mild cough.") == []
