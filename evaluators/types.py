"""The values that evaluators take and give: samples, scores, figures and differences.

No logic beyond the checks that keep a value honest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from evaluators.errors import InvalidValues


@dataclass(frozen=True, slots=True)
class Sample:
    """One output of a model and all that is needed to score it.

    Attributes:
        references: accepted answers; empty when there is none.
        context: the source document that the output must be true to.
        group: examples of one group (patient, customer, document) are one cluster.
        slices: named parts of the data that the example belongs to.
        logprobs: natural log probability of each generated token.
        sources: cited material by its id, for the citation check.
        samples: further answers drawn for the same input, for self-consistency.
        others: other answers to the same source, of other models or versions.
        seconds, tokens, cost: what the output took.
    """

    id: str
    prediction: str
    references: tuple[str, ...] = ()
    context: str | None = None
    input: str | None = None
    group: str | None = None
    slices: Mapping[str, str] = field(default_factory=dict)
    model: str | None = None
    logprobs: tuple[float, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    samples: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    seconds: float | None = None
    tokens: int | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a prediction, `prediction[start:end]` in Unicode code points, and what is wrong."""

    start: int
    end: int
    reason: str
    kind: str


@dataclass(frozen=True, slots=True)
class Score:
    """What a metric says of one sample: a value, or an error, or that it does not apply.

    Attributes:
        stats: sufficient statistics of the example, JSON-serialisable, from which corpus figures
            are computed; empty where the value itself suffices.

    Raises:
        InvalidValues: not exactly one of value, error and not_applicable, or a value not finite.
    """

    value: float | None
    error: str | None = None
    not_applicable: bool = False
    label: str | None = None
    explanation: str | None = None
    spans: tuple[Span, ...] = ()
    stats: tuple[float | str, ...] = ()

    def __post_init__(self) -> None:
        given = (self.value is not None) + (self.error is not None) + self.not_applicable
        if given != 1:
            raise InvalidValues("A score is exactly one of a value, an error, not applicable.")
        if self.value is not None and not math.isfinite(self.value):
            raise InvalidValues(
                f"A score must be a finite number, not {self.value}.",
                hint="Give an error text in its place.",
            )


@dataclass(frozen=True, slots=True)
class Figure:
    """A corpus value with its interval and its recipe.

    Attributes:
        n: samples that have a value.
        failed: samples that have an error in its place.
        not_applicable: samples that the metric does not speak about.
        clusters: independent groups among the n.
        low, high: None where nothing is known of the spread; the note says why.
        method: how the interval was made.
        rough: the interval is known to miss its level with so few clusters.
        note: a sentence for the reader, or empty.
    """

    metric: str
    value: float
    low: float | None
    high: float | None
    n: int
    failed: int
    signature: str
    not_applicable: int = 0
    rough: bool = False
    clusters: int = 0
    level: float = 0.95
    method: str = ""
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """All fields, JSON-serialisable."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Difference:
    """Candidate minus baseline on the same samples.

    Attributes:
        value: difference of the two corpus values.
        low, high: None where nothing is known of the spread; the note says why.
        p: two-sided p-value of no difference.
        wins, losses, ties: samples on which the candidate is better, worse, equal; better is
            as the metric says (lower for `invented`).
        n: pairs in which both sides have a value.
        failed: pairs in which a side has an error.
        better: the direction of the metric, "higher" or "lower".
    """

    metric: str
    baseline: float
    candidate: float
    value: float
    low: float | None
    high: float | None
    p: float
    wins: int
    losses: int
    ties: int
    n: int
    failed: int
    signature: str
    not_applicable: int = 0
    rough: bool = False
    clusters: int = 0
    level: float = 0.95
    method: str = ""
    better: str = "higher"
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """All fields, JSON-serialisable."""
        return asdict(self)
