"""Estimates beside those of another implementation, ppi-python 0.2.3 (`ppi_mean_ci`, alpha .05).

It takes the normal quantile and divides by n; the estimate here takes Student's and n - 1, and
learns its coefficient from the other ratings.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from evaluators.statistics.intervals import normal_quantile, student_quantile
from evaluators.statistics.prediction_powered import estimate_mean

N, RATED = 2000, 200
NUMBERS = np.arange(N)
SCORES = ((NUMBERS * 7919) % 1000) / 1000
TRUTH = np.clip(0.7 * SCORES + 0.2 + 0.25 * np.sin(NUMBERS * 1.7), 0, 1)
RATINGS = [float(y) if n % 10 == 3 else None for n, y in enumerate(TRUTH)]


def test_the_mean_of_the_ratings_alone_is_that_of_ppi_python_without_its_scores() -> None:
    found = estimate_mean(RATINGS, SCORES)
    assert found.plain_value == pytest.approx(0.54836486, abs=1e-8)
    assert found.plain_low is not None
    factor = student_quantile(0.95, RATED - 1) / normal_quantile(0.95)
    half = (found.plain_value - found.plain_low) / factor * math.sqrt((RATED - 1) / RATED)
    assert half == pytest.approx((0.58497221 - 0.51175751) / 2, abs=1e-7)


def test_the_estimate_with_scores_is_that_of_ppi_python() -> None:
    found = estimate_mean(RATINGS, SCORES)
    assert (found.method, found.n, found.total) == ("ppi++", RATED, N)
    assert found.low is not None
    assert found.high is not None
    assert found.value == pytest.approx(0.54664037, abs=1e-4)
    half = (found.high - found.low) / 2
    assert half == pytest.approx((0.57221216 - 0.52106859) / 2, rel=0.02)
    plain_half = found.plain_value - (found.plain_low or 0.0)
    assert half < 0.75 * plain_half, "what another coefficient would give"
