"""Whether more ratings or more training is what is lacking: a stated rule on two intervals.

Trained on but not fixed means that the adapter has not learnt what it was shown. Fixed where it was
trained and not where it was held back means that it has learnt those prompts and not the lesson.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from backend.services.review.reports.measured import Measured

HALF = 0.5
RULE = (
    "more training: of what was trained on, the whole interval of the share fixed lies below 1/2; "
    "else more ratings: the interval of what was trained on lies wholly above that of what was "
    "held back; else neither: both intervals lie at 1/2 or above; else INCONCLUSIVE."
)


class Bottleneck(StrEnum):
    """What holds the loop back."""

    MORE_TRAINING = "more training"
    MORE_RATINGS = "more ratings"
    NEITHER = "neither"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What holds the loop back, why, and the rule by which that was said."""

    bottleneck: Bottleneck
    sentence: str
    rule: str = RULE


def diagnose(trained: Measured, held_back: Measured) -> Diagnosis:
    """Apply RULE to the share fixed of what was trained on and of what was held back."""
    if trained.value is None or trained.low is None or trained.high is None:
        return _open(f"nothing is known of what was trained on: {trained.error}")
    taught = _shown("trained on", trained)
    if trained.high < HALF:
        said = f"{taught}: most of what it was shown it has not learnt. Train longer, or larger."
        return Diagnosis(Bottleneck.MORE_TRAINING, said)
    if held_back.value is None or held_back.low is None or held_back.high is None:
        return _open(f"{taught}; of what was held back nothing is known: {held_back.error}")
    both = f"{taught}, {_shown('held back', held_back)}"
    if trained.low > held_back.high:
        said = f"{both}: it has learnt these prompts and not the lesson. Rate more, and more kinds."
        return Diagnosis(Bottleneck.MORE_RATINGS, said)
    if trained.low >= HALF and held_back.low >= HALF:
        said = f"{both}: most corrections are learnt, and carry over to prompts never seen."
        return Diagnosis(Bottleneck.NEITHER, said)
    return _open(f"{both}: the intervals overlap{_more(trained, held_back)}")


def _open(reason: str) -> Diagnosis:
    return Diagnosis(Bottleneck.INCONCLUSIVE, f"{reason}.")


def _shown(what: str, measured: Measured) -> str:
    return (
        f"{what} {measured.value:.0%} fixed [{measured.low:.0%}, {measured.high:.0%}], "
        f"n={measured.n}"
    )


def _more(trained: Measured, held_back: Measured) -> str:
    """How many held-back corrections would part the intervals if the shares stay as they are.

    Both half-widths shrink with the square root of n, so that n grows with the square of their sum
    over the distance.
    """
    values = (trained.value, trained.low, held_back.value, held_back.high)
    if None in values:
        return ""
    value, low, held, high = (float(v) for v in values if v is not None)
    apart = value - held
    if apart <= 1e-9:
        return ""
    factor = (((value - low) + (high - held)) / apart) ** 2
    return f"; about {math.ceil(held_back.n * factor)} held back would part them"
