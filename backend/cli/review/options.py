"""The options of `strop review open`, and how their texts are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.cli.common import JsonOption, ProjectOption

if TYPE_CHECKING:
    from backend.services.review import QueueRules
    from backend.services.review.opening.design import Target

PLACE = "SLICE:NAME"
Text = str | None


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """What `strop review open` is asked for."""

    queue: Annotated[str, typer.Option("--queue", help="Name of the new queue.")]
    run: Annotated[int, typer.Option("--run", help="Run whose outputs are reviewed.")]
    models: Annotated[Text, typer.Option("--models", help="Rate outputs of these: base,v1.")] = None
    pair: Annotated[Text, typer.Option("--pair", help="Blind A/B of these: base,v1.")] = None
    rubric: Annotated[Text, typer.Option("--rubric", help="Rubric: a name or a YAML file.")] = None
    reviewers: Annotated[
        Text, typer.Option("--reviewers", help="User names; default: the project's experts.")
    ] = None
    items: Annotated[int | None, typer.Option(min=1, help="How many items; default: all.")] = None
    overlap: Annotated[int, typer.Option(min=1, help="People per overlap item.")] = 1
    overlap_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the items that several people review.")
    ] = 0.0
    seed: Annotated[int, typer.Option(help="Seed of sample, order and sides.")] = 7
    lease_seconds: Annotated[int | None, typer.Option(help="Life of a lease.")] = None
    design: Annotated[str, typer.Option("--design", help="random, stratified or active.")] = (
        "random"
    )
    by: Annotated[Text, typer.Option("--by", help="Stratified: the key of the slice.")] = None
    allocation: Annotated[
        str, typer.Option("--allocation", help="Stratified: proportional, or equal numbers.")
    ] = "proportional"
    strata: Annotated[
        Text,
        typer.Option(
            "--strata",
            help="Active: high_risk:0.3,models_disagree:20,slice:task=reply; "
            "a share or a number each.",
        ),
    ] = None
    anchor: Annotated[
        float | None, typer.Option(help="Active: share of the random anchor; default: the rest.")
    ] = None
    risk_metric: Annotated[Text, typer.Option("--risk-metric", help="The check for high_risk.")] = (
        None
    )
    minutes: Annotated[float | None, typer.Option(help="Budget in active minutes of review.")] = (
        None
    )
    minutes_per_review: Annotated[
        float | None, typer.Option(help="Taken until five reviews under the rubric were timed.")
    ] = None
    group: Annotated[
        Text, typer.Option("--group", help="Reviewers: all members of these groups.")
    ] = None
    person: Annotated[
        list[str] | None,
        typer.Option("--person", help="task=a:anna; may be repeated.", metavar=PLACE),
    ] = None
    skill: Annotated[
        list[str] | None, typer.Option("--skill", help="lang=de:german; repeatable.", metavar=PLACE)
    ] = None
    deal: Annotated[bool, typer.Option("--deal", help="Deal all items out to the reviewers.")] = (
        False
    )
    gold: Annotated[int, typer.Option("--gold", min=0, help="Known answers to begin with.")] = 0
    gold_every: Annotated[
        int, typer.Option(min=0, help="Then one after so many items; 0: never.")
    ] = 0
    mask: Annotated[
        list[str] | None, typer.Option("--mask", help="Text to black out in outputs; repeatable.")
    ] = None
    rule: Annotated[
        list[str] | None,
        typer.Option(
            "--rule", help="Any rule, as skip_policy=me; repeatable.", metavar="NAME=VALUE"
        ),
    ] = None
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be drawn; open nothing.")
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
