"""Fairness: gaps between groups, counterfactual pairs and what they changed, mentions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.api.deps import ServingDep, SessionDep
from backend.api.once import OnceDep
from backend.schemas.fairness import (
    CounterfactualReportOut,
    PairsIn,
    PairsOut,
    ParityReportOut,
    SetMentions,
    SliceKeyOut,
    WordListOut,
)
from backend.services.fairness.answers import counterfactual_report, list_shipped
from backend.services.fairness.pairs import (
    DraftPairs,
    PairsPlan,
    draft_pairs,
    list_pairs,
    store_pairs,
)
from backend.services.fairness.parity import ParityPlan, queue_parity, run_parity, slice_keys
from backend.services.fairness.training import set_mentions
from backend.tables.datasets import DatasetVersion
from backend.tables.runs import GenerationRun

router = APIRouter(tags=["fairness"])

By = Annotated[str, Query(max_length=400, description="Keys of the slices: language,sex.")]
Level = Annotated[float, Query(ge=0.5, le=0.999)]
Margin = Annotated[float | None, Query(ge=0, description="A gap up to this is of no account.")]


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in (text or "").split(",") if part.strip()))


@router.get("/fairness-lists")
def list_word_lists() -> list[WordListOut]:
    """The lists by which names, genders, ages and places are exchanged."""
    return [
        WordListOut(
            file=found["file"],
            kind=found["kind"],
            language=found["language"],
            content={k: v for k, v in found.items() if k not in ("file", "kind", "language")},
        )
        for found in list_shipped()
    ]


@router.get("/generation-runs/{generation_run_id}/slice-keys")
def list_slice_keys(generation_run_id: int, session: SessionDep) -> list[SliceKeyOut]:
    """The keys of a run's slices by which groups can be compared."""
    return slice_keys(session, generation_run_id)


@router.get("/score-runs/{score_run_id}/parity")
def show_parity(
    score_run_id: int,
    session: SessionDep,
    by: By,
    metrics: Annotated[str | None, Query(max_length=2000)] = None,
    model: int | None = None,
    margin: Margin = None,
    across_metrics: bool = False,
    rates: bool = False,
    labels: Annotated[str | None, Query(max_length=2000)] = None,
    level: Level = 0.95,
) -> list[ParityReportOut]:
    """Every metric by the groups of each key, with intervals that hold all at once."""
    plan = ParityPlan(
        keys=_names(by),
        metrics=_names(metrics),
        labels=_names(labels),
        rates=rates or labels is not None,
        margin=margin,
        across_metrics=across_metrics,
        level=level,
    )
    return run_parity(session, score_run_id, plan, model_id=model)


@router.get("/review-queues/{queue_id}/parity")
def show_queue_parity(
    queue_id: int, session: SessionDep, by: By, margin: Margin = None, level: Level = 0.95
) -> list[ParityReportOut]:
    """People's ratings by the groups of each key, by the weights of the queue's design."""
    return queue_parity(session, queue_id, ParityPlan(_names(by), margin=margin, level=level))


@router.get("/projects/{project_id}/counterfactuals")
def list_counterfactuals(project_id: int, session: SessionDep) -> list[PairsOut]:
    """The pairs that were made, the newest first, and the runs over them."""
    return [_show(session, version) for version in list_pairs(session, project_id)]


def _draft(project_id: int, body: PairsIn, serving: ServingDep) -> DraftPairs:
    """Done before the route has its session: the one writer of SQLite is not held meanwhile."""
    plan = PairsPlan(
        dataset=body.dataset,
        kinds=tuple(body.kinds),
        split=body.split,
        language=body.language,
        name=body.name,
        most=body.most,
        seed=body.seed,
    )
    with serving.reading() as session:
        return draft_pairs(session, project_id, plan)


@router.post("/projects/{project_id}/counterfactuals", status_code=201)
def make_counterfactuals(
    project_id: int,
    draft: Annotated[DraftPairs, Depends(_draft)],
    session: SessionDep,
    once: OnceDep,
) -> PairsOut:
    """Make pairs of a dataset's split, as a dataset that runs may be made on."""
    made = store_pairs(session, project_id, draft)
    return once.answer(_show(session, made.version))


def _show(session: Session, version: DatasetVersion) -> PairsOut:
    recipe = version.split_recipe
    runs = select(GenerationRun.id).where(GenerationRun.dataset_version_id == version.id)
    return PairsOut(
        dataset_version_id=version.id,
        dataset=f"{version.dataset.name}@{version.number}",
        n_examples=version.n_examples,
        of=recipe["of"],
        split=recipe["split"],
        pairs=recipe["pairs"],
        skipped=recipe["skipped"],
        run_ids=list(session.scalars(runs.order_by(GenerationRun.id.desc()))),
    )


@router.get("/generation-runs/{generation_run_id}/counterfactuals")
def show_counterfactuals(
    generation_run_id: int, session: SessionDep, model: int | None = None, level: Level = 0.95
) -> list[CounterfactualReportOut]:
    """How far answers to pairs move with a person's group, beyond the control."""
    return counterfactual_report(session, generation_run_id, model_id=model, level=level)


@router.get("/training-sets/{training_set_id}/mentions")
def show_mentions(
    training_set_id: int,
    session: SessionDep,
    language: Annotated[str | None, Query(max_length=8)] = None,
    level: Level = 0.95,
) -> SetMentions:
    """Which groups the rows of a training set mention, and whether what they teach goes with it."""
    return set_mentions(session, training_set_id, language=language, level=level)
