"""True labels from several fallible raters, by the model of Dawid and Skene.

Dawid and Skene 1979, Applied Statistics 28:20: each item has a true class, each rater a table of
what they say for each class; both are estimated by EM. A rater may rate an item several times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluators.errors import UndefinedFigure
from evaluators.statistics.agreement.ratings import ItemRating, value_order

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TrueLabels:
    """What EM found.

    Attributes:
        posterior: probability of each class for each item, shape (items, classes).
        marginals: share of each class, shape (classes,).
        confusion: by rater, shape (raters, classes, classes): true class, class said.
    """

    items: tuple[str, ...]
    raters: tuple[str, ...]
    categories: tuple[float | str, ...]
    posterior: Floats
    marginals: Floats
    confusion: Floats
    log_likelihood: float
    steps: int

    @property
    def labels(self) -> tuple[float | str, ...]:
        """The likeliest class of each item."""
        return tuple(self.categories[i] for i in self.posterior.argmax(axis=1))


def dawid_skene(
    ratings: Sequence[ItemRating], *, max_steps: int = 1000, tolerance: float = 1e-9
) -> TrueLabels:
    """Posterior labels and rater confusion, started from the shares of votes.

    Raises:
        UndefinedFigure: no ratings, a single class, or EM has not settled in max_steps.
    """
    counts, items, raters, categories = _count(ratings)
    if len(categories) < 2:
        raise UndefinedFigure("All ratings are equal: there is nothing to infer.")
    posterior = counts.sum(axis=1)
    posterior /= posterior.sum(axis=1, keepdims=True)
    previous = -np.inf
    for step in range(1, max_steps + 1):
        marginals = posterior.mean(axis=0)
        confusion = _maximise(posterior, counts)
        posterior, likelihood = _expect(marginals, confusion, counts)
        if likelihood - previous < tolerance * (1 + abs(likelihood)):
            return TrueLabels(
                items, raters, categories, posterior, marginals, confusion, likelihood, step
            )
        previous = likelihood
    raise UndefinedFigure(f"EM has not settled in {max_steps} steps.", hint="Allow more steps.")


def _count(
    ratings: Sequence[ItemRating],
) -> tuple[Floats, tuple[str, ...], tuple[str, ...], tuple[float | str, ...]]:
    """How often each rater gave each class to each item: (items, raters, classes)."""
    if not ratings:
        raise UndefinedFigure("There are no ratings.")
    items = tuple(dict.fromkeys(r.item for r in ratings))
    raters = tuple(dict.fromkeys(r.rater for r in ratings))
    categories = tuple(sorted({r.value for r in ratings}, key=value_order))
    i, j, k = ({name: at for at, name in enumerate(names)} for names in (items, raters, categories))
    counts = np.zeros((len(items), len(raters), len(categories)))
    for rating in ratings:
        counts[i[rating.item], j[rating.rater], k[rating.value]] += 1
    return counts, items, raters, categories


def _maximise(posterior: Floats, counts: Floats) -> Floats:
    said = np.einsum("ik,ijl->jkl", posterior, counts)
    total = said.sum(axis=2, keepdims=True)
    uniform = np.full_like(said, 1 / said.shape[2])
    confusion: Floats = np.where(total > 0, said / np.where(total > 0, total, 1), uniform)
    return confusion


def _expect(marginals: Floats, confusion: Floats, counts: Floats) -> tuple[Floats, float]:
    tiny = np.finfo(np.float64).tiny
    joint = np.einsum("ijl,jkl->ik", counts, np.log(np.maximum(confusion, tiny)))
    joint += np.log(np.maximum(marginals, tiny))
    top = joint.max(axis=1, keepdims=True)
    share = np.exp(joint - top)
    likelihood = float((top[:, 0] + np.log(share.sum(axis=1))).sum())
    return share / share.sum(axis=1, keepdims=True), likelihood
