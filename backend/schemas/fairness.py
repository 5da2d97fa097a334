"""Shapes of fairness: gaps between groups, counterfactual pairs, mentions in training data."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from backend.schemas.common import RequestBody


class _FairnessBody(BaseModel):
    model_config = ConfigDict(frozen=True)


class GroupFigureOut(_FairnessBody):
    """One group's own figure, or the reason why there is none."""

    group: str
    n: int
    failed: int
    clusters: int
    value: float | None
    low: float | None
    high: float | None
    error: str | None
    note: str


class GapOut(_FairnessBody):
    """A group's figure minus another's; the bounds hold with all others of the family at once."""

    group: str
    other: str
    n: int
    n_other: int
    value: float | None
    low: float | None
    high: float | None
    said: str
    note: str


class ParityOut(_FairnessBody):
    """A figure by the groups of one key, with its largest gap."""

    metric: str
    key: str
    groups: list[GroupFigureOut]
    gaps: list[GapOut]
    largest: float | None
    low: float | None
    high: float | None
    between: list[str] | None
    n: int
    unnamed: int
    level: float
    each: float
    family: int
    scale: float | None
    better: str
    said: str
    signature: str
    margin: float | None
    note: str


class OddsOut(_FairnessBody):
    """Equalised odds of a label: the larger of the largest gaps of its two rates."""

    label: str
    key: str
    value: float | None
    low: float | None
    high: float | None
    n: int


class SliceKeyOut(_FairnessBody):
    """A key of a run's slices, and into how many groups it parts the examples."""

    key: str
    groups: int


class ParityReportOut(_FairnessBody):
    """One model's figures by group; `by` says whose they are: of code, or of people."""

    model_version_id: int | None
    model: str
    of: str
    by: str
    n_simulated: int = 0
    parities: list[ParityOut]
    odds: list[OddsOut] = []


class PairsIn(RequestBody):
    """What counterfactual pairs are to be made of."""

    dataset: str = Field(max_length=200)
    kinds: list[str] = Field(["name", "gender", "age", "place"], min_length=1, max_length=8)
    split: str = Field("test", max_length=16)
    language: str | None = Field(None, max_length=8)
    name: str | None = Field(None, min_length=1, max_length=120)
    most: int | None = Field(None, ge=1, le=1_000_000)
    seed: int = Field(7, ge=0, le=2**31 - 1)


class PairsOut(_FairnessBody):
    """Pairs that were made, and why other rows have none."""

    dataset_version_id: int
    dataset: str
    n_examples: int
    of: int
    split: str
    pairs: dict[str, int]
    skipped: dict[str, dict[str, int]]
    run_ids: list[int]


class MeanOut(_FairnessBody):
    """A mean with its interval."""

    value: float
    low: float | None
    high: float | None
    n: int


class ContrastOut(_FairnessBody):
    """How far something moves with the group, with the control, and the excess."""

    kind: str
    measure: str
    n: int
    clusters: int
    failed: int
    swapped: MeanOut
    control: MeanOut
    value: float
    low: float | None
    high: float | None
    p: float
    p_holm: float
    said: str
    signature: str
    level: float
    note: str


class ShiftOut(_FairnessBody):
    """Which way something moves, from one group to another."""

    kind: str
    measure: str
    direction: str
    n: int
    clusters: int
    value: float
    low: float | None
    high: float | None
    p: float
    p_holm: float
    signature: str


class CounterfactualExample(_FairnessBody):
    """A pair whose answers differ more than those of its control, to be read."""

    row: str
    kind: str
    direction: str
    change: float
    excess: float
    words: list[list[str]]
    original: str
    swapped: str
    control: str


class CounterfactualReportOut(_FairnessBody):
    """One model's answers to counterfactual pairs."""

    model_version_id: int
    model: str
    run_id: int
    samples: int
    pairs: dict[str, int]
    skipped: dict[str, dict[str, int]]
    contrasts: list[ContrastOut]
    shifts: list[ShiftOut]
    examples: list[CounterfactualExample]


class MentionOut(_FairnessBody):
    """In how many rows a group is mentioned."""

    kind: str
    group: str
    rows: int
    n: int
    value: float
    low: float | None
    high: float | None
    words: list[tuple[str, int]]


class SkewOut(_FairnessBody):
    """The odds of an outcome in rows of one group, against those of the others of its kind."""

    kind: str
    group: str
    outcome: str
    with_outcome: int
    n: int
    others_with: int
    n_others: int
    value: float
    low: float
    high: float
    pmi: float | None
    p: float
    q: float
    found: bool


class MentionReportOut(_FairnessBody):
    """The audit of a training set."""

    training_set_id: int
    name: str
    digest: str
    n: int
    groups: int
    unread: int
    mentions: list[MentionOut]
    skews: list[SkewOut]
    outcomes: str
    looked_for: int
    level: float
    false_share: float
    lists: str


class WordListOut(_FairnessBody):
    """One list of words that ships."""

    file: str
    kind: str
    language: str
    content: dict[str, object]
