"""Checkers: adapters that read a source and a sentence, trained, found and told about here.

A checker is trained as every adapter is, on a frozen set of its own, under the bar that was set
before. Its model is named `check-NAME`, and asked as the metric `check:NAME@REVISION`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput, NotFound
from backend.executors.spread import spreading
from backend.schemas.common import whole_number
from backend.services.checks.checkers.forms import choose_form, read_asking
from backend.services.checks.checkers.teaching import freeze_lessons
from backend.services.checks.model_checks import ModelCheck
from backend.services.curation.recipes import Recipe
from backend.services.models.versions import check_name
from backend.services.training import runs as training
from backend.settings import Settings
from backend.tables.checks.checkers import Checker
from backend.tables.datasets import Example
from backend.tables.models import CHECKER_PREFIX, ModelPurpose, ModelVersion
from backend.tables.projects import Project
from backend.tables.training import TrainingRun

if TYPE_CHECKING:
    from evaluators.checks.checker.checker import CheckerForm

MOST_LESSONS = 2000
NOT_FOR_CHECKERS = (
    *("method", "weights", "prompt_tuning", "start_from", "search", "early_stopping_patience"),
    *("validation_share", "completion_only", "truncate"),
)


def train_checker(
    session: Session,
    project_id: int,
    name: str,
    recipe: Recipe,
    *,
    config: Mapping[str, Any],
    settings: Settings,
    most: int = MOST_LESSONS,
    mark_kinds: tuple[str, ...] = (),
    created_by_id: int | None = None,
) -> Checker:
    """Freeze what a checker is taught with, and lay down its training.

    Args:
        name: of the checker, without `check-`.
        config: keys of a training configuration, without those that would make it no checker.

    Raises:
        Conflict: no success manifest is set.
        InvalidInput: the name, the configuration or the base does not serve, or there is too
            little to learn from.
        NotFound: no such queue or dataset.
    """
    _refuse_keys(config)
    check_name(name)
    training.check_training_config(config)
    base_model = session.get_one(Project, project_id).base_model
    asking = read_asking(base_model)
    with spreading(settings) as spread:
        lessons = freeze_lessons(
            session,
            project_id,
            name,
            recipe,
            form=choose_form(asking.tokenizer),
            fit=asking.fit,
            most=most,
            mark_kinds=mark_kinds,
            spread=spread,
        )
    run = training.create_training_run(
        session,
        project_id=project_id,
        training_set_id=lessons.training_set.id,
        adapter_name=f"{CHECKER_PREFIX}{name}",
        config={
            "max_length": asking.max_length(lessons.asked, lessons.form),
            "measure_forgetting": False,
            **config,
        },
        settings=settings,
        purpose=ModelPurpose.CHECK,
        created_by_id=created_by_id,
    )
    form, held_out = lessons.form.as_record(), lessons.held_out
    row = Checker(project_id=project_id, training_run_id=run.id, form=form, held_out=held_out)
    session.add(row)
    session.flush()
    return row


def _refuse_keys(config: Mapping[str, Any]) -> None:
    if refused := sorted(set(config) & set(NOT_FOR_CHECKERS)):
        raise InvalidInput(
            f"A checker is a LoRA that learns answers: {', '.join(refused)} cannot be chosen.",
            hint="Leave it out of the configuration.",
        )


@dataclass(frozen=True, slots=True)
class Trained:
    """A checker whose adapter is registered."""

    checker: Checker
    model: ModelVersion

    @property
    def name(self) -> str:
        """How people name it as a metric, without `check:`: `facts@1`."""
        return self.model.check_name.partition(":")[2]


def find_checker(session: Session, project_id: int, label: str) -> Trained:
    """The checker of a name (`facts@1`), the newest where no revision is named.

    Raises:
        NotFound: there is none; the message lists those there are.
    """
    name, at, revision = label.partition("@")
    number = whole_number(revision) if at else None
    known = list_checkers(session, project_id)
    for one in reversed(known):
        if one.model.name == f"{CHECKER_PREFIX}{name}" and (not at or one.model.revision == number):
            return one
    listed = ", ".join(one.name for one in known)
    raise NotFound(
        f"There is no checker {label!r}.",
        hint=f"Known: {listed}." if known else "Train one: strop check train NAME",
    )


def list_checkers(session: Session, project_id: int) -> list[Trained]:
    """The trained checkers of a project, oldest first."""
    query = (
        select(Checker, ModelVersion)
        .join(ModelVersion, ModelVersion.training_run_id == Checker.training_run_id)
        .where(Checker.project_id == project_id)
        .order_by(ModelVersion.id)
    )
    return [Trained(checker, model) for checker, model in session.execute(query)]


def checker_of_run(session: Session, training_run_id: int) -> Checker | None:
    """The checker that a training run trains, if it does."""
    return session.scalar(select(Checker).where(Checker.training_run_id == training_run_id))


def form_of(trained: Trained) -> CheckerForm:
    """How a checker is asked.

    Raises:
        Conflict: it was trained with a question that this Strop asks otherwise.
    """
    from evaluators.checks.checker.checker import form_of_record

    form = form_of_record(trained.checker.form)
    if form is None:
        raise Conflict(
            f"The checker {trained.name} was trained with another form of the question than this "
            "Strop asks.",
            hint="Train it again: strop check train",
        )
    return form


def find_checker_metric(session: Session, project_id: int, argument: str) -> ModelCheck:
    """The metric `check:NAME@REVISION`; errors as of `find_checker` and `form_of`."""
    from evaluators.checks.checker.checker import check_samples
    from evaluators.checks.models.interface import opened
    from evaluators.registry import resolve_metrics

    trained = find_checker(session, project_id, argument)
    form = form_of(trained)
    name = f"check:{argument}"
    (declared,) = resolve_metrics([name])

    def open_with(asker: Any) -> Any:
        return opened(declared, asker, partial(check_samples, form=form))

    return ModelCheck(name, trained.model, open_with, probes=probes_of(session, trained))


def probes_of(session: Session, trained: Trained, most: int = 8) -> list[list[Any]]:
    """Questions with which it is checked that what is served is this checker."""
    from evaluators.checks.checker.checker import ask

    form, rows = form_of(trained), trained.checker.held_out["sentences"]
    chosen = rows[:: max(1, len(rows) // most)][:most]
    sources = sources_of(session, chosen)
    return [list(ask(sources[row["example"]], row["sentence"], form)) for row in chosen]


def sources_of(session: Session, rows: list[dict[str, Any]]) -> dict[int, str]:
    """The source of each example that rows name."""
    found = session.scalars(select(Example).where(Example.id.in_({row["example"] for row in rows})))
    return {
        example.id: "\n".join(part for part in (example.context, example.input) if part)
        for example in found
    }


def groups_of(session: Session, rows: list[dict[str, Any]]) -> dict[int, str]:
    """The group of each example that rows name; one without a group is one of its own."""
    from backend.services.curation.selection import group_of

    found = session.scalars(select(Example).where(Example.id.in_({row["example"] for row in rows})))
    return {example.id: group_of(example) for example in found}


def keep_figures(
    session: Session, checker_id: int, figures: dict[str, Any], *, now: datetime
) -> None:
    """Keep what was measured on what was held out."""
    row = session.get_one(Checker, checker_id)
    row.figures, row.measured_at = figures, now
    session.flush()


def training_run_of(session: Session, trained: Trained) -> TrainingRun:
    """The training that gave a checker."""
    return session.get_one(TrainingRun, trained.checker.training_run_id)
