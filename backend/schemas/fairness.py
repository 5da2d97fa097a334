"""Shapes of fairness: gaps between groups, counterfactual pairs, mentions in training data."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from backend.schemas.common import RequestBody
from evaluators.results import Contrast as Contrast
from evaluators.results import EqualisedOdds as EqualisedOdds
from evaluators.results import Gap as Gap
from evaluators.results import GroupFigure as GroupFigure
from evaluators.results import Mention as Mention
from evaluators.results import MentionReport
from evaluators.results import Parity as Parity
from evaluators.results import Shift as Shift
from evaluators.results import Skew as Skew


class _FairnessBody(BaseModel):
    # Values of the evaluators stand in it as they are; what they leave to defaults is sent, too.
    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


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
    parities: list[Parity]
    odds: list[EqualisedOdds] = []


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
    contrasts: list[Contrast]
    shifts: list[Shift]
    examples: list[CounterfactualExample]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMentions(MentionReport):
    """The audit of a training set."""

    training_set_id: int
    name: str
    digest: str


class WordListOut(_FairnessBody):
    """One list of words that ships."""

    file: str
    kind: str
    language: str
    content: dict[str, object]
