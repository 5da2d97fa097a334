"""Opening queues: what was planned is stored as items in order, sides, slots and members."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from backend.services.review.opening.checks import check_name, check_share
from backend.services.review.opening.plan import Opening, QueuePlan, plan_queue
from backend.services.review.opening.routing import store_routing
from backend.services.review.queues import add_reviewers
from backend.services.review.rules import DEFAULT, QueueRules
from backend.services.review.statements import ITEMS, SLOTS
from backend.tables.review import ReviewQueue, SlotState

CHUNK = 500


def open_queue(
    session: Session, name: str, opening: Opening, rules: QueueRules = DEFAULT
) -> ReviewQueue:
    """Open a queue over what the models of a run wrote.

    Items come in random order; for half of the pairs, drawn at random, a is shown on the left.

    Raises:
        Conflict: the project has a queue of this name; others as `plan_queue`.
    """
    return store_queue(session, name, plan_queue(session, opening), rules)


def store_queue(session: Session, name: str, plan: QueuePlan, rules: QueueRules) -> ReviewQueue:
    """Open a queue as it was planned in this transaction.

    Raises:
        Conflict: the project has a queue of this name.
        InvalidInput: as `check_rules`.
    """
    check_name(session, plan.opening.project_id, name)
    check_rules(plan, rules)
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
    if plan.opening.routing is not None:
        store_routing(session, queue.id, plan.opening.routing, plan.routed)
    add_reviewers(session, queue.id, plan.opening.reviewer_ids)
    return queue


def check_rules(plan: QueuePlan, rules: QueueRules) -> None:
    """InvalidInput for rules under which a planned queue could not come to an end."""
    n_people = len(set(plan.opening.reviewer_ids))
    check_share(rules.max_share, n_people=n_people, n_slots=plan.n_slots)


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
