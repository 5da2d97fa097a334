"""A sum of what was recorded, which says of how many parts it is and what it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from backend.schemas.costs import CostTotal

TOKENS = "tokens"
SECONDS = "seconds"
MINUTES = "minutes"


def unknown(unit: str, error: str, *, of: int = 1) -> CostTotal:
    """No figure, and why."""
    return CostTotal(None, unit, 0, of, error=error)


def counted(value: float, unit: str, *, n: int, of: int, lacking: str) -> CostTotal:
    """A sum over the `n` parts that are recorded of `of`; unknown where there is none.

    Args:
        lacking: why a part is not in it.
    """
    if n == 0:
        return unknown(unit, lacking if of else "There is nothing to count.", of=of)
    return CostTotal(value, unit, n, of, at_least=n < of, note=lacking if n < of else "")


def total(
    parts: Sequence[CostTotal], unit: str, *, nothing: str, each_is_one: bool = True
) -> CostTotal:
    """Parts of one unit together; unknown parts make it a lower bound.

    Args:
        nothing: why there is no figure where there are no parts.
        each_is_one: n counts the parts; else what they count is added up.
    """
    known = [part.value for part in parts if part.value is not None]
    lacks = " ".join(dict.fromkeys(filter(None, (part.error or part.note for part in parts))))
    if not known:
        return unknown(unit, lacks or nothing, of=len(parts))
    short = len(known) < len(parts) or any(part.at_least for part in parts)
    n = len(known) if each_is_one else sum(part.n for part in parts)
    n_all = len(parts) if each_is_one else sum(part.n_all for part in parts)
    return CostTotal(sum(known), unit, n, n_all, at_least=short, note=lacks)


def at_price(amount: CostTotal, price: float | None, unit: str, *, lacking: str) -> CostTotal:
    """What an amount costs at `price` a unit of it; unknown where there is no price."""
    if price is None:
        return unknown(unit, lacking, of=amount.n_all)
    if amount.value is None:
        return replace(amount, unit=unit)
    return replace(amount, value=amount.value * price, unit=unit)
