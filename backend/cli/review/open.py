"""`strop review open`: a queue by a stated design, for whom it is, and by which rules.

The options of `strop review open`, and how their texts are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from backend.cli.common import in_project
from backend.cli.inputs import names_in
from backend.cli.options import JsonOption, ProjectOption, takes
from backend.cli.terminal.printing import count_of, print_json, print_table

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.rubrics import Rubric
    from backend.services.review import Opening, QueuePlan, QueueRules
    from backend.services.review.opening.assignment import Assignment
    from backend.services.review.opening.design import SamplingDesign, Target
    from backend.services.review.opening.routing import Routing

PLACE = "SLICE:NAME"
Text = str | None


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """What `strop review open` is asked for."""

    queue: Annotated[str, Option("--queue", help="Name of the new queue.")]
    run: Annotated[int, Option("--run", help="Run whose outputs are reviewed.")]
    models: Annotated[Text, Option("--models", help="Rate outputs of these: base,v1.")] = None
    pair: Annotated[Text, Option("--pair", help="Blind A/B of these: base,v1.")] = None
    rubric: Annotated[Text, Option("--rubric", help="Rubric: a name or a YAML file.")] = None
    reviewers: Annotated[
        Text, Option("--reviewers", help="User names; default: the project's experts.")
    ] = None
    items: Annotated[int | None, Option(min=1, help="How many items; default: all.")] = None
    overlap: Annotated[int, Option(min=1, help="People per overlap item.")] = 1
    overlap_share: Annotated[
        float, Option(min=0, max=1, help="Share of the items that several people review.")
    ] = 0.0
    seed: Annotated[int, Option(help="Seed of sample, order and sides.")] = 7
    lease_seconds: Annotated[int | None, Option(help="Life of a lease.")] = None
    design: Annotated[str, Option("--design", help="random, stratified or active.")] = "random"
    by: Annotated[Text, Option("--by", help="Stratified: the key of the slice.")] = None
    allocation: Annotated[
        str, Option("--allocation", help="Stratified: proportional, or equal numbers.")
    ] = "proportional"
    strata: Annotated[
        Text,
        Option(
            "--strata",
            help="Active: high_risk:0.3,models_disagree:20,slice:task=reply; "
            "a share or a number each.",
        ),
    ] = None
    anchor: Annotated[
        float | None, Option(help="Active: share of the random anchor; default: the rest.")
    ] = None
    risk_metric: Annotated[
        Text, Option("--risk-metric", help="The check for high_risk and for --skip-below.")
    ] = None
    skip_below: Annotated[
        Text,
        Option(
            "--skip-below",
            metavar="EPSILON,DELTA",
            help="Outputs of low risk skip review: at most EPSILON of them wrong, confidence "
            "1-DELTA, certified on earlier reviews.",
        ),
    ] = None
    audit: Annotated[
        float, Option(help="Share of what skips that is reviewed all the same, at random.")
    ] = 0.1
    wrong_when: Annotated[
        Text,
        Option(
            "--wrong-when",
            help="Which answers count as wrong: marked, faithful=no, quality<3; default: "
            "marked errors, corrections, verdicts that are no pass.",
        ),
    ] = None
    minutes: Annotated[float | None, Option(help="Budget in active minutes of review.")] = None
    minutes_per_review: Annotated[
        float | None, Option(help="Taken until five reviews under the rubric were timed.")
    ] = None
    group: Annotated[Text, Option("--group", help="Reviewers: all members of these groups.")] = None
    person: Annotated[
        list[str] | None, Option("--person", help="task=a:anna; may be repeated.", metavar=PLACE)
    ] = None
    skill: Annotated[
        list[str] | None, Option("--skill", help="lang=de:german; repeatable.", metavar=PLACE)
    ] = None
    deal: Annotated[bool, Option("--deal", help="Deal all items out to the reviewers.")] = False
    gold: Annotated[int, Option("--gold", min=0, help="Known answers to begin with.")] = 0
    gold_every: Annotated[int, Option(min=0, help="Then one after so many items; 0: never.")] = 0
    mask: Annotated[
        list[str] | None, Option("--mask", help="Text to black out in outputs; repeatable.")
    ] = None
    rule: Annotated[
        list[str] | None,
        Option("--rule", help="Any rule, as skip_policy=me; repeatable.", metavar="NAME=VALUE"),
    ] = None
    dry_run: Annotated[
        bool, Option("--dry-run", help="Show what would be drawn; open nothing.")
    ] = False
    project: ProjectOption = None
    json: JsonOption = False


def parse_stratum(text: str, risk_metric: str | None = None) -> Target:
    """`name`, `name:0.3` (a share) or `name:20` (a number of items)."""
    from backend.services.review.opening.design import Target

    name, _, size = text.rpartition(":")
    if size.isdigit() and name:
        return Target(name, n=int(size), metric=_metric_of(name, risk_metric))
    if name and size.replace(".", "", 1).isdigit():
        return Target(name, share=float(size), metric=_metric_of(name, risk_metric))
    return Target(text, metric=_metric_of(text, risk_metric))


def _metric_of(name: str, risk_metric: str | None) -> str | None:
    return risk_metric if name == "high_risk" else None


def read_rules(given: Sequence[str], **named: Any) -> QueueRules:
    """Rules as `name=value`, values as JSON or plain text; options of their own come first."""
    import json

    from backend.errors import InvalidInput
    from backend.services.review import rules_from

    rules = {name: value for name, value in named.items() if value}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidInput(f"{text!r} is no rule.", hint="Write it as NAME=VALUE.")
        try:
            rules[name.strip()] = json.loads(value)
        except json.JSONDecodeError:
            rules[name.strip()] = value
    return rules_from(rules)


def parse_place(text: str) -> tuple[str, str]:
    """`task=a:NAME` as slice and name."""
    from backend.errors import InvalidInput

    place, _, name = text.rpartition(":")
    if not place or not name.strip():
        raise InvalidInput(f"{text!r} names no slice.", hint="Write it as task=a:NAME.")
    return place, name.strip()


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
    with in_project(asked.project) as (installation, session, found):
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
    model_ids = [find_model(session, project_id, label).id for label in names_in(labels)]
    return review.Opening(
        project_id=project_id,
        kind=kind,
        generation_run_id=asked.run,
        rubric_version_id=version.id,
        model_ids=model_ids,
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
        routing=_routing(session, project_id, asked, model_ids, rubric),
    )


def _routing(
    session: Session, project_id: int, asked: OpenOptions, model_ids: Sequence[int], rubric: Rubric
) -> Routing | None:
    """The certificate by which outputs skip review, where that is asked for."""
    from backend.errors import InvalidInput
    from backend.services.checks.triage import SkipRequest, certify, parse_skip_below

    if asked.skip_below is None:
        return None
    if asked.pair is not None:
        raise InvalidInput("Only queues of single outputs can be routed by risk.")
    epsilon, delta = parse_skip_below(asked.skip_below)
    skip = SkipRequest(epsilon, delta, asked.audit, asked.risk_metric, asked.wrong_when)
    return certify(session, project_id, skip, run_id=asked.run, model_ids=model_ids, rubric=rubric)


def _rubric(session: Session, project_id: int, named: str | None, kind: str) -> Rubric:
    """The rubric of a file, or the one that a name means."""
    from pathlib import Path

    from backend.rubrics import find_rubric, library_names
    from backend.services.review.opening.checks import requested_rubric

    if named is not None and named not in library_names() and Path(named).is_file():
        return find_rubric(named)
    return requested_rubric(session, project_id, named, kind)


def _show(shown: dict[str, Any], json: bool) -> None:
    if json:
        print_json(shown)
        return
    if shown["id"] is None:
        typer.echo("Nothing was opened (--dry-run).")
    typer.echo(_sentence(shown))
    if (routing := shown["design"].get("routing")) is not None:
        typer.echo(routing["sentence"])
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
        targets=tuple(parse_stratum(text, asked.risk_metric) for text in names_in(asked.strata)),
        minutes=asked.minutes,
        minutes_per_review=asked.minutes_per_review,
    )


def _assignment(
    session: Session, project_id: int, people: Sequence[str], skills: Sequence[str], deal: bool
) -> Assignment:
    from backend.services.accounts.users import find_member
    from backend.services.review.opening.assignment import Assignment

    named = {
        place: find_member(session, project_id, name).id for place, name in map(parse_place, people)
    }
    return Assignment(named, dict(map(parse_place, skills)), deal)


def _reviewer_ids(
    session: Session, project_id: int, names: str | None, groups: str | None
) -> list[int]:
    from backend.services.accounts.users import find_member
    from backend.services.review.opening.assignment import members_of_groups
    from backend.services.review.opening.checks import default_reviewers

    if names is not None or groups is not None:
        named = [find_member(session, project_id, name).id for name in names_in(names)]
        grouped = members_of_groups(session, project_id, names_in(groups))
        return list(dict.fromkeys([*named, *grouped]))
    return default_reviewers(session, project_id)
