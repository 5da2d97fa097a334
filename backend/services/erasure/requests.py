"""What a person means by an example that is to be erased, and what hangs on it.

The same row of a dataset is meant in all of its versions, and so is the same prompt under another
id of the project: a text that is left under another name is not erased.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.orm import Session

from backend.db import portions
from backend.errors import InvalidInput, NotFound
from backend.schemas.common import row_number
from backend.services.datasets.erased import group_key
from backend.services.datasets.queries import in_project, values_for
from backend.services.derivation import adapters_on, merges_of, models_started_from
from backend.services.fairness.pairs import made_of
from backend.services.models.candidates import candidates_of
from backend.services.synthetic.desk import rows_drawn_from
from backend.tables.audit import AuditEntry
from backend.tables.curation import HeldBackRow, TrainingSet, TrainingSetRow
from backend.tables.datasets import Dataset, Example
from backend.tables.erasure import ExportMade
from backend.tables.models import ModelVersion
from backend.tables.review import ReviewItem, ReviewQueue
from backend.tables.runs import Generation
from backend.tables.training import TrainingRun


@dataclass(frozen=True, slots=True)
class ErasureRequest:
    """What is to be erased.

    Attributes:
        subject: in ids: `calls:r17`, `example 12`, `a group of calls`.
        example_ids: in order.
        groups: (dataset, group) that go as a whole.
        n_copies: of the examples, those that repeat the others, or were made of them.
    """

    subject: str
    example_ids: tuple[int, ...]
    groups: tuple[tuple[str, str], ...] = ()
    n_copies: int = 0

    @property
    def keys(self) -> dict[str, list[str]]:
        """Digests by which it is known when it comes in again."""
        return {"groups": [group_key(dataset, group) for dataset, group in self.groups]}


@dataclass(slots=True)
class ErasureScope:
    """What an erasure came to, in names, ids and counts.

    Attributes:
        rows: rows of which a text went, by table.
        elsewhere: rows of other things in which a passage was blacked out, by table.
        sets: training sets with a row that went, by name.
        adapters: models that learned from it, by label; their weights still have.
        trainings: training runs that were cancelled, by id.
        runs: generation runs that were going on, whose answers on it are not taken.
        slots: reviews that somebody held or that were open, and are asked for no more.
        exports: files and answers that may hold it, with when they were made.
        files: files here that were changed or deleted, by path below the installation.
        unread: files that could hold it and cannot be searched.
    """

    rows: dict[str, int] = field(default_factory=dict)
    elsewhere: dict[str, int] = field(default_factory=dict)
    sets: list[str] = field(default_factory=list)
    adapters: list[str] = field(default_factory=list)
    trainings: list[int] = field(default_factory=list)
    runs: list[int] = field(default_factory=list)
    slots: int = 0
    copies: int = 0
    exports: list[dict[str, Any]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For the record of the erasure."""
        return asdict(self)


def find_examples_to_erase(
    session: Session, project_id: int, name: str, *, group: bool = False, copies: bool = True
) -> ErasureRequest:
    """The examples that a person means.

    Args:
        name: an id of the database (`12`, as pages show it), or DATASET:ROW; with `group`,
            DATASET:GROUP.
        copies: take the same prompt under other ids, too. What was made of the examples, pairs
            and drafts with their briefs, goes in any case.

    Raises:
        NotFound: the project has no such example, row or group.
        InvalidInput: it is written otherwise.
    """
    if group:
        chosen, subject, groups = _of_group(session, project_id, name)
    else:
        chosen, subject = _of_row(session, project_id, name)
        groups = ()
    standing = [example for example in chosen if example.erasure_id is None]
    if not standing:
        raise NotFound(
            f"{subject} was erased already." if chosen else f"The project has no {subject}."
        )
    ids = sorted(_with_what_was_made(session, project_id, standing, copies=copies))
    return ErasureRequest(subject, tuple(ids), groups, len(ids) - len(standing))


def _of_project(project_id: int, *conditions: ColumnElement[bool]) -> Select[Any]:
    return in_project(select(Example), project_id).where(*conditions).order_by(Example.id)


def _of_row(session: Session, project_id: int, name: str) -> tuple[list[Example], str]:
    number = row_number(name)
    if number is None:
        dataset, row = _two_parts(name, "row")
        here = and_(Dataset.name == dataset, Example.external_id == row)
        return list(session.scalars(_of_project(project_id, here))), f"{dataset}:{row}"
    one = session.scalar(_of_project(project_id, Example.id == number))
    if one is None:
        return [], f"example {number}"
    versions = Dataset.id == one.dataset_version.dataset_id
    same = _of_project(project_id, versions, Example.external_id == one.external_id)
    return list(session.scalars(same)), f"example {number}"


def _of_group(
    session: Session, project_id: int, name: str
) -> tuple[list[Example], str, tuple[tuple[str, str], ...]]:
    dataset, group = _two_parts(name, "group")
    here = and_(Dataset.name == dataset, Example.group == group)
    found = list(session.scalars(_of_project(project_id, here)))
    return found, f"a group of {dataset}", ((dataset, group),)


def _two_parts(name: str, what: str) -> tuple[str, str]:
    dataset, colon, part = name.partition(":")
    if not (dataset and colon and part):
        raise InvalidInput(
            f"{name[:80]!r} names no {what}.", hint=f"Write DATASET:{what.upper()}, as calls:r17."
        )
    return dataset, part


def _with_what_was_made(
    session: Session, project_id: int, examples: Sequence[Example], *, copies: bool
) -> set[int]:
    """The ids of examples, of their copies, and of all that was made of either, step by step."""
    found: set[int] = set()
    wanted = list(examples)
    while wanted:
        found |= {example.id for example in wanted}
        more = _copies(session, project_id, wanted) if copies else []
        more += made_of(session, wanted)
        more += rows_drawn_from(session, project_id, [example.id for example in wanted])
        new = {row.id: row for row in more if row.id not in found and row.erasure_id is None}
        wanted = list(new.values())
    return found


def _copies(session: Session, project_id: int, examples: Sequence[Example]) -> list[Example]:
    digests = sorted({example.content_digest for example in examples})
    query = _of_project(project_id, Example.erasure_id.is_(None))
    return list(values_for(session, query, Example.content_digest, digests))


def sets_with(session: Session, example_ids: Sequence[int]) -> list[TrainingSet]:
    """The training sets that hold, or hold back, one of these examples."""
    ids: set[int] = set()
    for table in (TrainingSetRow, HeldBackRow):
        ids.update(
            values_for(session, select(table.training_set_id), table.example_id, example_ids)
        )
    query = select(TrainingSet).where(TrainingSet.id.in_(ids))
    return list(session.scalars(query.order_by(TrainingSet.id)))


def learned_from(session: Session, set_ids: Collection[int]) -> list[ModelVersion]:
    """The models that were trained on these sets, and all that was made of those."""
    trained = (
        select(ModelVersion)
        .join(TrainingRun, TrainingRun.id == ModelVersion.training_run_id)
        .where(TrainingRun.training_set_id.in_(set_ids))
    )
    wanted = list(session.scalars(trained))
    found: dict[int, ModelVersion] = {}
    while wanted:
        model = wanted.pop()
        if model.id in found:
            continue
        found[model.id] = model
        for made_of_it in (models_started_from, adapters_on, candidates_of):
            wanted += made_of_it(session, model.id)
        wanted += [merged for merged, _ in merges_of(session, model)]
    return [found[id_] for id_ in sorted(found)]


def exports_with(
    session: Session, example_ids: Sequence[int], set_ids: Collection[int]
) -> list[dict[str, Any]]:
    """The exports of sets and queues that hold one of these examples, oldest first.

    Files that commands wrote, and answers that streamed to a person or a program.
    """
    subjects = {f"training_set:{id_}" for id_ in set_ids}
    for some in portions(example_ids):
        outputs = select(Generation.id).where(Generation.example_id.in_(some))
        reviewed = or_(
            ReviewItem.generation_a_id.in_(outputs), ReviewItem.generation_b_id.in_(outputs)
        )
        queues = select(ReviewQueue.id).join(ReviewItem).where(reviewed).distinct()
        subjects |= {f"queue:{id_}" for id_ in session.scalars(queues)}
    query = select(ExportMade).where(ExportMade.subject.in_(subjects)).order_by(ExportMade.id)
    found = [
        {"of": one.subject, "format": one.format, "to": one.target, "at": one.at.isoformat()}
        for one in session.scalars(query)
    ]
    streamed = (
        select(AuditEntry)
        .where(AuditEntry.action == "export.begun", AuditEntry.subject.in_(subjects))
        .where(AuditEntry.via == "api")
        .order_by(AuditEntry.id)
    )
    for entry in session.scalars(streamed):
        to = f"user {entry.user_id}" + (f", token {entry.token_id}" if entry.token_id else "")
        asked = str(entry.detail.get("format") or entry.detail.get("of"))
        at = entry.created_at.isoformat()
        found.append({"of": entry.subject, "format": asked, "to": to, "at": at})
    return sorted(found, key=lambda one: one["at"])


def preview(session: Session, wanted: ErasureRequest) -> ErasureScope:
    """What hangs on examples, before anything is erased."""
    sets = sets_with(session, wanted.example_ids)
    set_ids = [one.id for one in sets]
    query = select(Generation.id)
    outputs = list(values_for(session, query, Generation.example_id, wanted.example_ids))
    return ErasureScope(
        rows={"examples": len(wanted.example_ids), "generations": len(outputs)},
        sets=[one.name for one in sets],
        adapters=[model.label for model in learned_from(session, set_ids)],
        exports=exports_with(session, wanted.example_ids, set_ids),
        copies=wanted.n_copies,
    )
