"""What the house must not lose: no cycle, a short way to claim and submit, short functions."""

from __future__ import annotations

import pytest

from tests.house import ROOT, hops, measure

MOST = {
    "import cycles, packages of every level": 0,
    "functions over 60 lines": 0,
    "folders with more than a dozen modules": 0,
    "class names that exist twice": 0,
    "bytes of README.md": 12_000,
}


@pytest.fixture(scope="module")
def measured() -> dict[str, int]:
    return measure(ROOT)


@pytest.mark.parametrize("name", MOST)
def test_what_must_not_grow(measured: dict[str, int], name: str) -> None:
    assert measured[name] <= MOST[name]


def test_a_claim_and_a_submit_are_short_ways() -> None:
    found = hops(ROOT)
    assert found["modules of a claim"] <= 5
    assert found["modules of a submit"] <= 6
