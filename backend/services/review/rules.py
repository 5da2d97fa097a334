"""How a queue hands its items out, as its lead set it; stored with the queue as JSON.

Values and pure functions; nothing here reads or writes the database. Rules that the queue does not
name have their defaults, and a name that is no rule is refused, so that a slip of the pen never
passes for a rule.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from backend.errors import InvalidInput

MAX_MASKS = 100
MAX_MASK_CHARACTERS = 200
LONGEST_REVISION_MINUTES = 60 * 24 * 31
MAX_KEPT = 256


class SkipPolicy(StrEnum):
    """Where a skipped item goes: to others, back to the same person later, or out for good."""

    OTHERS = "others"
    ME = "me"
    OUT = "out"


@dataclass(frozen=True, slots=True)
class QueueRules:
    """The rules of one queue; InvalidInput for a value that no queue can keep.

    Attributes:
        skip_policy: a `SkipPolicy`.
        max_share: most of the required reviews that one person may give, above 0 to 1.
        extra_below: an item whose reviewers agree less than this gets one more, above 0 to 1.
        adjudicate_above: a disagreement (0 to 1) above this opens an adjudication.
        gold_onboarding: items with a known answer that a person meets first.
        gold_every: then one such item after so many others; 0 for never.
        gold_bound: share of known answers to be met, 0 to 1; below it a person is paused.
        gold_minimum: known answers met before that bound counts.
        adaptive_leases: a lease lasts three times the person's mean active time.
        mask: texts that would give a model away; outputs are shown without them.
        mask_models: the names of the project's models are masked too.
        cost_per_hour: what an hour of review costs, in `currency`.
        minutes_budget: active minutes that the queue may take.
        revise_minutes: how long a person may take back what they submitted; 0 for never.
    """

    skip_policy: str = SkipPolicy.OTHERS
    max_share: float | None = None
    extra_below: float | None = None
    adjudicate_above: float | None = None
    gold_onboarding: int = 0
    gold_every: int = 0
    gold_bound: float = 0.7
    gold_minimum: int = 4
    adaptive_leases: bool = True
    mask: tuple[str, ...] = ()
    mask_models: bool = True
    cost_per_hour: float | None = None
    currency: str | None = None
    minutes_budget: float | None = None
    revise_minutes: int = 60

    def __post_init__(self) -> None:
        if self.skip_policy not in list(SkipPolicy):
            raise InvalidInput(
                f"{self.skip_policy!r} is no policy for skipped items.",
                hint="Use others, me or out.",
            )
        for name, check in _CHECKS.items():
            value = getattr(self, name)
            if not ((check.may_be_none and value is None) or check.holds(value)):
                raise InvalidInput(f"The rule {name} {check.otherwise}.")
        if (self.cost_per_hour is None) != (self.currency is None):
            raise InvalidInput("A cost per hour and its currency are given together.")

    def as_dict(self) -> dict[str, Any]:
        """All rules, JSON-serialisable; `rules_from` reads them back."""
        values = {rule.name: getattr(self, rule.name) for rule in fields(self)}
        return {**values, "skip_policy": str(self.skip_policy), "mask": list(self.mask)}

    @property
    def has_gold(self) -> bool:
        """Whether items with a known answer are handed out at all."""
        return self.gold_onboarding > 0 or self.gold_every > 0


@lru_cache(MAX_KEPT)
def kept_rules(text: str) -> QueueRules:
    """The rules of the text that the database keeps: every act at the desk asks for them."""
    return rules_from(json.loads(text))


@lru_cache(MAX_KEPT)
def kept_design(text: str) -> Mapping[str, Any]:
    """As `kept_rules`, a queue's design; nobody may change it."""
    return MappingProxyType(json.loads(text))


def rules_from(content: Mapping[str, Any]) -> QueueRules:
    """The rules as stored or as a person gave them.

    Raises:
        InvalidInput: a name that is no rule (the nearest is named), or a value that does not fit.
    """
    known = [rule.name for rule in fields(QueueRules)]
    for name in content:
        if name not in known:
            near = get_close_matches(str(name), known, n=3, cutoff=0.5)
            hint = f"Nearest: {', '.join(near)}." if near else f"Known: {', '.join(known)}."
            raise InvalidInput(f"{str(name)[:80]!r} is no rule of a queue.", hint=hint)
    given = dict(content)
    if isinstance(given.get("mask"), list):
        given["mask"] = tuple(given["mask"])
    return QueueRules(**given)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1_000_000


def _is_mask(text: object) -> bool:
    return isinstance(text, str) and len(text.strip()) >= 2 and len(text) <= MAX_MASK_CHARACTERS


class _Check(NamedTuple):
    """What a value has to meet, where there is one, and what is said of one that does not."""

    holds: Callable[[Any], bool]
    otherwise: str
    may_be_none: bool = False


_UNIT_WORDS = "is a number between 0 and 1"
_SHARE = _Check(lambda v: _is_number(v) and 0 < v <= 1, "is a share above 0, at most 1", True)
_COUNT = _Check(_is_count, "is a whole number from 0 on")
_POSITIVE = _Check(lambda v: _is_number(v) and v > 0, "is a number above 0", True)
_FLAG = _Check(lambda v: isinstance(v, bool), "is true or false")
_CHECKS = {
    "max_share": _SHARE,
    "extra_below": _SHARE,
    "adjudicate_above": _Check(lambda v: _is_number(v) and 0 <= v <= 1, _UNIT_WORDS, True),
    "gold_onboarding": _COUNT,
    "gold_every": _COUNT,
    "gold_bound": _Check(lambda v: _is_number(v) and 0 <= v <= 1, _UNIT_WORDS),
    "gold_minimum": _COUNT,
    "adaptive_leases": _FLAG,
    "mask": _Check(
        lambda v: isinstance(v, tuple) and len(v) <= MAX_MASKS and all(map(_is_mask, v)),
        f"is a list of at most {MAX_MASKS} texts of 2 to {MAX_MASK_CHARACTERS} characters",
    ),
    "mask_models": _FLAG,
    "cost_per_hour": _POSITIVE,
    "currency": _Check(
        lambda v: isinstance(v, str) and 1 <= len(v.strip()) <= 8, "is a currency such as EUR", True
    ),
    "minutes_budget": _POSITIVE,
    "revise_minutes": _Check(
        lambda v: _is_count(v) and v <= LONGEST_REVISION_MINUTES,
        f"is a whole number of minutes, at most {LONGEST_REVISION_MINUTES}",
    ),
}

DEFAULT = QueueRules()


def most_of_one_person(max_share: float, n_slots: int) -> int:
    """How many of the required reviews one person may give; at least one."""
    return max(1, int(max_share * n_slots + 1e-9))
