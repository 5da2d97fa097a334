"""The trials of a search as the page shows them: intervals, and what the rows cannot tell."""

from __future__ import annotations

from typing import Any

from dashboard.components.frame import FigureText
from dashboard.views.training import trial_rows


def estimate(value: float, low: float, high: float) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high}


def test_trials_have_intervals_and_their_distance_from_the_kept_one() -> None:
    trials = [
        {"name": "b", "validation_loss": 1.5, "rows": 12, "seconds": 3.0}
        | {"loss": estimate(1.5, 1, 2), "behind": estimate(0.25, -0.25, 0.75), "told_apart": False},
        {"name": "a", "validation_loss": 1.25, "rows": 12, "seconds": 4.0}
        | {"loss": estimate(1.25, 1, 1.5), "behind": None, "told_apart": None},
    ]
    kept, other = trial_rows({"kept": "a", "trials": trials})
    assert (kept[0], kept[1], kept[4]) == ("a", FigureText("1.2500 [1.0000, 1.5000]"), "")
    assert other[4] == "0.2500 [-0.2500, 0.7500], not told apart"


def test_a_search_of_before_intervals_is_shown_without_them() -> None:
    [row] = trial_rows(
        {"kept": "a", "trials": [{"name": "a", "validation_loss": 1.25, "rows": 9, "seconds": 1.0}]}
    )
    assert (row[1], row[4]) == (FigureText("1.2500"), "")
