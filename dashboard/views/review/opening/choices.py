"""What a lead chose for a new queue, and the request that it makes; no widget is drawn here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from backend.schemas.review.desk import QueueKindName
from backend.schemas.review.queues import (
    AssignmentIn,
    DesignIn,
    DesignKind,
    ReviewQueueIn,
    RoutingIn,
    StratumIn,
)

KIND_WORDS: dict[QueueKindName, str] = {
    "single": "Rate and correct single outputs",
    "pair": "Compare two models blind",
}
DESIGN_WORDS: dict[DesignKind, str] = {
    "random": "A random sample",
    "stratified": "A random sample within each slice",
    "active": "A random anchor, and more of what looks doubtful",
}
DESIGN_HELP: dict[DesignKind, str] = {
    "random": "Each item has the same chance. Right when you want to know how good a model is.",
    "stratified": "So that small slices are seen too. Figures weigh the slices back.",
    "active": "Experts see more of the doubtful outputs. A random anchor stays, so that figures "
    "about the whole can still be believed.",
}
SKIP_CHOICES = {
    "others": "to somebody else",
    "me": "back to the same person, later",
    "out": "out of the queue",
}


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the items are chosen. `shares` maps a targeted part to its share of the budget."""

    kind: DesignKind = "random"
    by: str | None = None
    equal: bool = False
    anchor: float = 0.5
    shares: dict[str, float] = field(default_factory=dict)
    items: int | None = None
    minutes: float | None = None


@dataclass(frozen=True, slots=True)
class Crew:
    """Who reviews: people by user name, groups, and how many see the same item.

    `people` and `skills` map a slice (`ward=cardiology`) to whom its items are for; with `deal`
    every item is given to a person from the start.
    """

    reviewers: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    overlap_share: float = 0.0
    overlap: int = 1
    people: dict[str, str] = field(default_factory=dict)
    skills: dict[str, str] = field(default_factory=dict)
    deal: bool = False


@dataclass(frozen=True, slots=True)
class Choices:
    """Everything that the page asks for."""

    name: str
    kind: QueueKindName
    run_id: int
    models: tuple[str, ...]
    rubric: str
    sampling: Sampling
    crew: Crew
    rules: dict[str, Any] = field(default_factory=dict)
    score_run_id: int | None = None
    lease_seconds: int | None = None
    seed: int = 7
    skip: RoutingIn | None = None


def what_is_missing(choices: Choices) -> list[str]:
    """What is to be chosen before the server can be asked, in the order of the page."""
    missing = []
    least = 2 if choices.kind == "pair" else 1
    if len(choices.models) < least:
        missing.append(f"Choose at least {least} model{'s' if least > 1 else ''}.")
    if choices.sampling.kind == "stratified" and not choices.sampling.by:
        missing.append("Choose the slice within which items are drawn.")
    if choices.sampling.kind == "active" and not choices.sampling.shares:
        missing.append("Choose at least one doubtful part.")
    if not choices.crew.reviewers and not choices.crew.groups:
        missing.append("Choose who reviews.")
    if choices.crew.overlap > 1 and choices.crew.overlap_share == 0:
        missing.append("Choose the share of items that several people see, or one person an item.")
    missing += [
        f"Name the skill that items of {place} ask for."
        for place, skill in choices.crew.skills.items()
        if not skill.strip()
    ]
    if not choices.name.strip():
        missing.append("Give the queue a name.")
    return missing


def queue_request(choices: Choices) -> ReviewQueueIn:
    """The request that opens, or previews, this queue."""
    sampling, crew = choices.sampling, choices.crew
    overlaps = crew.overlap > 1 and crew.overlap_share > 0
    return ReviewQueueIn(
        name=choices.name.strip(),
        kind=choices.kind,
        generation_run_id=choices.run_id,
        models=list(choices.models),
        rubric=choices.rubric,
        reviewers=list(crew.reviewers),
        seed=choices.seed,
        n_items=sampling.items,
        overlap_share=crew.overlap_share if overlaps else 0.0,
        overlap=crew.overlap if overlaps else 1,
        score_run_id=choices.score_run_id,
        design=_design(sampling),
        lease_seconds=choices.lease_seconds,
        assignment=AssignmentIn(
            groups=list(crew.groups),
            people=crew.people,
            skills={place: skill.strip() for place, skill in crew.skills.items()},
            deal=crew.deal,
        ),
        rules=choices.rules,
        skip=choices.skip,
    )


def _design(sampling: Sampling) -> DesignIn:
    given = DesignIn(kind=sampling.kind, minutes=sampling.minutes)
    if sampling.kind == "stratified":
        allocation = "equal" if sampling.equal else "proportional"
        return given.model_copy(update={"by": sampling.by, "allocation": allocation})
    if sampling.kind == "active":
        strata = [StratumIn(name=name, share=share) for name, share in sampling.shares.items()]
        return given.model_copy(update={"anchor": sampling.anchor, "strata": strata})
    return given


def shares_of_parts(parts: list[str], *, anchor: float) -> dict[str, float]:
    """What the anchor leaves of the budget, in equal parts, rounded down to a thousandth."""
    if not parts:
        return {}
    each = int(1000 * (1.0 - anchor) / len(parts)) / 1000
    return dict.fromkeys(parts, each)
