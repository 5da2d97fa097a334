"""Who may reach what: the project that a thing belongs to, and the reviewers of a queue.

Every id that stands in a path of the API has its entry in `OWNERS`, by the name of the parameter.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, and_, bindparam, select
from sqlalchemy.orm import Session

from backend.errors import NotFound
from backend.tables.accounts import Membership, Role, User
from backend.tables.checks.judges import Judge
from backend.tables.checks.risk import RiskVersion
from backend.tables.curation import TrainingSet
from backend.tables.datasets import Dataset, DatasetVersion, Example
from backend.tables.health import HealthReport
from backend.tables.models import Prompt
from backend.tables.projects import Project
from backend.tables.review import (
    GoldAnswer,
    GoldResult,
    QueueMember,
    Review,
    ReviewItem,
    ReviewQueue,
    ReviewSlot,
)
from backend.tables.rounds import Round
from backend.tables.runs import Generation, GenerationRun, ScoreRun
from backend.tables.synthetic import Drafting
from backend.tables.training import TrainingRun
from backend.tables.verdicts import Comparison
from backend.tables.webhooks import Webhook, WebhookDelivery


def _project(column: Any, key: Any) -> Select[Any]:
    return select(column).where(key == bindparam("id"))


# Built once: every request runs one of them.
OWNERS: dict[str, Select[Any]] = {
    "project_id": _project(Project.id, Project.id),
    "example_id": _project(Dataset.project_id, Example.id)
    .join(DatasetVersion, DatasetVersion.dataset_id == Dataset.id)
    .join(Example, Example.dataset_version_id == DatasetVersion.id),
    "dataset_version_id": _project(Dataset.project_id, DatasetVersion.id).join(DatasetVersion),
    "health_report_id": _project(HealthReport.project_id, HealthReport.id),
    "judge_id": _project(Judge.project_id, Judge.id),
    "prompt_id": _project(Prompt.project_id, Prompt.id),
    "generation_run_id": _project(GenerationRun.project_id, GenerationRun.id),
    "generation_id": _project(GenerationRun.project_id, Generation.id).join(Generation),
    "score_run_id": _project(GenerationRun.project_id, ScoreRun.id).join(ScoreRun),
    "risk_id": _project(RiskVersion.project_id, RiskVersion.id),
    "queue_id": _project(ReviewQueue.project_id, ReviewQueue.id),
    "gold_id": _project(ReviewQueue.project_id, GoldAnswer.id)
    .join(ReviewItem, ReviewItem.queue_id == ReviewQueue.id)
    .join(GoldAnswer, GoldAnswer.item_id == ReviewItem.id),
    "result_id": _project(ReviewQueue.project_id, GoldResult.id)
    .join(ReviewItem, ReviewItem.queue_id == ReviewQueue.id)
    .join(GoldAnswer, GoldAnswer.item_id == ReviewItem.id)
    .join(GoldResult, GoldResult.gold_id == GoldAnswer.id),
    "webhook_id": _project(Webhook.project_id, Webhook.id),
    "delivery_id": _project(Webhook.project_id, WebhookDelivery.id).join(WebhookDelivery),
    "drafting_id": _project(Drafting.project_id, Drafting.id),
    "training_set_id": _project(TrainingSet.project_id, TrainingSet.id),
    "training_run_id": _project(TrainingRun.project_id, TrainingRun.id),
    "comparison_id": _project(Comparison.project_id, Comparison.id),
    "round_id": _project(Round.project_id, Round.id),
    "review_id": _project(ReviewQueue.project_id, Review.id)
    .join(ReviewItem, ReviewItem.queue_id == ReviewQueue.id)
    .join(Review, Review.item_id == ReviewItem.id),
}
# The project of a queue in which the user of the statement around it reviews. Somebody who was
# removed from the project reviews no more in its queues; an admin is in all.
_MEMBER = (
    select(ReviewQueue.project_id)
    .select_from(QueueMember)
    .join(ReviewQueue, ReviewQueue.id == QueueMember.queue_id)
    .outerjoin(
        Membership,
        and_(
            Membership.user_id == QueueMember.user_id,
            Membership.project_id == ReviewQueue.project_id,
        ),
    )
    .where(QueueMember.user_id == User.id)
    .where(Membership.id.is_not(None) | (User.role == Role.ADMIN))
    .correlate(User)
)
MEMBERS = {
    "queue_id": _MEMBER.where(QueueMember.queue_id == bindparam("id")),
    "slot_id": _MEMBER.join(ReviewSlot, ReviewSlot.queue_id == QueueMember.queue_id).where(
        ReviewSlot.id == bindparam("id")
    ),
    "review_id": _MEMBER.join(ReviewItem, ReviewItem.queue_id == QueueMember.queue_id)
    .join(Review, Review.item_id == ReviewItem.id)
    .where(Review.reviewer_id == User.id, Review.id == bindparam("id")),
    "result_id": _MEMBER.join(ReviewItem, ReviewItem.queue_id == QueueMember.queue_id)
    .join(GoldAnswer, GoldAnswer.item_id == ReviewItem.id)
    .join(GoldResult, GoldResult.gold_id == GoldAnswer.id)
    .where(GoldResult.user_id == User.id, GoldResult.id == bindparam("id")),
}


def project_of(session: Session, parameter: str, id_: int) -> int:
    """The project to which a thing belongs. Raises NotFound."""
    project_id = session.scalar(OWNERS[parameter], {"id": id_})
    if project_id is None:
        raise nothing_there()
    return int(project_id)


def require_in_project(session: Session, project_id: int, **ids: int | None) -> None:
    """Check that things named in a request are of the project: `score_run_id=3`, None is skipped.

    Raises:
        NotFound: one is of elsewhere or does not exist.
    """
    for parameter, id_ in ids.items():
        if id_ is not None and session.scalar(OWNERS[parameter], {"id": id_}) != project_id:
            raise NotFound(f"The project has no {parameter.removesuffix('_id')} {id_}.")


def nothing_there() -> NotFound:
    """The refusal of what is not there, or of another project, which nobody is told apart."""
    return NotFound("There is no such thing here, or it is not yours.")
