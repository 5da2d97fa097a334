"""Which outputs may skip review: the largest share whose error rate is surely below a bound.

Learn then test (Angelopoulos, Bates, Candès et al. 2021, arXiv:2110.01052): outputs are ordered by
risk; for rising shares, from a tenth on, the hypothesis "the rate among them is above epsilon" is
tested exactly (binomial), in a fixed sequence that stops at the first share not refuted, so that
all refuted ones hold together with confidence 1 - delta. The one-sided bound is that of Clopper and
Pearson 1934. Labels must come from outputs that the risk was not fitted on. Outputs of one group
are not independent, which the exact test needs: where groups are given, one output of each is
drawn, and the promise is about an output of a new group.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluators.errors import InvalidValues
from evaluators.statistics.clusters import number_clusters

STEPS = 20
FIRST = 10
MOST_FACTOR = 20  # times the labels that are there; beyond, more of them are no advice


@dataclass(frozen=True, slots=True)
class Triage:
    """What may skip review.

    Attributes:
        threshold: outputs with a risk up to this may skip; None when none may.
        share: of the outputs that count, n_skipped of n.
        n: outputs that count, one of each group; labels: all that were labelled.
        errors: hallucinations among them; upper: the bound on their rate that holds with 1 - delta.
        note: why none may, and how many labels would allow some.
    """

    threshold: float | None
    share: float
    n: int
    labels: int
    n_skipped: int
    errors: int
    upper: float | None
    epsilon: float
    delta: float
    note: str
    signature: str


def triage(
    risks: Sequence[float],
    labels: Sequence[bool],
    groups: Sequence[str | None] | None = None,
    *,
    epsilon: float = 0.05,
    delta: float = 0.1,
    seed: int = 0,
) -> Triage:
    """The largest share that may skip review.

    Args:
        risks: of each labelled output; ties go together.
        labels: whether it is a hallucination.
        groups: of each output; None, or a None among them, for an output of its own.
        seed: of the draw of one output per group.

    Raises:
        InvalidValues: lengths differ, nothing is given, or epsilon or delta is not in (0, 1).
    """
    from scipy.stats import binom

    risk, bad = np.asarray(risks, dtype=np.float64), np.asarray(labels, dtype=bool)
    if groups is not None and len(groups) != len(risk):
        raise InvalidValues(f"{len(risk)} risks for {len(groups)} groups cannot be used.")
    if len(risk) != len(bad) or not len(risk) or not np.isfinite(risk).all():
        raise InvalidValues(f"{len(risk)} risks for {len(bad)} labels cannot be used.")
    check_shares(epsilon, delta)
    signature = f"triage|strop:3|method:ltt-fixed-sequence|epsilon:{epsilon}|delta:{delta}"
    if groups is not None:
        kept = _one_of_each(groups, seed)
        if len(kept) < len(risk):
            signature += f"|one-per-group|seed:{seed}"
        risk, bad = risk[kept], bad[kept]
    given, n, least = len(risks), len(risk), math.ceil(math.log(delta) / math.log(1 - epsilon))
    accepted: tuple[float, int, int] | None = None
    for size in np.unique(np.linspace(min(_first(n, least), n), n, STEPS).astype(int)):
        threshold = float(np.sort(risk)[size - 1])
        below = risk <= threshold
        count, errors = int(below.sum()), int(bad[below].sum())
        if count < least or binom.cdf(errors, count, epsilon) > delta:
            break
        accepted = threshold, count, errors
    if accepted is None:
        note = f"none: {count_words(given, n)} do not support any share"
        of = "labels" if n == given else "groups"
        note += f"; it takes at least {least} {of} without an error" if n < least else ""
        return Triage(None, 0.0, n, given, 0, 0, None, epsilon, delta, note, signature)
    threshold, count, errors = accepted
    upper = _upper(errors, count, delta)
    share = count / n
    return Triage(threshold, share, n, given, count, errors, upper, epsilon, delta, "", signature)


def check_shares(epsilon: float, delta: float) -> None:
    """Raise InvalidValues for a rate or a confidence that is none."""
    if not (0 < epsilon < 1 and 0 < delta < 1):
        raise InvalidValues("epsilon and delta lie between 0 and 1.")


def labels_missing(
    risks: Sequence[float], labels: Sequence[bool], *, epsilon: float, delta: float
) -> int | None:
    """About how many more labels would let the least risky tenth skip, or as many as are tested.

    At the error rate that the labels show there, its upper bound (Clopper and Pearson) comes down
    to epsilon with so many more labels of all risks. None where that rate is not below epsilon:
    more labels of the same kind are no help then, and the risk has to become better.

    Args:
        risks, labels: of outputs of distinct groups.
    """
    from scipy.stats import binom

    risk, bad = np.asarray(risks, dtype=np.float64), np.asarray(labels, dtype=bool)
    least, n = math.ceil(math.log(delta) / math.log(1 - epsilon)), len(risk)
    if n < least:
        return int(least - n)
    size = _first(n, least)
    rate = float(bad[np.argsort(risk, kind="stable")[:size]].mean())
    for factor in np.geomspace(1, MOST_FACTOR, 200).tolist():
        count = math.ceil(size * factor)
        if rate < epsilon and binom.cdf(math.ceil(rate * count), count, epsilon) <= delta:
            more: int = math.ceil(n * factor) - n
            return max(1, more)
    return None


def _first(n: int, least: int) -> int:
    """How many are tested first: a tenth, so that one error among many labels is not the end."""
    return max(least, n // FIRST)


def count_words(labels: int, n: int) -> str:
    """How many labels there are, and in how many groups, of which one output each counts."""
    if n == labels:
        return f"the {labels} labels"
    return f"the {labels} labels in {n} groups, of which one output each counts,"


def _one_of_each(groups: Sequence[str | None], seed: int) -> NDArray[np.int64]:
    """Places of one output of each group, drawn at random, in order."""
    order = np.random.default_rng(seed).permutation(len(groups))
    _, first = np.unique(number_clusters(groups)[order], return_index=True)
    kept: NDArray[np.int64] = np.sort(order[first])
    return kept


def _upper(errors: int, n: int, delta: float) -> float:
    """One-sided exact bound of a rate (Clopper and Pearson 1934)."""
    from scipy.stats import beta

    return 1.0 if errors == n else float(beta.ppf(1 - delta, errors + 1, n - errors))
