"""The likeliest first tokens of an answer, by which models are told apart and known again."""

from __future__ import annotations

import statistics
from collections.abc import Hashable, Mapping, Sequence
from typing import Protocol, TypeVar, runtime_checkable

from backend.engines.base import Message

LARGEST_GAP = 0.25
"""Nats, median over the likely first tokens. Rounding stays below 0.1; other weights do not."""

Token = TypeVar("Token", bound=Hashable)


@runtime_checkable
class FirstTokensEngine(Protocol):
    """An engine that gains by being asked for the first tokens of several prompts at once."""

    def first_tokens(
        self, model: str, prompts: Sequence[Sequence[Message]], *, top: int = 20
    ) -> list[dict[str, float]]:
        """What `next_token_logprobs` says of each prompt, in their order."""


def token_gaps(one: Mapping[Token, float], other: Mapping[Token, float]) -> list[float]:
    """Difference in nats of each token of two lists of likeliest tokens.

    A token that only one list holds is, in the other, at most as likely as the last one there; the
    difference down to that bound counts.

    Raises:
        ValueError: a list is empty.
    """
    if not one or not other:
        raise ValueError("no log-probabilities to compare")
    lowest_one, lowest_other = min(one.values()), min(other.values())
    return [
        abs(one[token] - other[token])
        if token in one and token in other
        else max(0.0, one[token] - lowest_other if token in one else other[token] - lowest_one)
        for token in one.keys() | other.keys()
    ]


def median_gap(
    one: Sequence[Mapping[Token, float]], other: Sequence[Mapping[Token, float]]
) -> float:
    """Median difference in nats over the likeliest tokens of either side, on all prompts."""
    pairs = zip(one, other, strict=True)
    return statistics.median(gap for left, right in pairs for gap in token_gaps(left, right))
