"""Examinations of dataset versions as rows: asked for, filled once, read page by page.

Reading and keeping are a transaction each; what takes seconds to minutes happens between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from backend.errors import Conflict, InvalidInput, NotFound
from backend.schemas.projects import ManifestLine
from backend.services import audit
from backend.services.datasets.health.findings import BarLine, FindingSeverity, HealthMaterial, Task
from backend.services.datasets.health.kinds import KINDS, Examination, check_kinds
from backend.services.datasets.versions import find_version, stored_rows
from backend.services.metric_specs import BUILT_IN, AllowedMetrics, find_maximum
from backend.services.projects import find_manifest, manifest_of
from backend.tables.curation import TrainingSetRow
from backend.tables.datasets import DatasetVersion, Example
from backend.tables.health import HealthFinding, HealthReport

LONGEST_ENCODER = 300


@dataclass(frozen=True, slots=True)
class HealthRequest:
    """What an examination is asked to look for.

    Attributes:
        dataset: NAME, or NAME@VERSION.
        kinds: empty for all.
        task: `classes` or `texts`; None: it is told from the references.
        encoder: as metrics name one (`embedding:FOLDER`); None: none.
    """

    dataset: str
    kinds: tuple[str, ...] = ()
    seed: int = 0
    task: str | None = None
    encoder: str | None = None
    alike: float = 0.95


def ask_report(
    session: Session,
    project_id: int,
    asked: HealthRequest,
    *,
    allowed: AllowedMetrics = BUILT_IN,
    created_by_id: int | None = None,
) -> HealthReport:
    """A report to be filled.

    Raises:
        NotFound: there is no such dataset.
        UnknownName: no such kind.
        InvalidInput: no such task, or a bound that is no cosine.
        Forbidden: an encoder that the project may not use.
    """
    names = check_kinds(asked.kinds)
    if not 0 < asked.alike <= 1:
        raise InvalidInput("The least cosine of what means the same lies above 0, up to 1.")
    task_of(asked.task)
    find_encoder(asked.encoder, allowed)
    version = find_version(session, project_id, asked.dataset)
    content = {**asdict(asked), "kinds": list(names)}
    del content["dataset"]
    report = HealthReport(
        project_id=project_id,
        dataset_version_id=version.id,
        asked=content,
        created_by_id=created_by_id,
    )
    session.add(report)
    session.flush()
    return report


def task_of(name: str | None) -> Task | None:
    """The task of that name. Raises InvalidInput."""
    if name is not None and name not in set(Task):
        raise InvalidInput(f"There is no task {name[:40]!r}.", hint="Use classes or texts.")
    return None if name is None else Task(name)


def find_encoder(name: str | None, allowed: AllowedMetrics) -> str | None:
    """Where the encoder lies that a project means by a name.

    Raises:
        Forbidden: the project may not use it.
    """
    if name is None:
        return None
    if len(name) > LONGEST_ENCODER:
        raise InvalidInput("The name of the encoder is too long.")
    (metric,) = allowed.resolve([f"embedding:{name}"])
    return metric.name.partition(":")[2]


def read_material(
    session: Session, report_id: int, *, allowed: AllowedMetrics = BUILT_IN
) -> HealthMaterial:
    """The rows of a report's version and the bar of its project, to be examined.

    Raises:
        NotFound: there is no such report.
        Forbidden: its encoder may not be used any more.
    """
    report = get_report(session, report_id)
    asked, bar = report.asked, find_manifest(session, report.project_id)
    return HealthMaterial(
        rows=stored_rows(session, report.dataset_version_id),
        seed=asked["seed"],
        task_given=task_of(asked["task"]),
        encoder=find_encoder(asked["encoder"], allowed),
        alike=asked["alike"],
        bar=[] if bar is None else lines_of(manifest_of(bar).lines, allowed),
    )


def lines_of(lines: Sequence[ManifestLine], allowed: AllowedMetrics = BUILT_IN) -> list[BarLine]:
    """Lines of a manifest that are on metrics of outputs."""
    found = []
    for line in lines:
        if find_maximum(line.metric):
            continue
        try:
            scale = {m.name: m.scale for m in allowed.resolve([line.metric])}.get(line.metric)
        except InvalidInput:  # win_rate is of votes
            continue
        found.append(
            BarLine(
                metric=line.metric,
                slice=line.slice,
                threshold=line.threshold,
                margin=line.margin if line.guardrail is None else line.guardrail,
                scale=scale,
                higher_is_better=line.direction == "higher",
            )
        )
    return found


def requested_kinds(report: HealthReport) -> tuple[str, ...]:
    """The kinds that a report looks for."""
    return tuple(report.asked["kinds"])


def keep_report(session: Session, report_id: int, found: Examination, *, now: datetime) -> None:
    """Fill a report, once; a second time changes nothing.

    Raises:
        NotFound: there is no such report.
    """
    report = get_report(session, report_id, lock=True)
    if report.finished_at is not None:
        return
    query = select(Example.external_id, Example.id)
    version = Example.dataset_version_id == report.dataset_version_id
    ids = dict(session.execute(query.where(version)).all())
    rows = [
        {
            "report_id": report_id,
            "kind": kind.kind,
            "example_id": ids[flag.id],
            "part": flag.part,
            "why": flag.why,
            "start": flag.start,
            "end": flag.end,
            "score": flag.score,
            "others": list(flag.others),
        }
        for kind in found.kinds
        if kind.found is not None
        for flag in kind.found.rows
    ]
    if rows:
        session.execute(insert(HealthFinding), rows)
    report.content = found.as_dict(rows=False)
    report.worst = None if found.worst is None else str(found.worst)
    report.finished_at = now
    session.flush()
    audit.record(
        session,
        "dataset.examined",
        subject=f"health_report:{report_id}",
        project_id=report.project_id,
        detail={"digest": found.digest, "worst": report.worst, "flagged": len(rows)},
    )


def get_report(session: Session, report_id: int, *, lock: bool = False) -> HealthReport:
    """A report by its id, read anew where its row is locked. Raises NotFound."""
    report = session.get(HealthReport, report_id, with_for_update=lock, populate_existing=lock)
    if report is None:
        raise NotFound(f"There is no health report {report_id}.")
    return report


def finished_report(session: Session, report_id: int) -> HealthReport:
    """A report that is filled. Raises NotFound, Conflict."""
    report = get_report(session, report_id)
    if report.content is None:
        raise Conflict(
            f"Health report {report_id} is not done yet.", hint="Wait for its job: strop job list"
        )
    return report


def list_reports(session: Session, project_id: int, *, most: int = 50) -> list[HealthReport]:
    """The reports of a project, the newest first."""
    query = select(HealthReport).where(HealthReport.project_id == project_id)
    return list(session.scalars(query.order_by(HealthReport.id.desc()).limit(most)))


def findings_of(
    session: Session,
    report_id: int,
    kinds: Sequence[str] = (),
    *,
    split: str | None = None,
) -> list[tuple[HealthFinding, Example]]:
    """What a report flags with its examples, in the order in which it was found."""
    query = (
        select(HealthFinding, Example)
        .join(Example, Example.id == HealthFinding.example_id)
        .where(HealthFinding.report_id == report_id)
        .order_by(HealthFinding.id)
    )
    if kinds:
        query = query.where(HealthFinding.kind.in_(check_kinds(kinds)))
    if split is not None:
        query = query.where(Example.split == split)
    return [(finding, example) for finding, example in session.execute(query)]


def flagged_by_split(session: Session, report_id: int) -> dict[str, dict[str, int]]:
    """Of each kind the flagged examples by split."""
    counted = func.count(HealthFinding.example_id.distinct())
    query = (
        select(HealthFinding.kind, Example.split, counted)
        .join(Example, Example.id == HealthFinding.example_id)
        .where(HealthFinding.report_id == report_id)
        .group_by(HealthFinding.kind, Example.split)
    )
    found: dict[str, dict[str, int]] = {}
    for kind, split, n in session.execute(query):
        found.setdefault(kind, {})[split] = n
    return found


def severe_findings(session: Session, version_ids: Sequence[int]) -> dict[str, list[str]]:
    """Of each of these versions the severe kinds of its newest whole report; none is left out."""
    found: dict[str, list[str]] = {}
    for version_id in dict.fromkeys(version_ids):
        query = (
            select(HealthReport)
            .where(
                HealthReport.dataset_version_id == version_id,
                HealthReport.finished_at.is_not(None),
            )
            .order_by(HealthReport.id.desc())
        )
        newest: dict[str, str | None] = {}
        for report in session.scalars(query.limit(len(KINDS))):
            for kind in (report.content or {}).get("kinds", ()):
                newest.setdefault(kind["kind"], kind["severity"])
        if severe := [kind for kind, worst in newest.items() if worst == FindingSeverity.SEVERE]:
            version = session.get_one(DatasetVersion, version_id)
            found[f"{version.dataset.name}@{version.number}"] = severe
    return found


def severe_warning(session: Session, version_ids: Sequence[int]) -> str | None:
    """One sentence on severe findings in what is to be trained on; None where there are none."""
    found = severe_findings(session, version_ids)
    if not found:
        return None
    named = "; ".join(
        f"{version}: {', '.join(KINDS[kind].title.lower() for kind in kinds if kind in KINDS)}"
        for version, kinds in found.items()
    )
    return f"Severe findings in the data are open ({named}): strop dataset health"


def set_warning(session: Session, training_set_id: int) -> str | None:
    """`severe_warning` of the dataset versions from which a frozen training set has rows."""
    query = (
        select(Example.dataset_version_id)
        .join(TrainingSetRow, TrainingSetRow.example_id == Example.id)
        .where(TrainingSetRow.training_set_id == training_set_id)
        .distinct()
        .order_by(Example.dataset_version_id)
    )
    return severe_warning(session, list(session.scalars(query)))
