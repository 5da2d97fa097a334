"""`strop review open`: a queue by a stated design, for whom it is, and by which rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from backend.cli.common import (
    JsonOption,
    ProjectOption,
    print_json,
    print_table,
    working_in_project,
)
from backend.cli.review_options import (
    Allocate,
    Anchor,
    By,
    Deal,
    DesignName,
    DryRun,
    GoldEvery,
    GoldFirst,
    Group,
    Items,
    LeaseSeconds,
    Mask,
    Minutes,
    MinutesPerReview,
    Models,
    Overlap,
    OverlapShare,
    Pair,
    Person,
    QueueName,
    Reviewers,
    RiskMetric,
    Rubric,
    Rule,
    Run,
    Seed,
    Skill,
    Strata,
    parse_place,
    parse_stratum,
    read_rules,
)

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.services.review import QueuePlan
    from backend.services.review.assignments import Assignment
    from backend.services.review.designs import SamplingDesign

DEFAULT_RUBRICS = {"single": "summary_faithfulness", "pair": "blind_pair"}


def open_(
    queue: QueueName,
    run: Run,
    models: Models = None,
    pair: Pair = None,
    rubric: Rubric = None,
    reviewers: Reviewers = None,
    items: Items = None,
    overlap: Overlap = 1,
    overlap_share: OverlapShare = 0.0,
    seed: Seed = 7,
    lease_seconds: LeaseSeconds = None,
    design: DesignName = "random",
    by: By = None,
    allocation: Allocate = "proportional",
    strata: Strata = None,
    anchor: Anchor = None,
    risk_metric: RiskMetric = None,
    minutes: Minutes = None,
    minutes_per_review: MinutesPerReview = None,
    group: Group = None,
    person: Person = None,
    skill: Skill = None,
    deal: Deal = False,
    gold: GoldFirst = 0,
    gold_every: GoldEvery = 0,
    mask: Mask = None,
    rule: Rule = None,
    dry_run: DryRun = False,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Open a queue: single outputs (--models) or blind pairs (--pair) of a run."""
    from backend.errors import InvalidInput
    from backend.rubrics import find_rubric
    from backend.services import review, scoring
    from backend.services.model_versions import find_model

    if (models is None) == (pair is None):
        raise InvalidInput("Give either --models or --pair.", hint="For example: --pair base,v1")
    kind, labels = ("single", models) if pair is None else ("pair", pair)
    asked = _design(design, by, allocation, strata, anchor, risk_metric)
    rules = read_rules(rule or [], gold_onboarding=gold, gold_every=gold_every, mask=mask or [])
    with working_in_project(project) as (installation, session, found):
        version = review.save_rubric(
            session, found.id, find_rubric(rubric or DEFAULT_RUBRICS[kind])
        )
        scored = scoring.list_score_runs(session, run)
        opening = review.Opening(
            project_id=found.id,
            kind=kind,
            generation_run_id=run,
            rubric_version_id=version.id,
            model_ids=[find_model(session, found.id, label).id for label in _names(labels)],
            reviewer_ids=_reviewer_ids(session, found.id, reviewers, group),
            seed=seed,
            n_items=items,
            overlap_share=overlap_share,
            overlap=overlap,
            score_run_id=scored[-1].id if scored else None,
            lease_seconds=lease_seconds or installation.settings.lease_seconds,
            design=_with_minutes(asked, minutes, minutes_per_review),
            assignment=_assignment(session, person or [], skill or [], deal),
        )
        plan = review.plan_queue(session, opening)
        shown = _summary(queue, plan)
        if dry_run:
            session.rollback()
        else:
            shown["id"] = review.store_queue(session, queue, plan, rules).id
    _show(shown, json)


def _show(shown: dict[str, Any], json: bool) -> None:
    if json:
        print_json(shown)
        return
    if shown["id"] is None:
        typer.echo("Nothing was opened (--dry-run).")
    typer.echo(_sentence(shown))
    if shown["design"]["strata"]:
        columns = ["name", "n_frame", "n_asked", "n_drawn", "n_without"]
        print_table(shown["design"]["strata"], columns=columns, title="Strata")


def _summary(queue: str, plan: QueuePlan) -> dict[str, Any]:
    return {
        "queue": queue,
        "id": None,
        "kind": str(plan.kind),
        "run": plan.run.id,
        "reviewers": len(set(plan.opening.reviewer_ids)),
        "design": plan.as_design(),
    }


def _sentence(shown: dict[str, Any]) -> str:
    design = shown["design"]
    parts = [
        f"{shown['queue']}: {design['n_items']} of {design['n_candidates']} items,"
        f" {design['n_slots']} reviews asked of {shown['reviewers']} people."
    ]
    if design["minutes"] is not None:
        parts.append(
            f"About {design['minutes']:.0f} minutes of review at "
            f"{design['seconds_per_review'] / 60:.1f} each, {design['seconds_from']}."
        )
    if design["n_without_output"]:
        parts.append(f"{design['n_without_output']} outputs failed and are left out.")
    if design["n_identical"]:
        parts.append(f"{design['n_identical']} pairs with the same text are left out as ties.")
    if marks := [f"{mark!r} in {design['giveaways'][mark]}" for mark in _artefacts(design)]:
        parts.append(f"Some outputs show their model's template: {', '.join(marks)}; see --mask.")
    return " ".join(parts)


def _artefacts(design: dict[str, Any]) -> list[str]:
    """Marks of templates; the names of models are hidden anyway."""
    from backend.services.review.frames import ARTEFACTS

    return [mark for mark in design["giveaways"] if mark in ARTEFACTS]


def _design(
    kind: str,
    by: str | None,
    allocation: str,
    strata: str | None,
    anchor: float | None,
    risk_metric: str | None,
) -> SamplingDesign:
    from backend.errors import UnknownName
    from backend.services.review.designs import Allocation, DesignKind, SamplingDesign

    if kind not in list(DesignKind):
        raise UnknownName("design", kind, [*DesignKind])
    if allocation not in list(Allocation):
        raise UnknownName("allocation", allocation, [*Allocation])
    return SamplingDesign(
        kind=DesignKind(kind),
        by=by,
        allocation=Allocation(allocation),
        anchor=anchor,
        targets=tuple(parse_stratum(text, risk_metric) for text in _names(strata)),
    )


def _with_minutes(
    design: SamplingDesign, minutes: float | None, minutes_per_review: float | None
) -> SamplingDesign:
    from dataclasses import replace

    return replace(design, minutes=minutes, minutes_per_review=minutes_per_review)


def _assignment(
    session: Session, people: Sequence[str], skills: Sequence[str], deal: bool
) -> Assignment:
    from backend.services.review.assignments import Assignment
    from backend.services.users import find_user

    named = {place: find_user(session, name).id for place, name in map(parse_place, people)}
    return Assignment(named, dict(map(parse_place, skills)), deal)


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _reviewer_ids(
    session: Session, project_id: int, names: str | None, groups: str | None
) -> list[int]:
    from backend.errors import InvalidInput
    from backend.services.review.assignments import members_of_groups
    from backend.services.users import find_user, list_users
    from backend.tables.users import Role

    if names is not None or groups is not None:
        named = [find_user(session, name).id for name in _names(names)]
        grouped = members_of_groups(session, project_id, _names(groups))
        return list(dict.fromkeys([*named, *grouped]))
    members = list_users(session, project_id=project_id)
    experts = [user.id for user in members if user.active and user.role == Role.EXPERT]
    if not experts:
        raise InvalidInput(
            "This project has no experts.",
            hint="Add one: strop user add NAME --role expert, or name --reviewers.",
        )
    return experts
