"""Versions of a project's rubrics: an edit makes a new one, and what is under way keeps its own.

A version is never changed. Items were sampled and answered under the words that stood there, so a
queue stays on the version with which it was opened; an edit reports which queues those are and how
many of their reviews are still to come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.errors import NotFound, UnknownName
from backend.rubrics import Rubric, rubric_from_content
from backend.schemas.review.quality import StayingQueueOut
from backend.services.review.statements import SLOTS, in_state
from backend.tables.review import ReviewQueue, RubricVersion, SlotState

WAITING = (SlotState.OPEN, SlotState.LEASED)
ASKED = ("guidelines", "span_kinds", "span_help", "severities", "span_weights")


@dataclass(frozen=True, slots=True)
class SavedRubric:
    """What came of saving a rubric.

    Attributes:
        is_new: a version was made; false when this content was there already.
        changes: how it differs from the version before, in words; empty for a first version.
        staying: open queues under earlier versions of it.
    """

    stored: RubricVersion
    is_new: bool
    changes: tuple[str, ...]
    staying: tuple[StayingQueueOut, ...]

    def sentence(self) -> str:
        """What happened, for a person."""
        name, version = self.stored.name, self.stored.version
        if not self.is_new:
            return f"{name} is there already, as version {version}; nothing has changed."
        parts = [f"{name} is version {version} now."]
        if self.changes:
            parts.append(f"It {', '.join(self.changes)}.")
        parts += [
            f"{queue.name} stays on version {queue.version}, with {queue.n_open} reviews to come."
            for queue in self.staying
        ]
        return " ".join(parts)


def save_rubric(session: Session, project_id: int, rubric: Rubric) -> RubricVersion:
    """Store a rubric as the next version of its name; the same content is the version it has."""
    versions = list_versions(session, project_id, rubric.name)
    if same := [version for version in versions if version.digest == rubric.digest]:
        return same[0]
    stored = RubricVersion(
        project_id=project_id,
        name=rubric.name,
        version=versions[-1].version + 1 if versions else 1,
        digest=rubric.digest,
        content=rubric.model_dump(mode="json"),
    )
    session.add(stored)
    session.flush()
    return stored


def edit_rubric(session: Session, project_id: int, rubric: Rubric) -> SavedRubric:
    """Store a rubric as the next version of its name, and say what stays as it is."""
    before = list_versions(session, project_id, rubric.name)
    stored = save_rubric(session, project_id, rubric)
    is_new = all(version.id != stored.id for version in before)
    changes: tuple[str, ...] = ()
    if is_new and before:
        changes = describe_changes(rubric_from_content(before[-1].content), rubric)
    return SavedRubric(
        stored=stored,
        is_new=is_new,
        changes=changes,
        staying=_staying(session, stored) if is_new else (),
    )


def describe_changes(before: Rubric, after: Rubric) -> tuple[str, ...]:
    """How two rubrics of one name differ, in words that follow "It"."""
    old = {criterion.name: criterion for criterion in before.criteria}
    new = {criterion.name: criterion for criterion in after.criteria}
    named: Mapping[str, list[str]] = {
        "asks anew": [name for name in new if name not in old],
        "no longer asks": [name for name in old if name not in new],
        "asks otherwise": [name for name in new if name in old and new[name] != old[name]],
    }
    told = [f"{how} {' and '.join(names)}" for how, names in named.items() if names]
    parts = [part for part in ASKED if getattr(before, part) != getattr(after, part)]
    if parts:
        told.append(f"changes its {' and '.join(part.replace('_', ' ') for part in parts)}")
    if not told and list(old) != list(new):
        told.append("asks in another order")
    return tuple(told)


def list_rubrics(session: Session, project_id: int) -> list[RubricVersion]:
    """The newest version of each of the project's rubrics, by name."""
    newest = (
        select(RubricVersion.name, func.max(RubricVersion.version).label("version"))
        .where(RubricVersion.project_id == project_id)
        .group_by(RubricVersion.name)
        .subquery()
    )
    query = (
        select(RubricVersion)
        .join(
            newest,
            (newest.c.name == RubricVersion.name) & (newest.c.version == RubricVersion.version),
        )
        .where(RubricVersion.project_id == project_id)
    )
    return list(session.scalars(query.order_by(RubricVersion.name)))


def list_versions(session: Session, project_id: int, name: str) -> list[RubricVersion]:
    """All versions of a rubric, the oldest first; empty for a name that is not there."""
    query = select(RubricVersion).where(
        RubricVersion.project_id == project_id, RubricVersion.name == name
    )
    return list(session.scalars(query.order_by(RubricVersion.version)))


def find_version(
    session: Session, project_id: int, name: str, version: int | None = None
) -> RubricVersion:
    """A version of a project's rubric; the newest when none is named.

    Raises:
        UnknownName: the project has no such rubric.
        NotFound: the rubric has no such version.
    """
    versions = list_versions(session, project_id, name)
    if not versions:
        raise UnknownName("rubric", name, [one.name for one in list_rubrics(session, project_id)])
    if version is None:
        return versions[-1]
    if found := [one for one in versions if one.version == version]:
        return found[0]
    raise NotFound(f"The rubric {name} has the versions 1 to {versions[-1].version}.")


def _staying(session: Session, stored: RubricVersion) -> tuple[StayingQueueOut, ...]:
    rows = session.execute(
        select(ReviewQueue.id, ReviewQueue.name, RubricVersion.version)
        .join(RubricVersion, RubricVersion.id == ReviewQueue.rubric_version_id)
        .where(
            RubricVersion.project_id == stored.project_id,
            RubricVersion.name == stored.name,
            RubricVersion.id != stored.id,
            ReviewQueue.closed_at.is_(None),
        )
        .order_by(ReviewQueue.id)
    ).all()
    staying = [
        StayingQueueOut(
            queue_id=row.id, name=row.name, version=row.version, n_open=_n_open(session, row.id)
        )
        for row in rows
    ]
    return tuple(queue for queue in staying if queue.n_open)


def _n_open(session: Session, queue_id: int) -> int:
    """One count for each state, so that each is read from its partial index."""
    return sum(
        session.scalar(
            select(func.count()).where(SLOTS.c.queue_id == queue_id, in_state(SLOTS, state))
        )
        or 0
        for state in WAITING
    )
