"""Rounds and lineage, as shown and as given."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from backend.schemas.common import AcceptLeaks, RequestBody, ResponseBody


class RoundEventOut(ResponseBody):
    """One thing that happened in a round."""

    at: datetime
    phase: str
    text: str


class RoundFigures(ResponseBody):
    """What a round came to, for a timeline; each is None until it is known.

    Attributes:
        expert_minutes: active minutes of the reviews behind its rows and of its blind votes.
        simulated: a script wrote reviews that it was trained on, or votes that it was judged by.
        hallucination: share of outputs with an invented fact, of the candidate and of the model to
            beat, on each slice that the round scores with `invented`; a figure, or why there is
            none. Empty where the round does not score it.
        training: ledger of its training (tokens, seconds, memory, cost); empty until it is done.
    """

    verdict: str | None = None
    lines: list[dict[str, Any]] = Field(default_factory=list)
    rows: int | None = None
    expert_minutes: float | None = None
    simulated: bool = False
    hallucination: list[dict[str, Any]] = Field(default_factory=list)
    training: dict[str, Any] = Field(default_factory=dict)


class RoundOut(ResponseBody):
    """A round: where it stands, what it waits for since when, and what comes next."""

    id: int
    number: int
    state: str
    phase: str
    waits_for: str
    since: datetime
    next: str
    error: str | None
    adapter: str
    started_at: datetime
    finished_at: datetime | None
    training_set_id: int | None
    training_run_id: int | None
    generation_run_id: int | None
    review_queue_id: int | None
    comparison_id: int | None
    promotion_id: int | None
    events: list[RoundEventOut]
    figures: RoundFigures


class RoundIn(RequestBody):
    """Begin a round; `plan` has the keys of a round's plan (see `strop round start`)."""

    plan: dict[str, Any]


class RoundResumed(RequestBody):
    """Take a paused or failed round up again."""

    accept_leaks: AcceptLeaks = None


class RoundCancelled(RequestBody):
    """Why a round is ended without a verdict."""

    reason: str = Field(min_length=1, max_length=2_000)


class RoundSigned(RequestBody):
    """Sign the promotion, or with `hold` that what stands is kept.

    `override` is the reason to promote without a PASS, `allow_unserved` that to do so though a
    server does not serve the model.
    """

    override: str | None = Field(None, min_length=1, max_length=2_000)
    hold: str | None = Field(None, min_length=1, max_length=2_000)
    allow_unserved: str | None = Field(None, min_length=1, max_length=2_000)


class Withdrawn(ResponseBody):
    """A withdrawn review and the frozen things that hold it."""

    review_id: int
    withdrawn_at: datetime
    held_by: list[str]


class LineageNode(ResponseBody):
    """One thing in the graph.

    Attributes:
        key: kind and name; unique in the graph.
        facts: short sentences about it.
        marks: what one has to know first: "simulated", "2 rows withdrawn", "withdrawn".
    """

    key: str
    kind: str
    title: str
    facts: list[str]
    marks: list[str]


class LineageEdge(ResponseBody):
    """Data went from one node into another."""

    source: str
    target: str
    label: str


class LineageOut(ResponseBody):
    """What was found from `root`, upstream and downstream."""

    root: str
    nodes: list[LineageNode]
    edges: list[LineageEdge]
