"""Whether a model that is about to be measured was trained on what it is measured by.

A training set was compared with everything that was held out when it was frozen; what is asked now
is compared here, when a run on held-out examples starts, whichever came first. What an adapter
that was trained elsewhere has seen nobody knows: it is not checked, and `unknown_training` names
it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.services.datasets.leaks import Acceptance, LeakSide, find_leaks, settle_leaks, sides_of
from backend.services.derivation import has_unknown_part, runs_behind
from backend.tables.curation import TrainingSet, TrainingSetRow
from backend.tables.datasets import DatasetVersion, Example, Split
from backend.tables.models import ModelVersion
from backend.tables.training import TrainingRun


def settle_run_leaks(
    session: Session,
    project_id: int,
    version: DatasetVersion,
    split: str,
    model_ids: Collection[int],
    example_ids: Sequence[int] | None,
    *,
    accept: Acceptance | None = None,
) -> None:
    """Refuse a run on held-out examples that one of its models was trained on, or nearly so.

    Raises:
        LeakRefused: with the prompts side by side; see `settle_leaks`.
    """
    sets = _sets_behind(session, model_ids)
    if split == Split.TRAIN or not sets:
        return
    asked = select(Example.id).where(
        Example.dataset_version_id == version.id, Example.split == split
    )
    chosen = list(session.scalars(asked)) if example_ids is None else example_ids
    settle_leaks(
        session,
        project_id,
        find_leaks(_taught_sides(session, sets), sides_of(session, chosen, answers=True)),
        subject="The run is refused",
        remedy="Train the adapter without them",
        accept=accept,
    )


def _taught_sides(session: Session, sets: Collection[int]) -> list[LeakSide]:
    """The prompts of these sets, and what was taught as an answer to them."""
    query = select(
        TrainingSetRow.example_id,
        Example.content_digest,
        TrainingSetRow.completion,
        TrainingSetRow.rejected,
    ).join(Example, Example.id == TrainingSetRow.example_id)
    rows = session.execute(query.where(TrainingSetRow.training_set_id.in_(sets))).all()
    prompts = {s.digest: s for s in sides_of(session, {row.example_id for row in rows})}
    told = dict.fromkeys(
        (row.content_digest, text)
        for row in rows
        for text in (row.completion, row.rejected)
        if text
    )
    return [*prompts.values(), *(prompts[digest].answer(text) for digest, text in told)]


def unknown_training(session: Session, model_ids: Collection[int]) -> list[str]:
    """Labels of the adapters of which nobody knows what they, or what they learned from, were
    trained on."""
    models = session.scalars(select(ModelVersion).where(ModelVersion.id.in_(model_ids)))
    return [m.label for m in models if not m.is_base and has_unknown_part(session, m)]


def _sets_behind(session: Session, model_ids: Collection[int]) -> set[int]:
    """The training sets whose rows are in these models."""
    query = (
        select(TrainingSet.id)
        .join(TrainingRun, TrainingRun.training_set_id == TrainingSet.id)
        .where(TrainingRun.id.in_(runs_behind(session, model_ids)))
    )
    return set(session.scalars(query))
