"""The table of actions, and the acts that leave a row: each has its entry, by whatever way."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, inspect, select
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import UnknownName
from backend.services import audit
from backend.services.accounts import users
from backend.services.accounts.credentials import create_token, open_login_session, revoke_token
from backend.services.audit.actions import ACTIONS
from backend.services.audit.acts import ADDED, CHANGED, DELETED
from backend.services.audit.listing import actions_called, names_in, sentence
from backend.services.projects import create_project, set_manifest
from backend.tables.accounts import LoginSession
from backend.tables.audit import AuditEntry
from backend.tables.projects import SuccessManifest
from backend.tables.verdicts import Promotion

BACKEND = Path(audit.__file__).parents[2]
NOW = datetime(2026, 3, 1, tzinfo=UTC)
BAR = "name: bar\nlines:\n  - {metric: exact_match, threshold: 0.5}\n"


def told(session: Session) -> list[str]:
    session.flush()
    return list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


def last(session: Session) -> AuditEntry:
    session.flush()
    found = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert found is not None
    return found


@pytest.mark.parametrize("name", ACTIONS)
def test_an_action_is_a_noun_and_what_happened_and_reads_as_a_sentence(name: str) -> None:
    noun, dot, verb = name.partition(".")
    assert all((noun, dot, verb, len(name) <= 40))
    action = ACTIONS[name]
    fields = {field for _, field, _, _ in string.Formatter().parse(action.words) if field}
    assert fields <= {*action.holds, "subject"}
    full: dict[str, Any] = dict.fromkeys(action.holds, 3)
    for detail in (full, {}):
        entry = AuditEntry(action=name, detail=detail, subject="thing:7", via="cli", who="root")
        said = sentence(entry, names_in_nothing())
        assert said
        assert "{" not in said


def names_in_nothing() -> Any:
    from backend.services.audit.listing import Names

    return Names({}, {}, {}, {})


def recorded() -> Iterator[tuple[str, str, set[str]]]:
    """Every call of `record` in the backend that names its action: where, the action, the keys."""
    for file in BACKEND.rglob("*.py"):
        if "record(" not in (source := file.read_text(encoding="utf-8")):
            continue
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.Call) or len(node.args) < 2:
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            action = node.args[1]
            if name != "record" or not isinstance(action, ast.Constant):
                continue
            if getattr(getattr(node.func, "value", None), "id", "audit") != "audit":
                continue
            details = [word.value for word in node.keywords if word.arg == "detail"]
            keys = {
                str(key.value)
                for detail in details
                if isinstance(detail, ast.Dict)
                for key in detail.keys
                if isinstance(key, ast.Constant)
            }
            yield f"{file.name}:{node.lineno}", str(action.value), keys


def test_every_call_records_an_action_of_the_table_and_what_it_holds() -> None:
    calls = list(recorded())
    assert len(calls) >= 10
    unknown = [(where, action) for where, action, _ in calls if action not in ACTIONS]
    assert unknown == []
    foreign = [
        (where, keys - set(ACTIONS[action].holds))
        for where, action, keys in calls
        if not keys <= set(ACTIONS[action].holds)
    ]
    assert foreign == []


def test_the_table_of_rows_names_actions_and_columns_that_there_are() -> None:
    for table, columns in CHANGED.items():
        assert set(columns) <= {column.key for column in inspect(table).column_attrs}
    acts = [*ADDED.values(), *DELETED.values()]
    acts += [act for columns in CHANGED.values() for act in columns.values()]
    assert {act.action for act in acts if isinstance(act.action, str)} <= ACTIONS.keys()
    for table, act in {**ADDED, **DELETED}.items():
        assert hasattr(table, act.id)


@pytest.mark.parametrize("name", ["promotion.mad", "", "x", "promotion", "texts.read "])
def test_an_unknown_action_is_refused(session: Session, name: str) -> None:
    with pytest.raises(UnknownName):
        audit.record(session, name)
    assert told(session) == []


def test_a_detail_that_the_action_does_not_hold_is_refused(session: Session) -> None:
    with pytest.raises(UnknownName, match="text"):
        audit.record(session, "texts.read", detail={"text": "Ana has a fever."})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), b"x", {1, 2}])
def test_a_detail_is_a_plain_value(session: Session, value: object) -> None:
    with pytest.raises(TypeError):
        audit.record(session, "texts.read", detail={"ids": value})


def test_a_long_detail_is_cut(session: Session) -> None:
    audit.record(session, "texts.read", detail={"of": "x" * 9999, "ids": list(range(9999))})
    entry = last(session)
    assert len(entry.detail["of"]) == audit.MOST_LETTERS
    assert len(entry.detail["ids"]) == audit.MOST_NUMBERS


def test_a_noun_stands_for_all_that_happened_to_it() -> None:
    assert actions_called("promotion") == [
        name for name in ACTIONS if name.startswith("promotion.")
    ]
    assert actions_called("promotion.made") == ["promotion.made"]
    with pytest.raises(UnknownName):
        actions_called("promotio")


def test_people_and_what_they_come_by(session: Session) -> None:
    project = create_project(session, "p", base_model="base")
    ana = users.create_user(session, "ana", "admin", password="a long enough one")
    users.create_user(session, "bea", "admin")
    before = len(told(session))
    users.set_role(session, ana, "lead")
    users.set_role(session, ana, "lead")  # no change, no entry
    users.add_member(session, project.id, ana.id)
    users.add_member(session, project.id, ana.id)
    users.remove_member(session, project.id, ana.id)
    users.set_password(session, ana, "another long one", now=NOW)
    secret = create_token(session, ana, "ci", now=NOW)
    revoke_token(session, secret.row_id, now=NOW)
    revoke_token(session, secret.row_id, now=NOW)
    open_login_session(session, ana.id, hours=1, now=NOW)
    users.deactivate_user(session, ana, now=NOW)
    users.reactivate_user(session, ana)
    assert told(session)[before:] == [
        "user.role_changed",
        "member.added",
        "member.removed",
        "password.changed",
        "token.made",
        "token.revoked",
        "signin.passed",
        "user.barred",
        "signin.ended",
        "user.let_in",
    ]


def test_a_secret_never_gets_into_the_log(session: Session) -> None:
    ana = users.create_user(session, "ana", "admin", password="a long enough one")
    token = create_token(session, ana, "ci", now=NOW)
    cookie = open_login_session(session, ana.id, hours=1, now=NOW)
    session.flush()
    stored = session.scalars(select(AuditEntry)).all()
    text = repr([(entry.subject, entry.detail, entry.who) for entry in stored])
    hidden = [token.value, cookie.value, "long enough", str(ana.password_hash)]
    hidden.append(session.scalars(select(LoginSession.token_hash)).one())
    assert [secret for secret in hidden if secret in text] == []


def test_a_bar_is_recorded_with_its_digest_and_only_when_it_changes(session: Session) -> None:
    project = create_project(session, "p", base_model="base")
    ana = users.create_user(session, "ana", "lead")
    set_manifest(session, project.id, BAR, created_by_id=ana.id)
    set_manifest(session, project.id, BAR, created_by_id=ana.id)
    entry, stored = last(session), session.scalars(select(SuccessManifest)).one()
    assert told(session).count("manifest.set") == 1
    assert (entry.action, entry.subject) == ("manifest.set", f"manifest:{stored.id}")
    assert entry.detail == {"version": 1, "digest": stored.digest}
    assert entry.project_id == project.id
    assert entry.user_id == ana.id  # the row says who; of the session only the machine is known
    assert entry.via == "cli"


def test_no_way_to_a_promotion_passes_by_the_log(session: Session) -> None:
    """A row that is added without any service."""
    from backend.services.models.others import register_served

    project = create_project(session, "p", base_model="base")
    model = register_served(session, project.id, "gpt", "gpt-4o")
    for action in ("promoted", "held", "rolled_back"):
        row = Promotion(
            project_id=project.id,
            alias="champion",
            model_version_id=model.id,
            action=action,
            reason="a reason that names a patient",
            override="because",
        )
        session.add(row)
        session.flush()
    assert told(session)[-3:] == ["promotion.made", "promotion.held", "promotion.rolled_back"]
    entry = last(session)
    assert entry.detail["override"] is True
    assert "patient" not in repr(entry.detail)
    [shown] = [sentence(entry, names_in(session, [entry]))]
    assert shown == f"pointed champion back at model {model.label}"


def test_what_is_rolled_back_leaves_no_entry(sessions: sessionmaker[Session]) -> None:
    with sessions() as session:
        users.create_user(session, "ana", "admin")
        assert told(session) == ["user.made"]
        session.rollback()
        assert session.scalar(select(func.count()).select_from(AuditEntry)) == 0


def test_who_acts_is_the_session_s_and_else_the_system_s_user(session: Session) -> None:
    audit.record(session, "signin.ended", subject="user:1")
    assert last(session).via == "cli"
    assert last(session).who
    audit.act_as(session, audit.Actor(user_id=4, token_id=9, via="api"))
    audit.record(session, "signin.ended", subject="user:1")
    entry = last(session)
    assert (entry.user_id, entry.token_id, entry.via, entry.who) == (4, 9, "api", "")
