"""A ledger that lacks a unit, has one twice or says something else is seen as such."""

from __future__ import annotations

import pytest

from tests.chaos.ledger import Ledger, Row

CALM: list[Row] = [(("v9", 1), "yes"), (("v9", 2), "no")]


@pytest.mark.parametrize(
    ("rows", "missing", "doubled", "same"),
    [
        (CALM, 0, 0, True),
        (CALM[::-1], 0, 0, True),
        (CALM[:1], 1, 0, False),
        ([*CALM, CALM[0]], 0, 1, False),
        ([*CALM, (("v9", 1), "no")], 0, 1, False),
        ([*CALM, (("v9", 3), "yes")], 0, 1, False),
        ([CALM[0], CALM[0]], 1, 1, False),
        ([CALM[0], (("v9", 2), "yes")], 0, 0, False),
    ],
)
def test_what_differs_from_a_round_without_kills_is_counted(
    rows: list[Row], missing: int, doubled: int, *, same: bool
) -> None:
    calm, found = Ledger({"answers": CALM}), Ledger({"answers": rows})
    assert found.missing("answers", calm) == missing
    assert found.doubled("answers", calm) == doubled
    assert (found.digest("answers") == calm.digest("answers")) is same
