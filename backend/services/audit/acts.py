"""Acts that leave a row: whoever adds, changes or deletes one of these rows has an entry.

Hung on the flush of every session, so that no way to a promotion, a bar or a role passes by the
log. What leaves no row of its own, or is written by plain SQL, calls `audit.record` itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Select, event, inspect, select
from sqlalchemy.orm import Session, object_session

from backend.tables.accounts import LoginSession, Membership, Token, User
from backend.tables.curation import TrainingSet
from backend.tables.datasets import Dataset, DatasetVersion
from backend.tables.models import ModelVersion, Prompt
from backend.tables.projects import Project, SuccessManifest
from backend.tables.review import (
    GoldAnswer,
    GoldResult,
    Review,
    ReviewItem,
    ReviewQueue,
    RubricVersion,
)
from backend.tables.runs import IMPORT, GenerationRun
from backend.tables.training import TrainingRun
from backend.tables.verdicts import Promotion, PromotionAction
from backend.tables.webhooks import Webhook

SIGN_IN = "sign_in"  # in the info of a session: method and network
Detail = dict[str, Any]
Action = str | Callable[[Any], str | None]
ProjectOf = Callable[[Any], "int | Select[Any] | None"]


def _own(row: Any) -> int | None:
    found: int | None = row.project_id
    return found


def _none(_: Any) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Act:
    """What adding or changing a row of a table is.

    Attributes:
        action: of ACTIONS, or what finds it for a row; None: this row is no act.
        noun: of the subject, which is numbered by `id`.
        detail: of the row, after the change.
        project: the row's project, or a query that finds it.
        id: what numbers the subject.
        by: columns that say who did it, where the session does not.
    """

    action: Action
    noun: str
    detail: Callable[[Any], Detail] = lambda _: {}
    project: ProjectOf = _own
    id: str = "id"
    by: tuple[str, ...] = ("created_by_id",)


def _of_item(row: Any) -> Select[Any]:
    query = select(ReviewQueue.project_id).join(ReviewItem, ReviewItem.queue_id == ReviewQueue.id)
    return query.where(ReviewItem.id == row.item_id)


def _of_gold(row: Any) -> Select[Any]:
    query = select(ReviewQueue.project_id).join(ReviewItem, ReviewItem.queue_id == ReviewQueue.id)
    return query.join(GoldAnswer, GoldAnswer.item_id == ReviewItem.id).where(
        GoldAnswer.id == row.gold_id
    )


def _of_dataset(row: DatasetVersion) -> Select[Any]:
    return select(Dataset.project_id).where(Dataset.id == row.dataset_id)


def _user(action: str, detail: Callable[[Any], Detail] = lambda _: {}) -> Act:
    return Act(action, "user", detail, _none)


def _sign_in(row: Any) -> Detail:
    """How the person came, as `sign_in_from` said of the session."""
    session = object_session(row)
    return {} if session is None else dict(session.info.get(SIGN_IN, {}))


def _numbered(row: Any) -> Detail:
    return {"name": row.name, "version": row.version, "digest": row.digest}


ADDED: dict[type[Any], Act] = {
    Project: Act("project.made", "project", lambda row: {"name": row.name}, lambda row: row.id),
    SuccessManifest: Act(
        "manifest.set", "manifest", lambda row: {"version": row.version, "digest": row.digest}
    ),
    DatasetVersion: Act(
        "dataset.imported",
        "dataset_version",
        lambda row: {"number": row.number, "rows": row.n_examples, "digest": row.digest},
        _of_dataset,
    ),
    Prompt: Act(lambda row: None if row.tried else "prompt.added", "prompt", _numbered),
    RubricVersion: Act("rubric.saved", "rubric", _numbered),
    ModelVersion: Act(
        lambda row: None if row.bare_id else "model.added",
        "model",
        lambda row: {"name": row.label, "digest": row.adapter_sha256 or row.base_sha256},
    ),
    GenerationRun: Act(
        lambda row: "outputs.imported" if row.engine == IMPORT else "run.started",
        "generation_run",
        lambda row: {"split": row.split, "engine": row.engine},
    ),
    ReviewQueue: Act("queue.opened", "queue", lambda row: {"name": row.name, "kind": row.kind}),
    GoldAnswer: Act("gold.set", "gold", project=_of_item),
    TrainingSet: Act(
        "set.frozen",
        "training_set",
        lambda row: {"name": row.name, "rows": row.n_rows, "digest": row.digest},
    ),
    TrainingRun: Act(
        "training.started",
        "training_run",
        lambda row: {
            "adapter": row.adapter_name,
            "set": row.training_set_id,
            "manifest": row.manifest_id,
        },
    ),
    Promotion: Act(
        lambda row: (
            "promotion.rolled_back"
            if row.action == PromotionAction.ROLLED_BACK
            else "promotion.made"
            if row.action == PromotionAction.PROMOTED
            else "promotion.held"
        ),
        "promotion",
        lambda row: {
            "alias": row.alias,
            "model": row.model_version_id,
            "comparison": row.comparison_id,
            "override": row.override is not None,
            "simulated": row.simulated,
        },
        by=("decided_by_id",),
    ),
    Webhook: Act("webhook.added", "webhook", lambda row: {"host": urlsplit(row.url).hostname}),
    User: _user(
        "user.made",
        lambda row: {
            "role": row.role,
            "pseudonym": row.pseudonym,
            "simulated": bool(row.simulated),
        },
    ),
    Membership: Act("member.added", "user", id="user_id"),
    Token: Act(
        "token.made",
        "token",
        lambda row: {"owner": row.user_id, "name": row.name, "until": _moment(row.expires_at)},
        _none,
    ),
    LoginSession: Act(
        "signin.passed", "user", _sign_in, project=_none, id="user_id", by=("user_id",)
    ),
}
DELETED: dict[type[Any], Act] = {
    Membership: Act("member.removed", "user", id="user_id"),
}
# By table and column: the act that a change of it is.
CHANGED: dict[type[Any], dict[str, Act]] = {
    User: {
        "role": _user("user.role_changed", lambda row: {"after": row.role}),
        "active": Act(
            lambda row: "user.let_in" if row.active else "user.barred", "user", project=_none
        ),
        "password_hash": _user("password.changed"),
    },
    Token: {
        "revoked_at": Act(
            "token.revoked", "token", lambda row: {"owner": row.user_id, "name": row.name}, _none
        )
    },
    LoginSession: {"ended_at": Act("signin.ended", "user", project=_none, id="user_id")},
    ReviewQueue: {"closed_at": Act("queue.closed", "queue")},
    GoldAnswer: {
        "withdrawn_at": Act("gold.withdrawn", "gold", project=_of_item, by=("withdrawn_by_id",))
    },
    GoldResult: {
        "resolved_at": Act(
            "gold.resolved",
            "result",
            lambda row: {"resolution": row.resolution},
            _of_gold,
            by=("resolved_by_id",),
        )
    },
    Review: {
        "withdrawn_at": Act("review.withdrawn", "review", project=_of_item, by=("withdrawn_by_id",))
    },
    Webhook: {"active": Act("webhook.removed", "webhook")},
}


def _moment(at: Any) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds")


def acts_of_flush(session: Session) -> Iterator[tuple[Act, Any, Detail]]:
    """The acts among what a flush has written, each with its row and what it was before."""
    for row in session.new:
        if type(row) in ADDED:
            yield ADDED[type(row)], row, {}
    for row in session.dirty:
        for column, act in CHANGED.get(type(row), {}).items():
            history = inspect(row).attrs[column].history
            if history.has_changes() and history.deleted != history.added:
                before = history.deleted[0] if history.deleted else None
                yield act, row, {"before": before} if column == "role" else {}
    for row in session.deleted:
        if type(row) in DELETED:
            yield DELETED[type(row)], row, {}


def note_acts(session: Session, record: Callable[..., None]) -> None:
    """Record what a flush has written."""
    for act, row, before in acts_of_flush(session):
        action = act.action if isinstance(act.action, str) else act.action(row)
        if action is None:
            continue
        project = act.project(row)
        record(
            session,
            action,
            subject=f"{act.noun}:{getattr(row, act.id)}",
            project_id=session.scalar(project) if isinstance(project, Select) else project,
            detail={**before, **act.detail(row)},
            by=next((by for name in act.by if (by := getattr(row, name, None))), None),
        )


def listen(record: Callable[..., None]) -> None:
    """Record the acts of every session from now on."""

    @event.listens_for(Session, "after_flush")
    def _note(session: Session, _: Any) -> None:
        note_acts(session, record)
