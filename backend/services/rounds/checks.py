"""Whether a plan can be gone through to its end: all of it is looked up before the round begins.

A slip in a plan would show only when its phase comes, hours after the training that it spoils.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.engines import ENGINES, FAKE
from backend.errors import InvalidInput, UnknownName
from backend.schemas.common import whole_number
from backend.services.accounts.users import find_member
from backend.services.datasets.versions import get_dataset_version
from backend.services.metric_specs import AllowedMetrics, parse_metric_specs
from backend.services.models.versions import alias_target, find_model
from backend.services.projects import current_manifest, manifest_of
from backend.services.review import find_queue
from backend.services.review.opening.checks import check_reviewers
from backend.services.review.opening.defaults import rubric_asked
from backend.services.rounds.plans import ReviewPlan, RoundPlan
from backend.services.training.runs import check_training_config
from backend.services.training.start import standing_start
from backend.services.verdicts.promotion import CHAMPION
from backend.tables.datasets import DatasetVersion, Example, Split
from backend.tables.models import BASE


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
    _check_examples(session, dataset_asked(session, project_id, plan.dataset), plan)
    _check_models(session, project_id, plan)
    _check_recipe(session, project_id, plan)
    check_training_config(plan.config)
    if plan.engine not in (None, FAKE, *ENGINES):
        raise UnknownName("engine", str(plan.engine), ENGINES)


def dataset_asked(session: Session, project_id: int, name: str) -> DatasetVersion:
    """The dataset version that a plan means by NAME or NAME@VERSION.

    Raises:
        InvalidInput: the version is no whole number from 1 on.
        NotFound: the project has no such dataset, or no such version.
    """
    name, at, number = name.partition("@")
    if at and not whole_number(number):
        raise InvalidInput(
            f"{number[:40]!r} is no version of a dataset.",
            hint=f"Write its number, {name}@1; or {name} alone, which is the newest.",
        )
    return get_dataset_version(session, project_id, name, whole_number(number) if at else None)


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
    start = standing_start(session, project_id, plan.start) or BASE
    for label in (plan.baseline or bar.baseline, *plan.also, start):
        if label == CHAMPION and alias_target(session, project_id, CHAMPION) is None:
            raise InvalidInput(
                "There is no champion yet, so it cannot be the model to beat, nor run beside it.",
                hint="Write base; the champion runs beside the candidate anyway.",
            )
        if label != BASE:
            find_model(session, project_id, label)


def _check_recipe(session: Session, project_id: int, plan: RoundPlan) -> None:
    for name in plan.recipe.queues:
        find_queue(session, project_id, name)
    if plan.recipe.dataset is not None:
        get_dataset_version(session, project_id, plan.recipe.dataset, plan.recipe.dataset_number)


def _check_review(session: Session, project_id: int, plan: ReviewPlan) -> None:
    people = [find_member(session, project_id, name).id for name in plan.reviewers]
    check_reviewers(session, project_id, people)
    rubric_asked(session, project_id, plan.rubric, "pair")
