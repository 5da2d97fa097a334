"""Whether what was frozen is still what it was: digests computed anew and compared.

Each digest is part of the next record: a dataset version's of its examples, a training set's of its
rows, a training run's result of its set and its bar, an adapter's registration of its files. A row
that was changed behind the services breaks one of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.rubrics import rubric_from_content
from backend.schemas.projects import Manifest
from backend.services.curation import stored_digest, stored_lines
from backend.services.datasets.erased import check_seal, erased_digest
from backend.services.datasets.versions import rows_digest, stored_rows, version_lines
from backend.services.projects import manifest_digest
from backend.tables.audit import AuditEntry
from backend.tables.curation import TrainingSet
from backend.tables.datasets import DatasetVersion
from backend.tables.erasure import ErasedRow, Erasure, ErasureKind, ErasureState
from backend.tables.models import ModelVersion
from backend.tables.projects import SuccessManifest
from backend.tables.review import RubricVersion
from backend.tables.training import TrainingRun


@dataclass(frozen=True, slots=True)
class Verified:
    """One frozen thing; `same` says whether its digest is the one on record.

    Of a thing with erased rows the digests of its rows are held against its seal
    (`backend.services.datasets.erased`), and `erased` counts those rows.
    """

    what: str
    same: bool
    erased: int = 0


def verify_records(session: Session) -> Iterator[Verified]:
    """Every manifest, rubric, dataset version, training set and training result of all projects."""
    for bar in session.scalars(select(SuccessManifest).order_by(SuccessManifest.id)):
        computed = manifest_digest(Manifest.model_validate(bar.content))
        yield Verified(f"manifest {bar.id}, version {bar.version}", computed == bar.digest)
    for rubric in session.scalars(select(RubricVersion).order_by(RubricVersion.id)):
        computed = rubric_from_content(rubric.content).digest
        yield Verified(f"rubric {rubric.name} version {rubric.version}", computed == rubric.digest)
    for version in session.scalars(select(DatasetVersion).order_by(DatasetVersion.id)):
        name = f"dataset {version.dataset.name} version {version.number}"
        subject = f"dataset_version:{version.id}"
        if sealed := check_seal(session, subject, partial(version_lines, session, version.id)):
            yield Verified(name, sealed.same, sealed.n_erased)
            continue
        computed = rows_digest(stored_rows(session, version.id))
        yield Verified(name, computed == version.digest)
    for frozen in session.scalars(select(TrainingSet).order_by(TrainingSet.id)):
        name, subject = f"training set {frozen.name}", f"training_set:{frozen.id}"
        if sealed := check_seal(session, subject, partial(stored_lines, session, frozen.id)):
            yield Verified(name, sealed.same, sealed.n_erased)
            continue
        yield Verified(name, stored_digest(session, frozen.id) == frozen.digest)
    yield from _verify_results(session)
    yield from _verify_erasures(session)


def _verify_erasures(session: Session) -> Iterator[Verified]:
    """What each erasure took, against what the audit log says of it: nothing is passed off as
    erased later."""
    said = {
        entry.subject: entry.detail.get("digest")
        for entry in session.scalars(
            select(AuditEntry).where(AuditEntry.action == "example.erased")
        )
    }
    query = select(Erasure).where(
        Erasure.kind == ErasureKind.EXAMPLE, Erasure.state != ErasureState.ASKED
    )
    known = set()
    for erasure in session.scalars(query.order_by(Erasure.id)):
        subject = f"erasure:{erasure.id}"
        known.add(subject)
        rows = session.scalars(select(ErasedRow).where(ErasedRow.erasure_id == erasure.id))
        yield Verified(f"erasure {erasure.id}", said.get(subject) == erased_digest(rows))
    yield from (Verified(lost, False) for lost in sorted(said.keys() - known))


def _verify_results(session: Session) -> Iterator[Verified]:
    """What a trainer recorded against the set, the bar and the adapter that are named now."""
    # A fully trained model has no adapter: its own digest stands in its row as that of its base.
    of_result = func.coalesce(ModelVersion.adapter_sha256, ModelVersion.base_sha256)
    query = (
        select(TrainingRun, TrainingSet.digest, SuccessManifest.digest, of_result)
        .join(TrainingSet, TrainingSet.id == TrainingRun.training_set_id)
        .join(SuccessManifest, SuccessManifest.id == TrainingRun.manifest_id)
        .join(ModelVersion, ModelVersion.training_run_id == TrainingRun.id)
        .order_by(TrainingRun.id)
    )
    for run, of_set, of_bar, of_model in session.execute(query):
        recorded = [
            run.result.get("training_set_digest"),
            run.result.get("manifest_digest"),
            run.result.get("adapter_sha256") or run.result.get("model_sha256"),
        ]
        yield Verified(f"training run {run.id}", recorded == [of_set, of_bar, of_model])
