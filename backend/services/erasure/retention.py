"""For how many days a project keeps what is of use for a while only, and the sweep that clears it.

A kind is one entry in KINDS. Without a rule of the project its default holds; None is for good.
Sessions and kept answers belong to people and not to a project: the strictest rule that a project
has set for them counts for all. A sweep takes a batch of the oldest of each kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, String, cast, delete, func, select, update
from sqlalchemy.orm import Session

from backend.errors import InvalidInput, UnknownName
from backend.schemas.erasure import RetentionPeriod
from backend.services import audit
from backend.services.queue import about_project
from backend.tables.accounts import IdempotencyKey, LoginSession
from backend.tables.erasure import RetentionRule
from backend.tables.projects import Project
from backend.tables.queue import Job, JobState
from backend.tables.review import Review, ReviewItem, ReviewQueue, ReviewState
from backend.tables.sign_in import ProviderSession
from backend.tables.webhooks import DeliveryState, Webhook, WebhookDelivery

MOST_DAYS = 36_500
BATCH = 500
ENDED = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)

Outlived = Callable[[int, datetime], Select[Any]]


@dataclass(frozen=True, slots=True)
class RetentionKind:
    """One kind of thing that is kept for a while.

    Attributes:
        words: what it is and what clearing does to it.
        days: of a project that has no rule; None keeps it for good.
        outlived: the ids of a project's that are older than a moment, oldest first.
        clear: takes their texts, or the rows.
        of_project: whether it belongs to a project; else the strictest rule of all counts.
    """

    words: str
    days: int | None
    outlived: Outlived
    clear: Callable[[Session, list[int]], None]
    of_project: bool = True


def _drafts(project_id: int, before: datetime) -> Select[Any]:
    unfinished = Review.state.in_((ReviewState.DRAFT, ReviewState.SKIPPED))
    return (
        select(Review.id)
        .join(ReviewItem, ReviewItem.id == Review.item_id)
        .join(ReviewQueue, ReviewQueue.id == ReviewItem.queue_id)
        .where(ReviewQueue.project_id == project_id, unfinished, Review.started_at < before)
        .where(cast(Review.draft, String) != "{}")
        .order_by(Review.id)
    )


def _deliveries(project_id: int, before: datetime) -> Select[Any]:
    return (
        select(WebhookDelivery.id)
        .join(Webhook, Webhook.id == WebhookDelivery.webhook_id)
        .where(Webhook.project_id == project_id, WebhookDelivery.created_at < before)
        .where(WebhookDelivery.state != DeliveryState.PENDING)
        .order_by(WebhookDelivery.id)
    )


def _jobs(project_id: int, before: datetime) -> Select[Any]:
    """Jobs of the project whose reason in words is still there."""
    return (
        select(Job.id)
        .where(
            about_project(project_id),
            Job.state.in_(ENDED),
            Job.finished_at < before,
            Job.error.is_not(None),
        )
        .order_by(Job.id)
    )


def _older(table: Any, since: Any) -> Outlived:
    """Of all people's, since no project has them."""
    return lambda _, before: select(table.id).where(since < before).order_by(table.id)


def _delete_from(table: Any) -> Callable[[Session, list[int]], None]:
    def clear(session: Session, ids: list[int]) -> None:
        session.execute(delete(table).where(table.id.in_(ids)))

    return clear


def _end_sessions(session: Session, ids: list[int]) -> None:
    session.execute(delete(ProviderSession).where(ProviderSession.session_id.in_(ids)))
    session.execute(delete(LoginSession).where(LoginSession.id.in_(ids)))


def _blank(table: Any, **values: Any) -> Callable[[Session, list[int]], None]:
    def clear(session: Session, ids: list[int]) -> None:
        session.execute(update(table).where(table.id.in_(ids)).values(**values))

    return clear


KINDS: Mapping[str, RetentionKind] = {
    "drafts": RetentionKind(
        "unfinished and skipped answers of the desk; the text goes, the review stays",
        None,
        _drafts,
        _blank(Review, draft={}),
    ),
    "deliveries": RetentionKind(
        "what webhooks were told; pending ones stay", 30, _deliveries, _delete_from(WebhookDelivery)
    ),
    "job-errors": RetentionKind(
        "why jobs failed or were cancelled, in words; the job stays",
        None,
        _jobs,
        _blank(Job, error=None),
    ),
    "answers": RetentionKind(
        "answers kept for requests that are sent again",
        7,
        _older(IdempotencyKey, IdempotencyKey.created_at),
        _delete_from(IdempotencyKey),
        of_project=False,
    ),
    "sessions": RetentionKind(
        "sign-ins that nobody used since",
        None,
        _older(LoginSession, LoginSession.last_seen_at),
        _end_sessions,
        of_project=False,
    ),
}
"""By name; live requests join when there are any."""


def retention_periods(session: Session, project_id: int) -> list[RetentionPeriod]:
    """Every kind with its days in a project."""
    query = select(RetentionRule).where(RetentionRule.project_id == project_id)
    rules = {rule.kind: rule.days for rule in session.scalars(query)}
    return [
        RetentionPeriod(name, kind.words, rules.get(name, kind.days), name not in rules)
        for name, kind in KINDS.items()
    ]


def set_rule(
    session: Session, project_id: int, name: str, days: int, *, by_id: int | None, now: datetime
) -> RetentionPeriod:
    """Say for how many days a project keeps a kind.

    Raises:
        UnknownName: there is no such kind.
        InvalidInput: the days are not between 1 and MOST_DAYS.
    """
    if name not in KINDS:
        raise UnknownName("kind of thing that is kept", name, KINDS)
    if not 1 <= days <= MOST_DAYS:
        raise InvalidInput(f"{days} is no number of days between 1 and {MOST_DAYS}.")
    query = select(RetentionRule).where(
        RetentionRule.project_id == project_id, RetentionRule.kind == name
    )
    rule = session.scalar(query.with_for_update())
    before = None if rule is None else rule.days
    if rule is None:
        rule = RetentionRule(project_id=project_id, kind=name, days=days)
        session.add(rule)
    rule.days, rule.set_by_id, rule.set_at = days, by_id, now
    session.flush()
    audit.record(
        session,
        "retention.set",
        subject=f"retention:{name}",
        project_id=project_id,
        detail={"days": days, "before": before},
    )
    return RetentionPeriod(name, KINDS[name].words, days, False)


@dataclass(frozen=True, slots=True)
class Swept:
    """How many of a kind were (or would be) cleared in a project; None is all people's."""

    project_id: int | None
    kind: str
    days: int
    n: int


def sweep(
    session: Session,
    *,
    now: datetime,
    dry_run: bool = False,
    project_id: int | None = None,
    batch: int = BATCH,
) -> list[Swept]:
    """Clear up to `batch` of each kind of each project that has outlived its days.

    Args:
        dry_run: only count, and count all.
        project_id: of this project alone; what belongs to people is left to a sweep of all.
    """
    found = []
    for owner, name, days in _due(session, project_id):
        kind, before = KINDS[name], now - timedelta(days=days)
        query = kind.outlived(owner or 0, before)
        if dry_run:
            n = session.scalar(select(func.count()).select_from(query.order_by(None).subquery()))
        else:
            ids = list(session.scalars(query.limit(batch)))
            n = len(ids)
            if ids:
                kind.clear(session, ids)
        found.append(Swept(owner, name, days, n or 0))
    if not dry_run:
        _record(session, found)
    return found


def _due(session: Session, project_id: int | None) -> list[tuple[int | None, str, int]]:
    projects = [project_id] if project_id else list(session.scalars(select(Project.id)))
    due: list[tuple[int | None, str, int]] = []
    shared: dict[str, int] = {}
    for owner in sorted(projects):
        for one in retention_periods(session, owner):
            if one.days is None:
                continue
            if KINDS[one.kind].of_project:
                due.append((owner, one.kind, one.days))
            else:
                shared[one.kind] = min(one.days, shared.get(one.kind, one.days))
    if project_id is None:
        due += [(None, name, days) for name, days in shared.items()]
    return due


def _record(session: Session, found: list[Swept]) -> None:
    for one in found:
        if one.n:
            audit.record(
                session,
                "retention.swept",
                subject=f"retention:{one.kind}",
                project_id=one.project_id,
                detail={"n": one.n, "days": one.days},
            )
