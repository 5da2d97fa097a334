"""What a round is asked to do: a YAML file, checked before the round exists.

Whether a plan can be gone through to its end: all of it is looked up before the round begins.

A slip in a plan would show only when its phase comes, hours after the training that it spoils.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, TypeVar

import yaml
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.engines import ELSEWHERE, ENGINES, check_engine
from backend.errors import InvalidInput
from backend.services.accounts.users import find_member
from backend.services.curation import Recipe
from backend.services.datasets.versions import find_version, get_dataset_version
from backend.services.metric_specs import AllowedMetrics, parse_metric_specs
from backend.services.models.versions import alias_target, find_model, refuse_outputs
from backend.services.projects import current_manifest, manifest_of
from backend.services.review import find_queue
from backend.services.review.opening.checks import check_reviewers, requested_rubric
from backend.services.training.runs import check_training_config
from backend.services.training.start import weekly_start
from backend.services.verdicts.promotion import CHAMPION
from backend.tables.datasets import DatasetVersion, Example, Split
from backend.tables.models import BASE
from training.config import TrainingError, check_adapter_name

Plan = TypeVar("Plan", bound="RoundPlan")


class _PlanPart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ReviewPlan(_PlanPart):
    """Blind votes on the candidate beside the model to beat; watched, and ended when decided."""

    reviewers: tuple[str, ...] = Field(min_length=1, description="User names.")
    rubric: str = Field("blind_pair", description="Rubric of the library, by name.")
    n_items: int | None = Field(None, ge=1, description="Pairs at most; all by default.")
    margin: float = Field(
        0.0, ge=0, lt=0.5, description="By how much the win rate has to exceed 1/2."
    )
    stop_when_decided: bool = Field(True, description="Close the queue once the votes decide.")


class AcceptedLeaks(_PlanPart):
    """Who let near-duplicates of held-out prompts stand in this round, and why."""

    user_id: int
    reason: str = Field(min_length=1)


class RoundPlan(_PlanPart):
    """One turn of the loop."""

    adapter: str = Field(min_length=1, max_length=80, description="Name of the adapter to train.")
    recipe: Recipe = Field(description="What the training set is made of.")
    config: dict[str, Any] = Field(default_factory=dict, description="Keys of training/config.py.")
    start: str | None = Field(
        None,
        description="Model whose weights training goes on from: champion (the base while there is "
        "none), v1, v1@2; the base by default.",
    )
    dataset: str = Field(min_length=1, description="Held-out dataset, NAME or NAME@VERSION.")
    split: str = Field("test", pattern="^(validation|test)$")
    metrics: tuple[str, ...] = Field(min_length=1, description="As in strop run --metrics.")
    baseline: str | None = Field(None, description="Model to beat; the manifest's by default.")
    also: tuple[str, ...] = Field(
        (), description="Further models in the same run, for example base."
    )
    engine: str | None = Field(
        None,
        description=f"{' or '.join(name for name in ENGINES if name != ELSEWHERE)}; the settings' "
        "by default.",
    )
    max_tokens: int = Field(128, ge=1)
    replay: bool = Field(True, description="Replay the corrections on the candidate (yield).")
    review: ReviewPlan | None = Field(None, description="Blind votes; none by default.")
    sign: bool = Field(True, description="Wait for a person to sign the promotion.")
    not_before: AwareDatetime | None = Field(None, description="Begin at this time.")
    after_corrections: int | None = Field(
        None, ge=1, description="Begin when so many corrections came in since the last round began."
    )
    repeat: bool = Field(False, description="Start the next round with this plan when it ends.")
    every_days: float | None = Field(
        None, gt=0, description="Begin so many days after the round before began, when repeated."
    )

    @field_validator("adapter")
    @classmethod
    def _can_be_a_name(cls, name: str) -> str:
        try:
            check_adapter_name(name)
        except TrainingError as error:
            raise ValueError(str(error)) from error
        return name

    @model_validator(mode="after")
    def _repeats_for_a_reason(self) -> RoundPlan:
        if self.repeat and self.after_corrections is None and self.every_days is None:
            raise ValueError(
                "repeat needs after_corrections or every_days, or rounds would never end"
            )
        if self.every_days is not None and not self.repeat:
            raise ValueError("every_days is for plans that repeat: set repeat: true")
        return self

    def next_turn(self, *, began: datetime) -> RoundPlan:
        """The plan of the round after the one that began then; leaks are accepted anew."""
        wait = None if self.every_days is None else began + timedelta(days=self.every_days)
        asked = self.model_dump(include=set(RoundPlan.model_fields))
        return RoundPlan.model_validate({**asked, "not_before": wait})


class StoredPlan(RoundPlan):
    """A round's plan as its row keeps it, with what a signed-in person allowed since it began.

    No plan that somebody sends may hold that: a person is always the session's.
    """

    accepted_leaks: AcceptedLeaks | None = None


def parse_plan(source: str) -> RoundPlan:
    """Read a plan from YAML.

    Raises:
        InvalidInput: not YAML, or not a plan; the message names the place.
    """
    try:
        content = yaml.safe_load(source)
    except yaml.YAMLError as error:
        place = " ".join(str(error).split())
        raise InvalidInput(f"The plan is not YAML: {place}.") from error
    return plan_from_content(content)


def hold_back_in(plan: RoundPlan, share: float) -> RoundPlan:
    """The plan with a recipe that holds this share of the corrections back; errors as above."""
    content = plan.model_dump(mode="json")
    content["recipe"]["hold_back"] = share
    return plan_from_content(content)


def plan_from_content(content: object) -> RoundPlan:
    """Build a plan from plain values that somebody sent; errors as `parse_plan`."""
    return _read(RoundPlan, content)


def stored_plan(content: object) -> StoredPlan:
    """The plan that a round's row keeps; errors as `parse_plan`."""
    return _read(StoredPlan, content)


def _read(kind: type[Plan], content: object) -> Plan:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the top"
        raise InvalidInput(
            f"The plan is wrong at {place}: {first['msg']}.",
            hint=f"Its keys: {', '.join(RoundPlan.model_fields)}.",
        ) from error


def check_plan(session: Session, project_id: int, plan: RoundPlan, allowed: AllowedMetrics) -> None:
    """Look up everything that a plan names.

    Raises:
        Conflict: no success manifest is set.
        NotFound: a dataset, a version of it, a queue or a model that the project has not.
        UnknownName: no metric, reviewer, rubric or engine of that name; the nearest are named.
        InvalidInput: a dataset without held-out examples, a training configuration that is not
            valid, or another split than that which a verdict takes.
        Forbidden: a metric that the project may not use.
    """
    if plan.split != Split.TEST:
        raise InvalidInput(
            f"A round ends with a verdict, which takes the test split and not {plan.split}.",
            hint="Take split out of the plan; run the validation split by strop run.",
        )
    parse_metric_specs(plan.metrics, allowed)
    if plan.review is not None:
        _check_review(session, project_id, plan.review)
    _check_examples(session, find_version(session, project_id, plan.dataset), plan)
    _check_models(session, project_id, plan)
    _check_recipe(session, project_id, plan)
    check_training_config(plan.config)
    if plan.engine is not None:
        check_engine(plan.engine)
    if plan.engine == ELSEWHERE:
        raise InvalidInput(
            f"The engine {ELSEWHERE} cannot ask the adapter that a round trains.",
            hint="Leave engine out of the plan, or name another one.",
        )


def _check_examples(session: Session, version: DatasetVersion, plan: RoundPlan) -> None:
    held_out = select(Example.id).where(
        Example.dataset_version_id == version.id, Example.split == plan.split
    )
    if session.scalar(held_out.limit(1)) is None:
        raise InvalidInput(
            f"The dataset {plan.dataset!r} has no example in the {plan.split} split.",
            hint="See: strop dataset show",
        )


def _check_models(session: Session, project_id: int, plan: RoundPlan) -> None:
    """The model to beat and those beside it; the base is registered by the first run."""
    bar = manifest_of(current_manifest(session, project_id))
    start = weekly_start(session, project_id, plan.start) or BASE
    for label in (plan.baseline or bar.baseline, *plan.also, start):
        if label == CHAMPION and alias_target(session, project_id, CHAMPION) is None:
            raise InvalidInput(
                "There is no champion yet, so it cannot be the model to beat, nor run beside it.",
                hint="Write base; the champion runs beside the candidate anyway.",
            )
        if label != BASE:
            model = find_model(session, project_id, label)
            refuse_outputs(model, "run", hint="A round writes what it compares: name a model.")


def _check_recipe(session: Session, project_id: int, plan: RoundPlan) -> None:
    for name in plan.recipe.queues:
        find_queue(session, project_id, name)
    if plan.recipe.dataset is not None:
        get_dataset_version(session, project_id, plan.recipe.dataset, plan.recipe.dataset_number)


def _check_review(session: Session, project_id: int, plan: ReviewPlan) -> None:
    people = [find_member(session, project_id, name).id for name in plan.reviewers]
    check_reviewers(session, project_id, people)
    requested_rubric(session, project_id, plan.rubric, "pair")
