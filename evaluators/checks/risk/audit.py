"""Does the share of wrong outputs among those that skipped review still lie below its bound?

N outputs skipped review; some of them, drawn at random without replacement, are looked at in random
order. If K of the N are wrong, a given sequence of n looks with S wrong ones has the probability
C(N - n, K - S) / C(N, K). Its ratio for a larger K to that for the bound grows by a factor of mean
1 at most with each look, if the share lies at or below the bound; so does a mixture of such ratios.
By Ville's inequality (1939) it ever reaches 1 / delta with probability delta at most, however one
decides when to look (sampling without replacement: Waudby-Smith and Ramdas 2020, "Confidence
sequences for sampling without replacement", NeurIPS; the mixture: Robbins 1970, Ann. Math. Statist.
41:1397). Only the draw is random: nothing is assumed of groups, nor of how outputs come about. The
order does not matter, so that a state is two counts.

The mixture is over shares above the bound, a beta density with mean twice epsilon: what doubles is
noticed soonest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluators.errors import InvalidValues

Floats = NDArray[np.float64]
MOST_SHARES = 4000  # shares that the mixture is over; of more outputs, so many are taken
MOST_EVIDENCE = 1e300  # in place of infinity, which JSON does not know


@dataclass(frozen=True, slots=True)
class AuditState:
    """What the audit says after some looks.

    Attributes:
        n, errors: outputs looked at, and wrong ones among them; total: all that skipped.
        low: the share of wrong ones among all is at least this, with confidence 1 - delta at all
            looks together.
        evidence: the e-value against "the share is at most epsilon"; refuted from 1 / delta on.
    """

    n: int
    errors: int
    total: int
    low: float
    evidence: float
    epsilon: float
    delta: float

    @property
    def refuted(self) -> bool:
        """Whether the share is surely above epsilon."""
        return self.evidence >= 1 / self.delta

    @property
    def signature(self) -> str:
        """The recipe."""
        return (
            "triage_audit|strop:1|method:mixture-without-replacement"
            f"|epsilon:{self.epsilon}|delta:{self.delta}"
        )


def audit_state(
    n: int, errors: int, total: int, *, epsilon: float = 0.05, delta: float = 0.1
) -> AuditState:
    """The state after `n` looks at `total` outputs, `errors` of them wrong.

    Its `low` is that of this look alone; the largest of all looks so far holds too.

    Raises:
        InvalidValues: counts that do not fit, or epsilon or delta is not in (0, 1).
    """
    if not (0 < epsilon < 1 and 0 < delta < 1):
        raise InvalidValues("epsilon and delta lie between 0 and 1.")
    if not 0 <= errors <= n <= total or total < 1:
        raise InvalidValues(f"{errors} wrong of {n} looked at of {total} cannot be.")
    wrong, weights = _alternatives(total, epsilon)
    chances = _log_chances(wrong, n, errors, total)
    bound = math.floor(epsilon * total + 1e-9)
    evidence = _evidence(wrong, weights, chances, n, errors, total, bound)
    low = _low(wrong, weights, chances, total, delta, errors)
    return AuditState(n, errors, total, low, evidence, epsilon, delta)


def least_to_refute(total: int, *, epsilon: float = 0.05, delta: float = 0.1) -> int | None:
    """How many looks refute the bound if all of them are wrong; None where not even `total` do."""
    for n in range(1, total + 1):
        if audit_state(n, n, total, epsilon=epsilon, delta=delta).refuted:
            return n
    return None


def _alternatives(total: int, epsilon: float) -> tuple[Floats, Floats]:
    """Numbers of wrong ones among `total`, growing, and the log density of their shares."""
    wrong = np.unique(np.round(np.linspace(0, total, min(total, MOST_SHARES) + 1)))
    share = (wrong + 0.5) / (total + 1)
    mean = min(2 * epsilon, (1 + epsilon) / 2)
    return wrong, (1 / mean - 2) * np.log1p(-share)


def _log_chances(wrong: Floats, n: int, errors: int, total: int) -> Floats:
    """Log of the probability of the sequence for each number of wrong ones."""
    from scipy.special import gammaln

    def log_choose(of: int, some: Floats) -> Floats:
        found: Floats = gammaln(of + 1) - gammaln(some + 1) - gammaln(of - some + 1)
        return found

    possible = (wrong >= errors) & (wrong - errors <= total - n)
    found = np.full(len(wrong), -np.inf)
    kept = wrong[possible]
    found[possible] = log_choose(total - n, kept - errors) - log_choose(total, kept)
    return found


def _evidence(
    wrong: Floats, weights: Floats, chances: Floats, n: int, errors: int, total: int, bound: int
) -> float:
    """The mixture of the ratios against `bound` wrong ones."""
    from scipy.special import logsumexp

    if errors > bound:
        return MOST_EVIDENCE
    above = wrong > bound
    if not above.any():
        return 0.0
    null = float(_log_chances(np.array([float(bound)]), n, errors, total)[0])
    mixed = float(logsumexp(weights[above] + chances[above]) - logsumexp(weights[above]))
    return (
        0.0
        if math.isinf(null) or math.isinf(mixed)
        else min(math.exp(min(mixed - null, 700.0)), MOST_EVIDENCE)
    )


def _low(
    wrong: Floats, weights: Floats, chances: Floats, total: int, delta: float, errors: int
) -> float:
    """The smallest share that is not refuted, each against the shares above it."""
    mixed = np.logaddexp.accumulate((weights + chances)[::-1])[::-1]
    mass = np.logaddexp.accumulate(weights[::-1])[::-1]
    with np.errstate(invalid="ignore"):
        evidence = mixed[1:] - mass[1:] - chances[:-1]
    refuted = (wrong[:-1] < errors) | (np.nan_to_num(evidence, nan=-np.inf) >= math.log(1 / delta))
    refuted &= np.isfinite(chances[:-1]) | (wrong[:-1] < errors)
    last = np.flatnonzero(refuted)
    return 0.0 if not len(last) else (float(wrong[last[-1]]) + 1) / total
