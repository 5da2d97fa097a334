"""What a scenario claims: a figure with n and interval beside its aim, and whether it was shown.

A claim is shown when the whole interval is on the right side of the aim, seen when only the value
is, and not shown otherwise. Figures and differences are those of the scoring service; ratios of
them are in ratios.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class ScenarioClaim:
    """One sentence that can turn out wrong.

    Attributes:
        aim: what the value has to reach; from below with `at_least`, else from above.
        interval: how the interval was made.
    """

    text: str
    value: float
    low: float | None
    high: float | None
    n: int
    aim: float
    at_least: bool
    interval: str

    @property
    def result(self) -> str:
        """`shown`, `seen, but the interval reaches beyond` or `not shown`."""
        if self.low is None or self.high is None:
            return "seen, but without an interval" if self._reaches(self.value) else "not shown"
        if self._reaches(self.low) and self._reaches(self.high):
            return "shown"
        return "seen, but the interval reaches beyond" if self._reaches(self.value) else "not shown"

    def _reaches(self, value: float) -> bool:
        return value >= self.aim if self.at_least else value <= self.aim

    def as_dict(self) -> dict[str, Any]:
        """JSON-serialisable, with the result in words."""
        return {
            "claim": self.text,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "n": self.n,
            "aim": self.aim,
            "direction": "at least" if self.at_least else "at most",
            "interval": self.interval,
            "result": self.result,
        }


@dataclass(frozen=True, slots=True)
class Arm:
    """A model of a scenario and what went into it.

    Attributes:
        reviews: simulated reviews that the rows were made of, so far as the recipe used them.
        facts: what else is measured of its training, by name; units are in the names.
    """

    model: str
    about: str
    rows: int
    reviews: int
    seconds: float | None
    facts: Mapping[str, float | str]

    def as_dict(self) -> dict[str, Any]:
        """Flat and JSON-serialisable."""
        return {
            "model": self.model,
            "trained on": self.about,
            "rows": self.rows,
            "simulated reviews": self.reviews,
            "training seconds": self.seconds,
            **self.facts,
        }


@dataclass(frozen=True, slots=True)
class ScenarioOutcome:
    """What a scenario came to: the run that measured its arms on held-out data, and its claims."""

    run_id: int
    arms: tuple[Arm, ...]
    claims: tuple[ScenarioClaim, ...]
    notes: tuple[str, ...] = ()


class _BoundedValue(Protocol):
    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...
    @property
    def n(self) -> int: ...
    @property
    def method(self) -> str: ...


def claim_of(found: _BoundedValue, text: str, *, aim: float, at_least: bool) -> ScenarioClaim:
    """A claim about a figure or a difference of the scoring service."""
    return ScenarioClaim(
        text, found.value, found.low, found.high, found.n, aim, at_least, found.method
    )
