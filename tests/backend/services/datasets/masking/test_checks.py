"""Check digits: published examples pass, a changed digit fails, what is repaired passes."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.services.datasets.masking.identifiers import checks

# Examples of the issuers: ISO 13616, NHS Data Dictionary, GKV, BZSt, Deutsche Rentenversicherung.
RIGHT = [
    (checks.is_iban, "DE89370400440532013000"),
    (checks.is_iban, "GB82WEST12345698765432"),
    (checks.is_card, "4111111111111111"),
    (checks.is_card, "378282246310005"),
    (checks.is_nhs, "9434765919"),
    (checks.is_kvnr, "A123456780"),
    (checks.is_tax_id, "86095742719"),
    (checks.is_tax_id, "36574261809"),
    (checks.is_pension, "65170839J003"),
    (checks.is_pension, "15070649C103"),
]
DIGITS = st.text(string.digits, min_size=18, max_size=18)


@pytest.mark.parametrize(("check", "number"), RIGHT)
def test_published_numbers_pass_and_a_changed_last_digit_fails(check, number) -> None:  # type: ignore[no-untyped-def]
    assert check(number)
    changed = number[:-1] + str((int(number[-1]) + 1) % 10)
    assert not check(changed)


@pytest.mark.parametrize("check", dict.fromkeys(check for check, _ in RIGHT))
@pytest.mark.parametrize(
    "text", ["", "1", "DE", "٣" * 11, "Ä123456780", "0" * 10, "0" * 16, "X" * 22]
)
def test_what_is_no_number_fails_without_an_error(check, text) -> None:  # type: ignore[no-untyped-def]
    assert not check(text)


@given(DIGITS)
def test_what_is_repaired_passes(digits: str) -> None:
    assert checks.is_iban(checks.repair_iban("DE00" + digits))
    assert checks.is_card(checks.repair_card("4" + digits[:14] + str((int(digits[0]) + 5) % 10)))
    assert checks.is_kvnr(checks.repair_kvnr("K" + digits[:9]))
    assert checks.is_tax_id(checks.repair_tax_id(digits[:11]))
    assert checks.is_pension(checks.repair_pension(digits[:8] + "M" + digits[:3]))
    if len(set(digits[:9])) > 2:
        assert checks.is_nhs(checks.repair_nhs(digits[:10]))
