"""Confidence intervals for rates."""

from __future__ import annotations

import math
from statistics import NormalDist

from evaluators.errors import InvalidValues


def normal_quantile(level: float) -> float:
    """Two-sided standard normal quantile: 1.96 for level .95."""
    return NormalDist().inv_cdf(0.5 + level / 2)


def wilson(successes: float, n: float, *, level: float = 0.95) -> tuple[float, float]:
    """Score interval of a rate (Wilson 1927, JASA 22:209).

    Args:
        successes: number of successes; fractional when n is an effective sample size.
        n: number of trials.

    Raises:
        InvalidValues: n is not positive, or successes outside 0 to n.
    """
    if n <= 0 or not 0 <= successes <= n:
        raise InvalidValues(f"{successes} successes of {n} trials is no rate.")
    z = normal_quantile(level)
    rate = successes / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)
