"""Datasets: their versions, their examples, and importing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from sqlalchemy.orm import Session

from backend.api.deps import CurrentUser, NowDep, PageDep, ServingDep, SessionDep
from backend.api.once import OnceDep
from backend.schemas.common import Page
from backend.schemas.datasets import DatasetIn, DatasetVersionOut, ExampleOut, SplitOut
from backend.schemas.turns import turns_of
from backend.services.datasets import versions as datasets
from backend.services.datasets.importing.masked_import import prepare_masked
from backend.services.datasets.importing.rows import ColumnMap, rows_from_table
from backend.services.datasets.leaks import acceptance
from backend.services.datasets.masking.keys import keys_of
from backend.services.datasets.masking.stored import masker_of
from backend.services.pages import page_of
from backend.tables.datasets import DatasetVersion, Example
from evaluators.files.readers import FileTable

router = APIRouter(tags=["datasets"])
SplitName = Literal["train", "validation", "test"]


def _show(session: Session, version: DatasetVersion) -> DatasetVersionOut:
    counts = datasets.split_counts(session, version.id)
    return DatasetVersionOut.of(
        version,
        name=version.dataset.name,
        splits={k: SplitOut(examples=n, groups=groups) for k, (n, groups) in counts.items()},
    )


@router.get("/projects/{project_id}/datasets")
def list_dataset_versions(project_id: int, session: SessionDep) -> list[DatasetVersionOut]:
    """All versions of all datasets, newest first."""
    found = datasets.list_dataset_versions(session, project_id)
    return [_show(session, version) for version in reversed(found)]


@dataclass(frozen=True, slots=True)
class SentRows:
    """A dataset as it was sent, and what is ready of it."""

    body: DatasetIn
    prepared: datasets.PreparedImport


def prepare_rows(project_id: int, body: DatasetIn, serving: ServingDep) -> SentRows:
    """Done before the route has its session: the one writer of SQLite is not held meanwhile."""
    source = f"{body.name} (sent)"
    rows = rows_from_table(FileTable.of_rows(source, body.rows), ColumnMap())
    with serving.reading() as session:
        masker = masker_of(session, project_id, keys_of(serving.settings.masking_keys))
    prepared = prepare_masked(
        rows, masker, source_name=source, fractions=body.shares, drop_leaks=body.drop_leaks
    )
    return SentRows(body, prepared)


@router.post("/projects/{project_id}/datasets", status_code=201)
def import_dataset(
    project_id: int,
    sent: Annotated[SentRows, Depends(prepare_rows)],
    session: SessionDep,
    user: CurrentUser,
    once: OnceDep,
    now: NowDep,
) -> DatasetVersionOut:
    """The rows as the next version of a dataset; the same content is the version that stands."""
    version = datasets.store_import(
        session,
        project_id,
        sent.body.name,
        sent.prepared,
        accept_leaks=acceptance(sent.body.accept_leaks, user.id, now),
    )
    return once.answer(_show(session, version))


@router.get("/dataset-versions/{dataset_version_id}/examples")
def list_examples(
    dataset_version_id: int, session: SessionDep, page: PageDep, split: SplitName | None = None
) -> Page[ExampleOut]:
    """Examples in the order of import, all or of one split."""
    found = page_of(
        session,
        Example,
        page,
        newest_first=False,
        dataset_version_id=dataset_version_id,
        split=split,
    )
    shown = [ExampleOut.of(one, turns=turns_of(one.messages)) for one in found.rows]
    return Page[ExampleOut](items=shown, next=found.next)
