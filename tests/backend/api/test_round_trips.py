"""What a request of the desk asks the database: so many statements, and none of it kept between."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session, sessionmaker
from starlette.testclient import TestClient

from backend.api.deps import serve_with
from backend.db import open_database, session_factory
from backend.services.accounts import credentials, users
from backend.services.accounts.callers import AccessSubject, caller_by_token
from backend.settings import Settings
from backend.tables.accounts import Token
from tests.backend.api.conftest import PASSWORD, SAME_SITE, House, furnish
from tests.fixtures_review import GOOD

STATEMENTS = ("SELECT", "UPDATE", "INSERT", "DELETE", "WITH")
ANSWER = {"ratings": GOOD, "active_seconds": 3.0}
# One more is one more round trip of every reviewer's every item: think before you raise one.
MOST = {
    "claim": 6,  # who asks; queue and person; take; begin; item and progress; what was read
    "claim again": 5,  # as before, but for the beginning
    "draft": 4,  # who asks; life of the lease; lengthen; keep
    "links": 2,  # who asks; the item
    "submit": 6,  # who asks; what is asked; release; review; its ratings; the person's counters
    "submit and next": 11,
}


def count_statements(house: House) -> list[str]:
    """All that the database is asked from now on, by whichever way."""
    sent: list[str] = []

    class Noting(psycopg.Cursor[Any]):
        def execute(self, query: Any, *args: Any, **options: Any) -> Any:
            sent.append(str(query))
            return super().execute(query, *args, **options)

        def executemany(self, query: Any, params: Any, **options: Any) -> None:
            rows = list(params)
            sent.extend([str(query)] * len(rows))
            super().executemany(query, rows, **options)

    def trace(words: str) -> None:
        if words not in sent[-1:]:  # SQLite tells a statement again where a trigger runs in it
            sent.append(words)

    engine = house.sessions.kw["bind"]

    @event.listens_for(engine, "checkout")
    def note(connection: Any, *_: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.set_trace_callback(trace)
        else:
            connection.cursor_factory = Noting

    return sent


def ask(client: TestClient, act: str, house: House, claim: dict[str, Any]) -> dict[str, Any]:
    """One request of the desk; the claim that the person holds after it."""
    slot = f"/api/v1/review-slots/{claim.get('slot_id')}"
    body = {"version": claim.get("version"), "answer": ANSWER}
    match act:
        case "claim" | "claim again":
            answer = client.post(f"/api/v1/review-queues/{house.queue_id}/claim")
        case "draft":
            answer = client.put(f"{slot}/draft", json=body)
        case "links":
            answer = client.get(f"{slot}/links")
        case "submit":
            answer = client.post(f"{slot}/submit", json=body)
        case _:
            answer = client.post(f"{slot}/submit", json={**body, "next": True})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    following = (told.get("next") if act == "submit and next" else told) if act != "links" else {}
    return (following or {}).get("claim") or claim


def test_a_request_of_the_desk_asks_no_more_than_it_needs(
    sessions: sessionmaker[Session], settings: Settings, password_hash: str
) -> None:
    house = furnish(sessions, settings, password_hash, splits={"train": 9})  # type: ignore[arg-type]
    sent = count_statements(house)
    client = house.client("expert")
    found: dict[str, int] = {}
    turn = ("claim", "claim again", "draft", "links", "submit", "claim", "submit and next")
    claim: dict[str, Any] = {}
    for act in (*turn, "submit", *turn):  # the first turn learns the rubric, the second counts
        sent.clear()
        claim = ask(client, act, house, claim)
        found[act] = sum(words.lstrip().startswith(STATEMENTS) for words in sent)
    assert found == MOST


def _revoke(session: Session, house: House) -> None:
    token = session.query(Token).filter_by(user_id=house.users["expert"].id).one()
    credentials.revoke_token(session, token.id, now=house.clock.now)


def _bar(session: Session, house: House) -> None:
    user = users.get_user(session, house.users["expert"].id)
    users.deactivate_user(session, user, now=house.clock.now)


def _leave(session: Session, house: House) -> None:
    users.remove_member(session, house.desk.project.id, house.users["expert"].id)


@pytest.mark.parametrize(("act", "status"), [(_revoke, 401), (_bar, 401), (_leave, 404)])
def test_what_ends_access_in_one_process_ends_it_in_another_at_once(
    house_on_both: House, act: Callable[[Session, House], None], status: int
) -> None:
    house = house_on_both
    client = house.client("expert")
    path = f"/api/v1/my/review-queues/{house.queue_id}"
    assert [client.get(path).status_code for _ in range(3)] == [200] * 3
    elsewhere = open_database(house.sessions.kw["bind"].url.render_as_string(hide_password=False))
    with session_factory(elsewhere).begin() as session:
        act(session, house)
    elsewhere.dispose()
    assert client.get(path).status_code == status


def test_a_role_and_a_password_that_change_elsewhere_count_for_the_next_request(
    house: House,
) -> None:
    engineer = house.client("engineer")
    browser = house.client(None)
    form = {"name": house.users["engineer"].name, "password": PASSWORD}
    assert browser.post("/api/v1/login", data=form, headers=SAME_SITE).status_code == 303
    path = f"/api/v1/projects/{house.desk.project.id}/datasets"
    assert [one.get(path).status_code for one in (engineer, browser)] == [200, 200]
    with house.sessions.begin() as session:
        user = users.get_user(session, house.users["engineer"].id)
        users.set_role(session, user, "expert")
    assert [one.get(path).status_code for one in (engineer, browser)] == [403, 403]
    with house.sessions.begin() as session:
        user = users.get_user(session, house.users["engineer"].id)
        users.set_password(session, user, "a wholly other one", now=house.clock.now)
    assert [one.get(path).status_code for one in (engineer, browser)] == [403, 401]


def test_a_caller_has_the_seat_of_one_queue_and_no_other(house: House) -> None:
    with house.sessions() as session:
        found = {
            name: caller_by_token(
                session.connection(),
                house.tokens["expert"],
                now=house.clock.now,
                seat=AccessSubject("queue_id", queue_id),
            ).reviews_in
            for name, queue_id in (("own", house.queue_id), ("foreign", house.foreign_queue_id))
        }
    assert found == {"own": house.desk.project.id, "foreign": None}


@pytest.mark.postgres
def test_connections_that_the_server_cut_are_not_used_again(
    house_on_both: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = house_on_both
    url = house.sessions.kw["bind"].url.render_as_string(hide_password=False)
    if url.startswith("sqlite"):
        pytest.skip("a file cuts no connection")
    engine = open_database(f"{url}?application_name=cut")
    house.app.state.serving = serve_with(Settings(), session_factory(engine), clock=house.clock)
    client = house.client("expert", raise_server_exceptions=False)
    path = f"/api/v1/my/review-queues/{house.queue_id}"
    cut = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'cut'"
    )
    assert client.get(path).status_code == 200
    with house.sessions.begin() as session:
        session.execute(cut)
    after = [client.get(path).status_code for _ in range(3)]
    assert after[1:] == [200, 200]  # the first met the cut, or none did
    monkeypatch.setattr("backend.db.PING_AFTER_S", 0.0)
    with house.sessions.begin() as session:
        session.execute(cut)
    assert client.get(path).status_code == 200  # what lay idle is asked first
    engine.dispose()
