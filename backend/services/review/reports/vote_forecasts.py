"""How many more votes an A/B takes until it is decided, if they go on as so far; simulated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

LEAST = 10
HORIZON = 2000
DRAWS = 300


@dataclass(frozen=True, slots=True)
class VoteForecast:
    """Median and 80% range of the further votes; None is more than `limit`."""

    more: int | None
    low: int | None
    high: int | None
    limit: int

    @property
    def sentence(self) -> str:
        """For the lead."""
        if self.more is None:
            return f"It would take more than {self.limit} votes at the present rate (simulated)."
        upper = f"{self.high}" if self.high is not None else f"over {self.limit}"
        return (
            f"About {self.more} more votes at the present rate "
            f"(80% range {self.low} to {upper}; simulated)."
        )


def forecast_clusters(
    points: Mapping[str, Sequence[float]],
    planned: Mapping[str, int],
    n_votes: int,
    *,
    threshold: float,
    alpha: float,
    seed: int,
) -> VoteForecast | None:
    """How many votes on further clusters until decided, by the batches that are nearest to it.

    Args:
        points: votes of each cluster in order; planned: how many the design asks for.
        n_votes: all votes so far, those that judge nothing among them.
    """
    from evaluators.statistics.sequential import batch_sizes

    sizes = batch_sizes(planned)
    found = []
    for size in sizes:
        full = {cluster: min(size, planned.get(cluster, 1)) for cluster in points}
        means = [fmean(seen[: full[c]]) for c, seen in points.items() if len(seen) >= full[c]]
        cost = n_votes / max(len(points), 1) if size == 1 else fmean(full.values())
        share = alpha / len(sizes)
        took = round(cost * len(means))
        found.append(forecast_votes(means, took, threshold=threshold, alpha=share, seed=seed))
    known = [forecast for forecast in found if forecast is not None]
    return min(known, key=lambda f: math.inf if f.more is None else f.more, default=None)


def forecast_votes(
    values: Sequence[float], n_votes: int, *, threshold: float, alpha: float, seed: int
) -> VoteForecast | None:
    """How many more votes until decided, if the coming ones are like those seen.

    The values are independent, one for each cluster; `n_votes` is what it took to have them.

    What is seen is drawn from with weights of the Bayesian bootstrap (Rubin 1981), with half a win
    and half a loss added so that a unanimous start is not taken for certainty. None while there
    are too few values to go by.
    """
    import numpy as np

    from evaluators.statistics.sequential import log_capital

    if len(values) < LEAST:
        return None
    rng = np.random.default_rng(seed)
    seen = np.array([*values, 0.0, 1.0])
    prior = np.array([1.0] * len(values) + [0.5, 0.5])
    shares = rng.dirichlet(prior, DRAWS)
    future = np.stack([rng.choice(seen, HORIZON, p=share) for share in shares])
    paths = np.hstack([np.tile(np.asarray(values), (DRAWS, 1)), future])
    clear = log_capital(paths, threshold, alpha=alpha)[:, len(values) :] >= math.log(1 / alpha)
    needed = np.where(clear.any(axis=1), clear.argmax(axis=1) + 1.0, np.inf)
    per_value = n_votes / len(values)
    low, middle, high = (
        None if math.isinf(q) else math.ceil(q * per_value)
        for q in np.quantile(needed, [0.1, 0.5, 0.9], method="higher")
    )
    return VoteForecast(middle, low, high, math.floor(HORIZON * per_value))
