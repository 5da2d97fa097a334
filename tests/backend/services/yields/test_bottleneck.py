"""The rule that tells more training from more ratings."""

from __future__ import annotations

import pytest

from backend.schemas.review.reports import Measured
from backend.services.review.reports.measured import share_of, unknown
from backend.services.yields import diagnose


def share(fixed: int, of: int) -> Measured:
    return share_of("fixed", [n < fixed for n in range(of)])


@pytest.mark.parametrize(
    ("trained", "held_back", "expected"),
    [
        (share(5, 50), share(1, 20), "more training"),
        (share(5, 50), unknown("nothing was held back"), "more training"),
        (share(48, 50), share(2, 20), "more ratings"),
        (share(30, 60), share(2, 60), "more ratings"),
        (share(48, 50), share(19, 20), "neither"),
        (share(30, 50), share(8, 20), "INCONCLUSIVE"),
        (share(3, 4), share(0, 1), "INCONCLUSIVE"),
        (share(48, 50), unknown("nothing was held back"), "INCONCLUSIVE"),
        (unknown("nothing to measure"), share(19, 20), "INCONCLUSIVE"),
    ],
)
def test_the_bottleneck_follows_the_intervals(
    trained: Measured, held_back: Measured, expected: str
) -> None:
    assert diagnose(trained, held_back).bottleneck == expected


def test_a_diagnosis_states_its_figures_and_its_rule() -> None:
    told = diagnose(share(48, 50), share(2, 20))
    assert "96% fixed [87%, 99%], n=50" in told.sentence
    assert "10% fixed [3%, 30%], n=20" in told.sentence
    assert "lies below 1/2" in told.rule


def test_an_open_question_says_how_many_more_would_settle_it() -> None:
    told = diagnose(share(30, 50), share(8, 20))
    assert "the intervals overlap; about 62 held back would part them" in told.sentence
