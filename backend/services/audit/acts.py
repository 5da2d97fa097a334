"""Who did what: entries are added in the transaction of the act, so that neither is without the
other. Who acts is said once for a session, by whoever opened it.

Acts that leave a row: whoever adds, changes or deletes one of the rows below has an entry. Hung on
the flush of every session, so that no way to a promotion, a bar or a role passes by the log. What
leaves no row of its own, or is written by plain SQL, calls `audit.record` itself.

An entry is added without a place in the chain, so that acts never queue for it; `chain.seal`
gives places afterwards. What may be recorded stands in `actions.ACTIONS`, one line for each.
"""

from __future__ import annotations

import math
import os
import pwd
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, cast
from urllib.parse import urlsplit

from sqlalchemy import Select, Table, event, insert, inspect, select
from sqlalchemy.orm import Session, object_session

from backend.db import utc_now
from backend.errors import UnknownName
from backend.prepared import PreparedStatement
from backend.services.audit.actions import ACTIONS
from backend.tables.accounts import LoginSession, Membership, Token, User
from backend.tables.audit import AuditEntry
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

ACTOR = "actor"
MOST_LETTERS = 300  # of a string in a detail: a name, an id, a digest
MOST_NUMBERS = 1000  # of a list in a detail; the ids of one page
SIGN_IN = "sign_in"  # in the info of a session: method and network
Detail = dict[str, Any]
Action = str | Callable[[Any], str | None]
ProjectOf = Callable[[Any], "int | Select[Any] | None"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts in a session.

    Attributes:
        user_id: None for a command on this machine and for the worker.
        token_id: the token by which a program came, None for a person.
        via: `api`, `cli` or `worker`.
        who: of a command the name of the system's user, of a worker its own name.
    """

    user_id: int | None = None
    token_id: int | None = None
    via: str = "cli"
    who: str = ""


_ADD = PreparedStatement(
    insert(cast(Table, AuditEntry.__table__)).inline(),
    keys=(
        "action",
        "user_id",
        "token_id",
        "via",
        "who",
        "project_id",
        "subject",
        "detail",
        "created_at",
    ),
)


def act_as(session: Session, actor: Actor) -> None:
    """Say who acts in this session from now on."""
    session.info[ACTOR] = actor


def actor_of(session: Session) -> Actor:
    """Who acts in this session; a command on this machine where nobody said."""
    found: Actor | None = session.info.get(ACTOR)
    return _at_this_machine() if found is None else found


@cache
def _at_this_machine() -> Actor:
    """Whoever runs this process, as the system has it and not as the environment says."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = f"uid {os.getuid()}"
    return Actor(via="cli", who=name)


def record(
    session: Session,
    action: str,
    *,
    subject: str = "",
    project_id: int | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Add an entry to this transaction.

    Args:
        action: a noun and what happened to it, as `promotion.made`; a key of ACTIONS.
        subject: what was acted upon, as `model:7`.
        detail: names, ids, counts and digests, under the keys that the action holds; no text of a
            person.

    Raises:
        UnknownName: no such action, or a detail that the action does not hold.
        TypeError: a detail that is no plain value.
    """
    if action not in ACTIONS:
        raise UnknownName("action of the audit log", action, ACTIONS)
    given = detail or {}
    if foreign := sorted(given.keys() - set(ACTIONS[action].holds)):
        raise UnknownName(f"detail of {action}", foreign[0], ACTIONS[action].holds)
    _insert(session, actor_of(session), action, subject, project_id, given)


def _insert(
    session: Session,
    actor: Actor,
    action: str,
    subject: str,
    project_id: int | None,
    given: dict[str, Any],
) -> None:
    # Core: an entry has no life in the session, and a claim is recorded 50 times a second.
    _ADD.run(
        session.connection(),
        {
            "action": action,
            "user_id": actor.user_id,
            "token_id": actor.token_id,
            "via": actor.via,
            "who": _line(actor.who)[:80],
            "project_id": project_id,
            "subject": _line(subject)[:120],
            "detail": {key: _plain(value) for key, value in given.items()},
            "created_at": utc_now(),
        },
    )


def _plain(value: Any) -> Any:
    """The value as JSON has it, short, and the same after a way through either database."""
    match value:
        case None | bool() | int():
            return value
        case float() if math.isfinite(value):
            return value
        case str():
            return _line(value)[:MOST_LETTERS]
        case dict():
            return {_line(str(key)): _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value[:MOST_NUMBERS]]
    raise TypeError(f"a detail of the audit log is no {type(value).__name__}")


def _line(text: str) -> str:
    """One printable line: NUL, lone surrogates and line ends, which a database or a reader trips
    over, are written as U+FFFD."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)


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
        lambda row: select(Dataset.project_id).where(Dataset.id == row.dataset_id),
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


@event.listens_for(Session, "after_flush")
def _note_acts(session: Session, _: Any) -> None:
    """Record what a flush has written."""
    for act, row, before in acts_of_flush(session):
        action = act.action if isinstance(act.action, str) else act.action(row)
        if action is None:
            continue
        project = act.project(row)
        _record_flushed(
            session,
            action,
            subject=f"{act.noun}:{getattr(row, act.id)}",
            project_id=session.scalar(project) if isinstance(project, Select) else project,
            detail={**before, **act.detail(row)},
            by=next((by for name in act.by if (by := getattr(row, name, None))), None),
        )


def _record_flushed(session: Session, action: str, *, by: int | None, **what: Any) -> None:
    """Record an act that left a row; `by` is whom the row names, where the session names nobody."""
    actor = actor_of(session)
    if actor.user_id is not None or by is None:
        record(session, action, **what)
        return
    act_as(session, replace(actor, user_id=by))
    try:
        record(session, action, **what)
    finally:
        act_as(session, actor)
