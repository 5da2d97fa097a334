"""The forecast of a learning curve: its law, its interval by simulation, and what has none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evaluators.errors import InvalidValues, UndefinedFigure
from evaluators.forecast import extrapolate, forecast_figure
from evaluators.registry import resolve_metrics
from evaluators.types import Score

ACCURACY = resolve_metrics(["exact_match"])[0]
SIZES = (100, 300)


def hits(values: np.ndarray) -> list[Score]:
    return [Score(float(value)) for value in values]


@pytest.mark.parametrize(
    ("sizes", "figures", "told"),
    [
        ((100, 300, 900), (0.6, 0.8, 0.9), 0.95),  # three points on one law: halved each time
        ((100, 100, 300), (0.6, 0.6, 0.8), 1 - 0.2 * 9 ** -(np.log(2) / np.log(3))),
        ((300, 100), (0.8, 0.6), 1 - 0.2 * 9 ** -(np.log(2) / np.log(3))),
        ((100, 300), (0.8, 0.6), 0.6),
    ],
)
def test_the_law_starts_from_the_largest_size(
    sizes: tuple[int, ...], figures: tuple[float, ...], told: float
) -> None:
    found = extrapolate(np.array(figures), sizes, 2700, least=1e-9)
    assert float(found) == pytest.approx(told)


def test_nothing_more_is_what_was_measured() -> None:
    figures = np.array([[0.4, 0.9], [0.7, 0.95]])
    assert extrapolate(figures, SIZES, 300, least=1e-9) == pytest.approx(figures[1])


def test_the_stated_interval_holds_the_truth_about_as_often_as_it_says_simulated() -> None:
    """Simulated: answers right by chance, on a curve that is a power law."""
    rng = np.random.default_rng(5)
    target, rate = 900, {size: 1 - 2.0 * size**-0.4 for size in (*SIZES, 900)}
    held = widths = 0.0
    draws = 300
    for _ in range(draws):
        ease = rng.random(120)  # of the test rows: the same for both sizes
        scored = [hits(ease < rate[size]) for size in SIZES]
        found = forecast_figure(ACCURACY, scored, SIZES, target, [None] * 120, resamples=400)
        held += found.low <= rate[target] <= found.high
        widths += (found.high - found.low) / draws
    assert 0.90 <= held / draws <= 0.99
    assert widths < 0.25


def test_rows_of_one_group_are_one_piece_of_evidence() -> None:
    rng = np.random.default_rng(1)
    right = [np.repeat(rng.random(20) < p, 5) for p in (0.5, 0.7)]
    scored = [hits(side) for side in right]
    alone = forecast_figure(ACCURACY, scored, SIZES, 500, [None] * 100)
    grouped = forecast_figure(ACCURACY, scored, SIZES, 500, [str(i // 5) for i in range(100)])
    assert (alone.clusters, grouped.clusters, grouped.n) == (100, 20, 100)
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)


def test_an_error_is_forecast_downwards_and_a_percent_stays_one() -> None:
    rng = np.random.default_rng(2)
    right = [rng.random(80) < p for p in (0.5, 0.7)]
    up = forecast_figure(ACCURACY, [hits(side) for side in right], SIZES, 500, [None] * 80)
    wrong = replace(ACCURACY, name="wrong", higher_is_better=False)
    down = forecast_figure(wrong, [hits(~side) for side in right], SIZES, 500, [None] * 80)
    assert down.value == pytest.approx(1 - up.value)
    assert (down.low, down.high) == pytest.approx((1 - up.high, 1 - up.low))
    percent = replace(ACCURACY, scale=100.0)
    scaled = [hits(100.0 * side) for side in right]
    found = forecast_figure(percent, scored=scaled, sizes=SIZES, target=500, groups=[None] * 80)
    assert found.value == pytest.approx(100 * up.value)


def test_what_has_no_forecast_says_why() -> None:
    sides = [hits(np.arange(8) % 2 == 0), hits(np.arange(8) < 6)]
    free = [None] * 8
    cases: dict[str, tuple[object, ...]] = {
        "no bound": (replace(ACCURACY, scale=None), sides, SIZES, free),
        "two sizes": (ACCURACY, sides, (100, 100), free),
        "No test row": (ACCURACY, [[], []], SIZES, []),
        "two groups": (ACCURACY, sides, SIZES, ["a"] * 8),
        "are alike": (ACCURACY, [hits(np.ones(8)), hits(np.ones(8))], SIZES, free),
    }
    for said, (metric, scored, sizes, groups) in cases.items():
        with pytest.raises(UndefinedFigure, match=said):
            forecast_figure(metric, scored, sizes, 500, groups)  # type: ignore[arg-type]
    failed = [[*sides[0][:-1], Score(None, error="no reference")], sides[1]]
    for scored in (failed, sides[:1], [sides[0][:-1], sides[1]]):
        with pytest.raises(InvalidValues):
            forecast_figure(ACCURACY, scored, SIZES, 500, free)
