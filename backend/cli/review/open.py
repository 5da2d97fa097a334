"""`strop review open`: a queue by a stated design, for whom it is, and by which rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from backend.cli.common import count_of, print_json, print_table, takes, working_in_project
from backend.cli.review.options import OpenOptions, parse_place, parse_stratum, read_rules

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.rubrics import Rubric
    from backend.services.review import Opening, QueuePlan
    from backend.services.review.opening.design import SamplingDesign
    from backend.services.review.opening.plan import Assignment


@takes(OpenOptions)
def open_(asked: OpenOptions) -> None:
    """Open a queue: single outputs (--models) or blind pairs (--pair) of a run."""
    from backend.errors import InvalidInput
    from backend.services import review
    from backend.services.review.opening.plan import warnings_of
    from backend.services.review.opening.store import check_rules

    if (asked.models is None) == (asked.pair is None):
        raise InvalidInput("Give either --models or --pair.", hint="For example: --pair base,v1")
    design, gold = _design(asked), {"gold_onboarding": asked.gold, "gold_every": asked.gold_every}
    rules = read_rules(asked.rule or [], **gold, mask=asked.mask or [])
    with working_in_project(asked.project) as (installation, session, found):
        life = asked.lease_seconds or installation.settings.lease_seconds
        opening = _opening(session, found.id, asked, design, lease_seconds=life)
        plan = review.plan_queue(session, opening)
        shown = {**_summary(asked.queue, plan), "warnings": warnings_of(session, plan)}
        if asked.dry_run:
            check_rules(plan, rules)
            session.rollback()
        else:
            shown["id"] = review.store_queue(session, asked.queue, plan, rules).id
    _show(shown, asked.json)


def _opening(
    session: Session,
    project_id: int,
    asked: OpenOptions,
    design: SamplingDesign,
    *,
    lease_seconds: int,
) -> Opening:
    """The queue as it is asked for; its rubric is saved."""
    from backend.services import review
    from backend.services.models.versions import find_model
    from backend.services.runs import scoring

    kind, labels = ("single", asked.models) if asked.pair is None else ("pair", asked.pair)
    rubric = _rubric(session, project_id, asked.rubric, kind)
    version = review.save_rubric(session, project_id, rubric)
    scored = scoring.list_score_runs(session, asked.run)
    return review.Opening(
        project_id=project_id,
        kind=kind,
        generation_run_id=asked.run,
        rubric_version_id=version.id,
        model_ids=[find_model(session, project_id, label).id for label in _names(labels)],
        reviewer_ids=_reviewer_ids(session, project_id, asked.reviewers, asked.group),
        seed=asked.seed,
        n_items=asked.items,
        overlap_share=asked.overlap_share,
        overlap=asked.overlap,
        score_run_id=scored[-1].id if scored else None,
        lease_seconds=lease_seconds,
        design=design,
        assignment=_assignment(
            session, project_id, asked.person or [], asked.skill or [], asked.deal
        ),
    )


def _rubric(session: Session, project_id: int, named: str | None, kind: str) -> Rubric:
    """The rubric of a file, or the one that a name means."""
    from pathlib import Path

    from backend.rubrics import find_rubric, library_names
    from backend.services.review.opening.checks import rubric_asked

    if named is not None and named not in library_names() and Path(named).is_file():
        return find_rubric(named)
    return rubric_asked(session, project_id, named, kind)


def _show(shown: dict[str, Any], json: bool) -> None:
    if json:
        print_json(shown)
        return
    if shown["id"] is None:
        typer.echo("Nothing was opened (--dry-run).")
    typer.echo(_sentence(shown))
    for warning in shown["warnings"]:
        typer.echo(f"Note: {warning}")
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
        f" {count_of(design['n_slots'], 'review', 'reviews')} asked of"
        f" {count_of(shown['reviewers'], 'person', 'people')}."
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
    from backend.services.review.opening.frames import ARTEFACTS

    return [mark for mark in design["giveaways"] if mark in ARTEFACTS]


def _design(asked: OpenOptions) -> SamplingDesign:
    from backend.errors import UnknownName
    from backend.services.review.opening.design import Allocation, DesignKind, SamplingDesign

    if asked.design not in list(DesignKind):
        raise UnknownName("design", asked.design, [*DesignKind])
    if asked.allocation not in list(Allocation):
        raise UnknownName("allocation", asked.allocation, [*Allocation])
    return SamplingDesign(
        kind=DesignKind(asked.design),
        by=asked.by,
        allocation=Allocation(asked.allocation),
        anchor=asked.anchor,
        targets=tuple(parse_stratum(text, asked.risk_metric) for text in _names(asked.strata)),
        minutes=asked.minutes,
        minutes_per_review=asked.minutes_per_review,
    )


def _assignment(
    session: Session, project_id: int, people: Sequence[str], skills: Sequence[str], deal: bool
) -> Assignment:
    from backend.services.accounts.users import find_member
    from backend.services.review.opening.plan import Assignment

    named = {
        place: find_member(session, project_id, name).id for place, name in map(parse_place, people)
    }
    return Assignment(named, dict(map(parse_place, skills)), deal)


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _reviewer_ids(
    session: Session, project_id: int, names: str | None, groups: str | None
) -> list[int]:
    from backend.services.accounts.users import find_member
    from backend.services.review.opening.checks import default_reviewers
    from backend.services.review.opening.plan import members_of_groups

    if names is not None or groups is not None:
        named = [find_member(session, project_id, name).id for name in _names(names)]
        grouped = members_of_groups(session, project_id, _names(groups))
        return list(dict.fromkeys([*named, *grouped]))
    return default_reviewers(session, project_id)
