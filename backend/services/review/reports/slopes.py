"""A straight line within sittings: does a value drift as the hours go by?

Least squares with a level of its own for each sitting (so that people and days may differ), errors
by HC1 (MacKinnon and White 1985), bounds and p by Student's t.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.errors import CannotCompute

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LEAST = 20


@dataclass(frozen=True, slots=True)
class Slope:
    """Change per unit of x with its interval and the p of no change; n values were used."""

    value: float
    low: float
    high: float
    p: float
    n: int
    sittings: int

    @property
    def signature(self) -> str:
        """The recipe."""
        return f"slope|strop:1|within:{self.sittings} sittings|errors:hc1|level:0.95"


def slope_within(
    x: Sequence[float], y: Sequence[float], sittings: Sequence[int], *, what: str
) -> Slope:
    """Change of y per unit of x within sittings.

    Raises:
        CannotCompute: fewer than LEAST values in sittings of two or more, x or y does not vary, or
            y lies on a line.
    """
    import numpy as np
    from scipy.stats import t as student

    numbers = {sitting: i for i, sitting in enumerate(dict.fromkeys(sittings))}
    members = np.array([numbers[sitting] for sitting in sittings], dtype=np.int64)
    counts = np.bincount(members, minlength=len(numbers)) if len(members) else np.zeros(0)
    kept = counts[members] >= 2 if len(members) else np.zeros(0, dtype=bool)
    n, groups = int(kept.sum()), int((counts >= 2).sum())
    if n < LEAST:
        raise CannotCompute(
            f"Cannot say yet: {n} {what} in sittings of two or more; {LEAST} are needed."
        )

    def centred(values: Sequence[float]) -> Floats:
        array = np.asarray(values, dtype=np.float64)
        means = np.bincount(members, array) / np.maximum(counts, 1)
        apart: Floats = (array - means[members])[kept]
        return apart

    dx, dy = centred(x), centred(y)
    spread = float(dx @ dx)
    if spread < 1e-18 or float(dy @ dy) < 1e-18:
        raise CannotCompute(f"Cannot say: the {what} do not vary within sittings.")
    value = float(dx @ dy) / spread
    rest = dy - value * dx
    freedom = n - groups - 1
    if freedom < 1:
        raise CannotCompute(f"Cannot say yet: {groups} sittings are too short.")
    error = math.sqrt(float((dx * rest) @ (dx * rest)) * n / freedom) / spread
    if error <= 1e-12 * (abs(value) + 1):
        raise CannotCompute(f"Cannot say: the {what} lie on a line, so no error can be told.")
    half = float(student.ppf(0.975, freedom)) * error
    p = 2 * float(student.sf(abs(value) / error, freedom))
    return Slope(value, value - half, value + half, p, n, groups)
