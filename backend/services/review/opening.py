"""Opening queues: a frame, a design that draws from it, sides, overlap, and whom it is for.

`plan_queue` checks and draws without storing anything; `open_queue` stores what it planned.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, assert_never, cast

from sqlalchemy import Table, insert, select
from sqlalchemy.orm import Session

from backend.services.review.assignments import (
    Assignment,
    Wanted,
    assign_slots,
    skills_of_members,
)
from backend.services.review.budgets import (
    Pace,
    affordable_items,
    expected_pace,
    measured_pace,
)
from backend.services.review.design_measures import Material, target_stratum
from backend.services.review.designs import (
    DesignKind,
    Drawn,
    SamplingDesign,
    Stratum,
    anchor_stratum,
    draw_simple,
    draw_strata,
    share_budget,
    stratify,
)
from backend.services.review.frames import Frame, read_frame, slices_of
from backend.services.review.leases import SLOTS
from backend.services.review.opening_rules import (
    check_design,
    check_kind,
    check_name,
    check_overlap,
    check_reviewers,
    check_rubric,
    check_run,
    check_score_run,
)
from backend.services.review.queues import add_reviewers
from backend.services.review.rules import DEFAULT, QueueRules
from backend.tables.generation import GenerationRun
from backend.tables.review import QueueKind, ReviewItem, ReviewQueue, RubricVersion, SlotState
from backend.tables.scoring import ScoreRun

ITEMS = cast(Table, ReviewItem.__table__)
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Opening:
    """What a queue is asked to be, but for its name and its rules.

    Attributes:
        n_items: how many items; all of them when None or when there are fewer. An active design
            needs a number, or minutes in its design.
        overlap_share: share of the items that `overlap` distinct people review; they come first.
        score_run_id: where flagged spans and targeted strata take their scores from; targeted
            strata go by the newest scores of the run where none is named.
    """

    project_id: int
    kind: str
    generation_run_id: int
    rubric_version_id: int
    model_ids: Sequence[int]
    reviewer_ids: Sequence[int]
    seed: int
    n_items: int | None = None
    overlap_share: float = 0.0
    overlap: int = 1
    score_run_id: int | None = None
    lease_seconds: int = 600
    design: SamplingDesign = field(default_factory=SamplingDesign)
    assignment: Assignment = field(default_factory=Assignment)


@dataclass(frozen=True, slots=True)
class StratumDrawn:
    """A part of a design: items that it could draw, was asked for and drew first."""

    name: str
    why: str
    n_frame: int
    n_asked: int
    n_drawn: int
    n_without: int


@dataclass(frozen=True, slots=True)
class QueuePlan:
    """A queue that could be opened: checked and drawn, in the order in which it will be shown.

    Attributes:
        required: reviews of each drawn item.
        wanted: for each drawn item whom each of its reviews is for.
        pace: what a review is expected to take; None where nothing is known of it.
    """

    opening: Opening
    kind: QueueKind
    run: GenerationRun
    rubric: RubricVersion
    frame: Frame
    drawn: tuple[Drawn, ...]
    strata: tuple[StratumDrawn, ...]
    required: tuple[int, ...]
    wanted: tuple[list[Wanted], ...]
    pace: Pace | None
    rng: random.Random

    @property
    def n_slots(self) -> int:
        """Required reviews in all."""
        return sum(self.required)

    @property
    def minutes(self) -> float | None:
        """Active minutes that the reviews are expected to take."""
        return None if self.pace is None else self.n_slots * self.pace.seconds / 60

    def as_design(self) -> dict[str, Any]:
        """How the items were chosen; stored with the queue, JSON-serialisable."""
        overlapping = [n for n in self.required if n > 1]
        return {
            "kind": str(self.opening.design.kind),
            "model_ids": list(self.opening.model_ids),
            "seed": self.opening.seed,
            "n_candidates": len(self.frame.candidates),
            "n_items": len(self.drawn),
            "n_slots": self.n_slots,
            "overlap": self.opening.overlap,
            "n_overlap": len(overlapping),
            "n_without_output": self.frame.n_without_output,
            "n_identical": self.frame.n_identical,
            "strata": [asdict(stratum) for stratum in self.strata],
            "minutes": self.minutes,
            "seconds_per_review": None if self.pace is None else self.pace.seconds,
            "seconds_from": None if self.pace is None else self.pace.source,
            "giveaways": dict(self.frame.giveaways),
        }


def plan_queue(session: Session, opening: Opening) -> QueuePlan:
    """Check what is asked for and draw the items; nothing is stored.

    Kind `single`: one item for each generation of the models. Kind `pair`: one for each example
    and each two of the models, the earlier one being a.

    Raises:
        NotFound: run, rubric or score run is not of this project.
        InvalidInput: models, reviewers, overlap, budget or strata do not fit; nothing to review.
        CannotCompute: a targeted stratum, or a budget in minutes, lacks its input.
        Conflict: the run is not finished.
    """
    kind = check_kind(opening.kind, opening.model_ids)
    run = check_run(session, opening.project_id, opening.generation_run_id, opening.model_ids)
    rubric = check_rubric(session, opening.project_id, opening.rubric_version_id, kind)
    check_score_run(session, opening.score_run_id, run)
    check_reviewers(session, opening.project_id, opening.reviewer_ids)
    n_people = len(set(opening.reviewer_ids))
    check_overlap(opening.overlap_share, opening.overlap, n_people, opening.lease_seconds)
    check_design(opening.design, opening.n_items)
    names = [name for m in run.models if m.id in opening.model_ids for name in (m.name, m.label)]
    frame = read_frame(session, run.id, kind, opening.model_ids, model_names=names)
    pace = expected_pace(
        measured_pace(session, opening.project_id, rubric, kind), opening.design.minutes_per_review
    )
    budget = _budget(opening, pace)
    rng = random.Random(opening.seed)
    drawn, strata = _draw(session, opening, frame, budget, rng)
    n_overlap = round(opening.overlap_share * len(drawn))
    required = (opening.overlap,) * n_overlap + (1,) * (len(drawn) - n_overlap)
    return QueuePlan(
        opening=opening,
        kind=kind,
        run=run,
        rubric=rubric,
        frame=frame,
        drawn=tuple(drawn),
        strata=tuple(_count(stratum, drawn) for stratum in strata),
        required=required,
        wanted=tuple(_assign(session, opening, frame, drawn, required)),
        pace=pace,
        rng=rng,
    )


def open_queue(
    session: Session,
    *,
    project_id: int,
    name: str,
    kind: str,
    generation_run_id: int,
    rubric_version_id: int,
    model_ids: Sequence[int],
    reviewer_ids: Sequence[int],
    seed: int,
    n_items: int | None = None,
    overlap_share: float = 0.0,
    overlap: int = 1,
    score_run_id: int | None = None,
    lease_seconds: int = 600,
    design: SamplingDesign | None = None,
    assignment: Assignment | None = None,
    rules: QueueRules = DEFAULT,
) -> ReviewQueue:
    """Open a queue over what the models of a run wrote: see `Opening` and `plan_queue`.

    Items come in random order; for half of the pairs, drawn at random, a is shown on the left.

    Raises:
        Conflict: the project has a queue of this name; others as `plan_queue`.
    """
    check_name(session, project_id, name)
    opening = Opening(
        project_id=project_id,
        kind=kind,
        generation_run_id=generation_run_id,
        rubric_version_id=rubric_version_id,
        model_ids=model_ids,
        reviewer_ids=reviewer_ids,
        seed=seed,
        n_items=n_items,
        overlap_share=overlap_share,
        overlap=overlap,
        score_run_id=score_run_id,
        lease_seconds=lease_seconds,
        design=design or SamplingDesign(),
        assignment=assignment or Assignment(),
    )
    return _store(session, name, plan_queue(session, opening), rules)


def _budget(opening: Opening, pace: Pace | None) -> int | None:
    if opening.design.minutes is None:
        return opening.n_items
    return affordable_items(
        opening.design.minutes,
        pace,
        overlap_share=opening.overlap_share,
        overlap=opening.overlap,
    )


def _draw(
    session: Session, opening: Opening, frame: Frame, budget: int | None, rng: random.Random
) -> tuple[list[Drawn], list[Stratum]]:
    n_frame, design = len(frame.candidates), opening.design
    match design.kind:
        case DesignKind.RANDOM:
            return draw_simple(n_frame, budget, rng), []
        case DesignKind.STRATIFIED:
            key = design.by or ""
            values = [slices.get(key) for slices in slices_of(session, frame.candidates)]
            strata = stratify(values, key=key, budget=budget, allocation=design.allocation)
        case DesignKind.ACTIVE:
            strata = _active_strata(session, opening, frame, budget or n_frame)
        case _:
            assert_never(design.kind)
    return draw_strata(strata, rng), strata


def _active_strata(session: Session, opening: Opening, frame: Frame, budget: int) -> list[Stratum]:
    targets = opening.design.targets
    n_anchor, counts = share_budget(
        targets, anchor=opening.design.anchor, budget=min(budget, len(frame.candidates))
    )
    scores = _scores(session, opening)
    material = Material(session, opening.project_id, frame, scores)
    targeted = [target_stratum(material, t, n) for t, n in zip(targets, counts, strict=True)]
    return [anchor_stratum(len(frame.candidates), n_anchor), *targeted]


def _scores(session: Session, opening: Opening) -> ScoreRun | None:
    if opening.score_run_id is not None:
        return session.get_one(ScoreRun, opening.score_run_id)
    newest = select(ScoreRun).where(ScoreRun.generation_run_id == opening.generation_run_id)
    return session.scalar(newest.order_by(ScoreRun.id.desc()).limit(1))


def _count(stratum: Stratum, drawn: Sequence[Drawn]) -> StratumDrawn:
    return StratumDrawn(
        name=stratum.name,
        why=stratum.why,
        n_frame=len(stratum.members),
        n_asked=stratum.n,
        n_drawn=sum(item.stratum == stratum.name for item in drawn),
        n_without=stratum.n_without,
    )


def _assign(
    session: Session,
    opening: Opening,
    frame: Frame,
    drawn: Sequence[Drawn],
    required: Sequence[int],
) -> list[list[Wanted]]:
    if opening.assignment.is_empty:
        return [[Wanted()] * n for n in required]
    return assign_slots(
        opening.assignment,
        slices_of(session, [frame.candidates[item.number] for item in drawn]),
        required,
        reviewer_ids=opening.reviewer_ids,
        skills_of=skills_of_members(session, opening.project_id, opening.reviewer_ids),
    )


def _store(session: Session, name: str, plan: QueuePlan, rules: QueueRules) -> ReviewQueue:
    minutes = plan.opening.design.minutes
    if minutes is not None and rules.minutes_budget is None:
        rules = replace(rules, minutes_budget=minutes)
    queue = ReviewQueue(
        project_id=plan.opening.project_id,
        name=name,
        kind=plan.kind,
        generation_run_id=plan.run.id,
        score_run_id=plan.opening.score_run_id,
        rubric_version_id=plan.rubric.id,
        seed=plan.opening.seed,
        lease_seconds=plan.opening.lease_seconds,
        design=plan.as_design(),
        rules=rules.as_dict(),
    )
    session.add(queue)
    session.flush()
    _add_items(session, queue.id, plan)
    add_reviewers(session, queue.id, plan.opening.reviewer_ids)
    return queue


def _add_items(session: Session, queue_id: int, plan: QueuePlan) -> None:
    sides = [n % 2 == 0 for n in range(len(plan.drawn))]
    plan.rng.shuffle(sides)
    position = 0
    for start in range(0, len(plan.drawn), CHUNK):
        numbers = range(start, min(start + CHUNK, len(plan.drawn)))
        items = [_item_row(queue_id, plan, n, sides[n]) for n in numbers]
        stored = insert(ITEMS).returning(ITEMS.c.id, sort_by_parameter_order=True)
        ids = session.scalars(stored, items).all()
        slots = [
            {
                "queue_id": queue_id,
                "item_id": item_id,
                "number": number,
                "state": SlotState.OPEN,
                "version": 0,
                "assigned_to_id": wanted.person_id,
                "required_skill": wanted.skill,
            }
            for item_id, n in zip(ids, numbers, strict=True)
            for number, wanted in enumerate(plan.wanted[n])
        ]
        placed = [{**slot, "position": position + i} for i, slot in enumerate(slots)]
        session.execute(insert(SLOTS), placed)
        position += len(placed)


def _item_row(queue_id: int, plan: QueuePlan, n: int, a_is_left: bool) -> dict[str, Any]:
    drawn = plan.drawn[n]
    candidate = plan.frame.candidates[drawn.number]
    return {
        "queue_id": queue_id,
        "position": n,
        "generation_a_id": candidate.a_id,
        "generation_b_id": candidate.b_id,
        "a_is_left": a_is_left or candidate.b_id is None,
        "required_reviews": plan.required[n],
        "inclusion_probability": drawn.probability,
        "stratum": drawn.stratum,
        "why": drawn.why,
    }
