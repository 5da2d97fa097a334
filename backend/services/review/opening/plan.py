"""Planning queues: a frame, a design that draws from it, overlap, and whom the reviews are for.

Everything is checked and drawn here and nothing is stored; `opening` stores what was planned.

A budget in reviewer minutes, turned into items by what reviews took so far.

What a planned queue would show, and what its lead has to know before it is opened.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.errors import CannotCompute, InvalidInput
from backend.schemas.review.desk import OutputText
from backend.schemas.review.queues import DrawnExample, StratumOut
from backend.schemas.turns import turns_of
from backend.services.metric_specs import named_or_newest_scores
from backend.services.review.blind import mask_text, masked_terms
from backend.services.review.counted import counts
from backend.services.review.desk.item_view import flags_of
from backend.services.review.desk.risk import before_the_answer
from backend.services.review.opening.assignment import (
    Assignment,
    SlotAudience,
    assign_slots,
    skills_of_members,
)
from backend.services.review.opening.checks import (
    check_design,
    check_kind,
    check_overlap,
    check_reviewers,
    check_rubric,
    check_run,
    check_score_run,
)
from backend.services.review.opening.design import (
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
from backend.services.review.opening.frames import Frame, read_frame, slices_of
from backend.services.review.opening.routing import (
    Routed,
    Routing,
    certificate_of,
    check_routing,
    route,
    routing_sentence,
    routing_warnings,
)
from backend.services.review.opening.targets import TargetMaterial, target_stratum
from backend.services.review.rules import QueueRules
from backend.settings import LEASE_SECONDS
from backend.tables.datasets import Example, Split
from backend.tables.review import QueueKind, Review, ReviewItem, ReviewQueue, RubricVersion
from backend.tables.runs import Generation, GenerationRun
from evaluators.spread import cut

LEAST_TIMED = 5
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Pace:
    """Active seconds that a review takes, and where that is known from."""

    seconds: float
    source: str


def measured_pace(
    session: Session, project_id: int, rubric: RubricVersion, kind: QueueKind
) -> Pace | None:
    """Mean active time of people's counted reviews under any version of this rubric.

    None when fewer than LEAST_TIMED of them were timed; simulated ones tell nothing of people.
    """
    query = (
        select(func.count(), func.avg(Review.active_seconds))
        .select_from(Review)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .join(ReviewQueue, ReviewQueue.id == ReviewItem.queue_id)
        .join(RubricVersion, RubricVersion.id == ReviewQueue.rubric_version_id)
        .where(
            ReviewQueue.project_id == project_id,
            ReviewQueue.kind == kind,
            RubricVersion.name == rubric.name,
            Review.active_seconds > 0,
            Review.simulated.is_(False),
            *counts(),
        )
    )
    n, mean = session.execute(query).one()
    if n < LEAST_TIMED:
        return None
    return Pace(float(mean), f"the mean of {n} earlier reviews under {rubric.name}")


def expected_pace(measured: Pace | None, stated_minutes: float | None) -> Pace | None:
    """The measured pace, else the stated one, else None."""
    if measured is not None or stated_minutes is None:
        return measured
    return Pace(stated_minutes * 60, "stated when the queue was opened")


def affordable_items(
    minutes: float, pace: Pace | None, *, overlap_share: float, overlap: int
) -> int:
    """How many items fit into so many active minutes, reviews by several people included.

    Raises:
        CannotCompute: nothing is known of how long a review takes.
        InvalidInput: not even one item fits.
    """
    if pace is None:
        raise CannotCompute(
            f"Fewer than {LEAST_TIMED} reviews under this rubric were timed, so minutes cannot be "
            "turned into items.",
            hint="State the minutes per review, or give a number of items.",
        )
    reviews = minutes * 60 / pace.seconds
    items = math.floor(reviews / (1 + overlap_share * (overlap - 1)) + 1e-9)
    if items < 1:
        raise InvalidInput(
            f"{minutes:g} minutes are less than one review of {pace.seconds / 60:.1f} minutes.",
            hint="Give more minutes.",
        )
    return items


@dataclass(frozen=True, slots=True)
class Opening:
    """What a queue is asked to be, but for its name and its rules.

    Attributes:
        n_items: how many items; all of them when None or when there are fewer. An active design
            needs a number, or minutes in its design.
        overlap_share: share of the items that `overlap` distinct people review; they come first.
        score_run_id: where flagged spans and targeted strata take their scores from; targeted
            strata go by the newest scores of the run where none is named.
        routing: by which certificate outputs that the design takes skip review; None: none do.
        only: of single outputs, the ids of those that may be shown; None: all.
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
    lease_seconds: int = LEASE_SECONDS
    design: SamplingDesign = field(default_factory=SamplingDesign)
    assignment: Assignment = field(default_factory=Assignment)
    routing: Routing | None = None
    only: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class QueuePlan:
    """A queue that could be opened: checked and drawn, in the order in which it will be shown.

    Attributes:
        required: reviews of each drawn item.
        wanted: for each drawn item whom each of its reviews is for.
        pace: what a review is expected to take; None where nothing is known of it.
        routed: what of the sample is reviewed (`drawn`), and what skips.
    """

    opening: Opening
    kind: QueueKind
    run: GenerationRun
    rubric: RubricVersion
    frame: Frame
    drawn: tuple[Drawn, ...]
    strata: tuple[StratumOut, ...]
    required: tuple[int, ...]
    wanted: tuple[list[SlotAudience], ...]
    pace: Pace | None
    rng: random.Random
    routed: Routed

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
        routing = {} if self.opening.routing is None else {"routing": self._routing()}
        return {
            **routing,
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
            "identical": [[*models, n] for models, n in self.frame.identical.items()],
            "strata": [stratum.model_dump() for stratum in self.strata],
            "minutes": self.minutes,
            "seconds_per_review": None if self.pace is None else self.pace.seconds,
            "seconds_from": None if self.pace is None else self.pace.source,
            "giveaways": dict(self.frame.giveaways),
        }

    def _routing(self) -> dict[str, Any]:
        routing = self.opening.routing
        assert routing is not None
        return {
            **certificate_of(routing),
            "n_skipped": len(self.routed.skipped),
            "n_audited": self.routed.n_audited,
            "n_without": self.routed.n_without,
            "evidence": dict(routing.evidence),
            "sentence": routing_sentence(routing, self.routed),
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
    frame = read_frame(
        session, run.id, kind, opening.model_ids, model_names=names, only=opening.only
    )
    pace = expected_pace(
        measured_pace(session, opening.project_id, rubric, kind), opening.design.minutes_per_review
    )
    budget = _budget(opening, pace)
    rng = random.Random(opening.seed)
    sample, strata = _draw(session, opening, frame, budget, rng)
    routed = _route(session, opening, frame, sample, rng)
    drawn = routed.drawn
    n_overlap = round(opening.overlap_share * len(drawn))
    required = (opening.overlap,) * n_overlap + (1,) * (len(drawn) - n_overlap)
    return QueuePlan(
        opening=opening,
        kind=kind,
        run=run,
        rubric=rubric,
        frame=frame,
        drawn=drawn,
        strata=tuple(_count(stratum, sample) for stratum in strata),
        required=required,
        wanted=tuple(_assign(session, opening, frame, drawn, required)),
        pace=pace,
        rng=rng,
        routed=routed,
    )


def _route(
    session: Session, opening: Opening, frame: Frame, sample: Sequence[Drawn], rng: random.Random
) -> Routed:
    if opening.routing is None:
        return Routed(tuple(sample))
    check_routing(opening.routing, opening.kind)
    return route(session, opening.routing, frame, sample, rng)


def _budget(opening: Opening, pace: Pace | None) -> int | None:
    if opening.design.minutes is None:
        return opening.n_items
    share, people = opening.overlap_share, opening.overlap
    return affordable_items(opening.design.minutes, pace, overlap_share=share, overlap=people)


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
    scores = named_or_newest_scores(session, opening.score_run_id, opening.generation_run_id)
    material = TargetMaterial(session, opening.project_id, frame, scores)
    targeted = [target_stratum(material, t, n) for t, n in zip(targets, counts, strict=True)]
    return [anchor_stratum(len(frame.candidates), n_anchor), *targeted]


def _count(stratum: Stratum, drawn: Sequence[Drawn]) -> StratumOut:
    return StratumOut(
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
) -> list[list[SlotAudience]]:
    if opening.assignment.is_empty:
        return [[SlotAudience()] * n for n in required]
    return assign_slots(
        opening.assignment,
        slices_of(session, [frame.candidates[item.number] for item in drawn]),
        required,
        reviewer_ids=opening.reviewer_ids,
        skills_of=skills_of_members(session, opening.project_id, opening.reviewer_ids),
    )


EXAMPLES_SHOWN = 3


def drawn_examples(
    session: Session, plan: QueuePlan, rules: QueueRules, *, limit: int = EXAMPLES_SHOWN
) -> list[DrawnExample]:
    """The first items that the queue would give out, masked as its rules say."""
    design = plan.as_design()
    terms = masked_terms(session.connection(), rules, design)
    told = before_the_answer(rules, design, pair=False)
    return [_example(session, plan, drawn, terms, told=told) for drawn in plan.drawn[:limit]]


def _example(
    session: Session, plan: QueuePlan, drawn: Drawn, terms: list[str], *, told: bool
) -> DrawnExample:
    candidate = plan.frame.candidates[drawn.number]
    example = session.get_one(Example, candidate.example_id)
    shown = []
    for output_id in candidate.output_ids:
        text = mask_text(session.get_one(Generation, output_id).text or "", terms)
        scores = plan.opening.score_run_id if candidate.b_id is None else None
        flags = flags_of(session.connection(), scores, output_id, terms, told=told)
        shown.append(OutputText(text=text, flagged=flags))
    return DrawnExample(
        input=example.input,
        turns=turns_of(example.messages),
        context=example.context,
        outputs=shown,
        split=example.split,
        why=drawn.why,
    )


def splits_drawn(session: Session, plan: QueuePlan) -> dict[str, int]:
    """How many of the items that would be drawn are of each split."""
    drawn = [plan.frame.candidates[one.number].example_id for one in plan.drawn]
    split_of: dict[int, str] = {}
    for some in cut(drawn, CHUNK):
        query = select(Example.id, Example.split).where(Example.id.in_(some))
        split_of.update((row.id, row.split) for row in session.execute(query))
    return dict(Counter(split_of[example_id] for example_id in drawn))


def warnings_of(session: Session, plan: QueuePlan) -> list[str]:
    """What is no fault and yet is better known before, as sentences."""
    warnings, n = [], len(plan.drawn)
    drawn = splits_drawn(session, plan)
    held_out = n - drawn.get(Split.TRAIN, 0)
    if plan.kind is QueueKind.SINGLE and held_out:
        warnings.append(
            f"{held_out} of the {n} items are held out ({_named(drawn)}): what experts correct "
            "there measures models, and will never enter a training set."
        )
    if plan.kind is QueueKind.PAIR and held_out < n:
        warnings.append(
            f"{n - held_out} of the {n} pairs are on examples that models may be trained on "
            f"({_named(drawn)}): votes on them prove nothing of held-out ones."
        )
    if plan.opening.routing is not None:
        warnings += routing_warnings(plan.opening.routing, plan.routed)
    if max(plan.required, default=1) == 1:
        warnings.append(
            "Each item is seen by one person, so how far reviewers agree cannot be said."
        )
    return warnings


def _named(drawn: dict[str, int]) -> str:
    return ", ".join(f"{split} {n}" for split, n in sorted(drawn.items()))
