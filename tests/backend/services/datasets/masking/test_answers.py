"""An answer is masked beside its example; no chance makes an original pass for a surrogate."""

from __future__ import annotations

import pytest

from backend.services.datasets.masking.answers import MaskedExample, mask_answer
from backend.services.datasets.masking.documents import mask_document
from backend.services.datasets.masking.policy import parse_policy

KEY, SCOPE = b"k" * 32, b"prompt 1"
NOTE = {"input": "Mrs Anna Kowalczyk, aged 98, MRN 4432118, was admitted. SpO2 98%, pulse 97."}


def shown_by(policy: str) -> MaskedExample:
    masked = mask_document(NOTE, parse_policy(policy), key=KEY, scope=SCOPE)
    return MaskedExample(masked.texts, NOTE, SCOPE)


@pytest.mark.parametrize("answer", ["She is 98 years old.", "A 97-year-old woman was admitted."])
def test_an_age_is_not_taken_for_the_measurement_that_stands(answer: str) -> None:
    told = mask_answer(answer, shown_by(""), parse_policy(""), key=KEY)
    assert "98" not in told
    assert "97" not in told
    assert "90" in told


@pytest.mark.parametrize(("masked", "stays"), [("Bed 12.", True), ("Case 9-12, 3301.", False)])
def test_a_short_number_stands_only_as_what_it_is(masked: str, stays: bool) -> None:
    policy = parse_policy("patterns: [{kind: BED, pattern: '12[^,]'}]")
    told = mask_answer("In 12.", MaskedExample({"input": masked}, None, SCOPE), policy, key=KEY)
    assert (told == "In 12.") == stays


def test_an_original_that_is_masked_otherwise_today_still_tells_of_whom_it_is() -> None:
    """As a term that is allowed since: the surrogates may be others, the name is masked."""
    today = parse_policy("allow: ['4432118']")
    told = mask_answer("kowalczyk, anna went home", shown_by(""), today, key=KEY)
    assert "kowalczyk" not in told
    assert "anna" not in told.split()
