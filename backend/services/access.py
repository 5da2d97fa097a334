"""Who may reach what: the project that a thing belongs to, and the reviewers of a queue.

Every id that stands in a path of the API has its entry in `OWNERS`, by the name of the parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from backend.errors import NotFound
from backend.tables.comparison import Comparison
from backend.tables.curation import TrainingSet
from backend.tables.datasets import Dataset, DatasetVersion
from backend.tables.generation import Generation, GenerationRun
from backend.tables.projects import Project
from backend.tables.review import QueueMember, ReviewQueue, ReviewSlot
from backend.tables.scoring import ScoreRun
from backend.tables.training import TrainingRun
from backend.tables.users import User

Owner = Callable[[int], Select[int]]


def _own(column: Any, key: Any) -> Owner:
    return lambda id_: select(column).where(key == id_)


OWNERS: dict[str, Owner] = {
    "project_id": _own(Project.id, Project.id),
    "dataset_version_id": lambda id_: (
        select(Dataset.project_id).join(DatasetVersion).where(DatasetVersion.id == id_)
    ),
    "generation_run_id": _own(GenerationRun.project_id, GenerationRun.id),
    "generation_id": lambda id_: (
        select(GenerationRun.project_id).join(Generation).where(Generation.id == id_)
    ),
    "score_run_id": lambda id_: (
        select(GenerationRun.project_id).join(ScoreRun).where(ScoreRun.id == id_)
    ),
    "queue_id": _own(ReviewQueue.project_id, ReviewQueue.id),
    "training_set_id": _own(TrainingSet.project_id, TrainingSet.id),
    "training_run_id": _own(TrainingRun.project_id, TrainingRun.id),
    "comparison_id": _own(Comparison.project_id, Comparison.id),
}


def project_of(session: Session, parameter: str, id_: int) -> int:
    """The project to which a thing belongs. Raises NotFound."""
    project_id = session.scalar(OWNERS[parameter](id_))
    if project_id is None:
        raise _nothing_there()
    return project_id


def require_in_project(session: Session, project_id: int, **ids: int | None) -> None:
    """Check that things named in a request are of the project: `score_run_id=3`, None is skipped.

    Raises:
        NotFound: one is of elsewhere or does not exist.
    """
    for parameter, id_ in ids.items():
        if id_ is not None and session.scalar(OWNERS[parameter](id_)) != project_id:
            raise NotFound(f"The project has no {parameter.removesuffix('_id')} {id_}.")


def require_reviewer(session: Session, user: User, parameter: str, id_: int) -> None:
    """Let the members of a queue pass, whatever their role; `parameter` is queue_id or slot_id.

    Raises:
        NotFound: everybody else, who may not know that the queue exists.
    """
    query = select(QueueMember.user_id).where(QueueMember.user_id == user.id)
    if parameter == "slot_id":
        query = query.join(ReviewSlot, ReviewSlot.queue_id == QueueMember.queue_id)
        query = query.where(ReviewSlot.id == id_)
    else:
        query = query.where(QueueMember.queue_id == id_)
    if session.scalar(query) is None:
        raise _nothing_there()


def _nothing_there() -> NotFound:
    return NotFound("There is no such thing here, or it is not yours.")
