"""The audit log through the API: who read what, who came, who sees it, what may not flood it."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from backend.api.authorize import COOKIE
from backend.api.reads import TextRequest
from backend.api.rules import ROUTES, RULES, TEXTS, Access
from backend.api.texts import Texts
from backend.services.audit import Actor
from backend.services.audit.chain import check, seal
from backend.services.audit.export import check_lines
from backend.services.audit.sign_ins import MOST_REFUSED, network_of
from backend.tables.audit import AuditEntry
from tests.backend.api.conftest import PASSWORD, SAME_SITE, House
from tests.fixtures_review import GOOD


def entries(house: House, action: str | None = None) -> list[AuditEntry]:
    with house.sessions() as session:
        query = select(AuditEntry).order_by(AuditEntry.id)
        rows = list(session.scalars(query))
    return [row for row in rows if action is None or row.action == action]


def since(house: House, last: int) -> list[AuditEntry]:
    return [row for row in entries(house) if row.id > last]


def last_id(house: House) -> int:
    return max((row.id for row in entries(house)), default=0)


def test_every_route_says_whether_it_gives_texts() -> None:
    assert RULES.keys() == ROUTES.keys()
    for name, (access, texts) in ROUTES.items():
        assert isinstance(access, Access), name
        assert TEXTS.get(name) is texts, name
        assert texts is None or isinstance(texts, Texts), name


def test_a_page_of_examples_is_one_entry_that_says_which(house: House) -> None:
    client = house.client("engineer")
    before = last_id(house)
    path = f"/api/v1/dataset-versions/{house.desk.version.id}/examples?limit=4"
    shown = client.get(path).json()["items"]
    [used, read] = since(house, before)
    assert used.action == "token.used"
    assert read.action == "texts.read"
    assert read.user_id == house.users["engineer"].id
    assert read.token_id is not None
    assert (read.via, read.project_id) == ("api", house.desk.project.id)
    assert read.subject == f"dataset_version:{house.desk.version.id}"
    assert read.detail["ids"] == [one["id"] for one in shown]
    assert (read.detail["n"], read.detail["of"]) == (4, "examples")


def test_of_very_many_texts_none_is_without_its_id(house: House) -> None:
    reading = TextRequest(
        name="GET /v1/comparisons/{comparison_id}/flips",
        texts=TEXTS["GET /v1/comparisons/{comparison_id}/flips"],
        serving=house.app.state.serving,
        actor=Actor(user_id=house.users["engineer"].id, via="api"),
        params={"comparison_id": 1},
        format=None,
        ids=range(2500),
        n=2500,
    )
    before = last_id(house)
    with house.sessions.begin() as session:
        reading.note(session)
    read = since(house, before)
    assert [row.detail["n"] for row in read] == [1000, 1000, 500]
    assert [number for row in read for number in row.detail["ids"]] == list(range(2500))


def test_who_may_not_read_has_no_entry(house: House) -> None:
    before = last_id(house)
    path = f"/api/v1/dataset-versions/{house.desk.version.id}/examples"
    assert house.client("stranger").get(path).status_code == 404
    assert house.client("expert").get(path).status_code == 403
    assert house.client().get(path).status_code == 401
    assert [row.action for row in since(house, before)] == []


def test_an_empty_page_is_no_reading(house: House) -> None:
    client, path = house.client("engineer"), f"/api/v1/dataset-versions/{house.desk.version.id}"
    client.get("/api/v1/me")
    before = last_id(house)
    assert client.get(f"{path}/examples?split=test").json()["items"] == []
    assert since(house, before) == []


def claim(house: House, person: str = "expert") -> dict[str, Any]:
    path = f"/api/v1/review-queues/{house.queue_id}/claim"
    answer = house.client(person).post(path, headers=SAME_SITE)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()["claim"]
    return found


def test_a_claim_is_noted_with_the_claim(house_on_both: House) -> None:
    house = house_on_both
    claimed = claim(house)
    read = entries(house, "texts.read")[-1]
    assert read.detail["ids"] == [claimed["slot_id"]]
    assert read.subject == f"queue:{house.queue_id}"
    assert read.project_id == house.desk.project.id
    assert read.user_id == house.users["expert"].id


def test_the_next_item_in_the_answer_to_a_submit_is_noted(house: House) -> None:
    claimed = claim(house)
    before = last_id(house)
    client = house.client("expert")
    body = {"version": claimed["version"], "reason": "not mine", "next": True}
    path = f"/api/v1/review-slots/{claimed['slot_id']}/skip"
    answer = client.post(path, json=body, headers=SAME_SITE)
    assert answer.status_code == 200
    following = answer.json()["next"]["claim"]["slot_id"]
    [read] = since(house, before)
    assert read.detail["ids"] == [following]
    assert read.subject == f"review_slot:{claimed['slot_id']}" or read.subject.startswith("slot:")
    assert read.project_id == house.desk.project.id


def test_a_claim_that_fails_leaves_no_entry(house: House) -> None:
    """The entry is of the act's own transaction."""
    from sqlalchemy import event
    from sqlalchemy.exc import OperationalError
    from sqlalchemy.orm import Session

    house.client("expert").get("/api/v1/me")

    def fail(session: Session) -> None:
        raise OperationalError("COMMIT", {}, Exception("disk full"))

    before = last_id(house)
    event.listen(house.sessions, "before_commit", fail)
    try:
        client = house.client("expert", raise_server_exceptions=False)
        path = f"/api/v1/review-queues/{house.queue_id}/claim"
        assert client.post(path, headers=SAME_SITE).status_code == 503
    finally:
        event.remove(house.sessions, "before_commit", fail)
    assert since(house, before) == []


def test_a_claim_is_noted_in_its_own_transaction(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left to a second transaction, before which the process may die."""
    from backend.api import reads

    def die(*_: object) -> None:
        raise AssertionError("a second transaction")

    monkeypatch.setattr(reads, "_note_alone", die)
    claimed = claim(house)
    assert entries(house, "texts.read")[-1].detail["ids"] == [claimed["slot_id"]]


def test_texts_are_not_sent_where_their_entry_cannot_be_written(house: House) -> None:
    from sqlalchemy import event
    from sqlalchemy.exc import OperationalError
    from sqlalchemy.orm import Session

    def fail(session: Session) -> None:
        raise OperationalError("COMMIT", {}, Exception("disk full"))

    client = house.client("engineer", raise_server_exceptions=False)
    client.get("/api/v1/me")
    event.listen(house.sessions, "before_commit", fail)
    try:
        answer = client.get(f"/api/v1/dataset-versions/{house.desk.version.id}/examples")
    finally:
        event.remove(house.sessions, "before_commit", fail)
    assert answer.status_code == 503
    assert "Summarise" not in answer.text


def test_an_export_says_what_left(house: House) -> None:
    claimed = claim(house)
    path = f"/api/v1/review-slots/{claimed['slot_id']}/submit"
    body = {"version": claimed["version"], "answer": {"ratings": GOOD}}
    done = house.client("expert").post(path, json=body, headers=SAME_SITE)
    assert done.status_code == 200
    before = last_id(house)
    answer = house.client("lead").get(f"/api/v1/review-queues/{house.queue_id}/export")
    assert answer.content
    found = [row for row in since(house, before) if row.action.startswith("export.")]
    assert [row.action for row in found] == ["export.begun", "export.ended"]
    ended = found[1]
    assert ended.detail["sha256"] == hashlib.sha256(answer.content).hexdigest()
    assert ended.detail["bytes"] == len(answer.content)
    assert ended.detail["lines"] == len(answer.text.splitlines())
    assert ended.subject == f"queue:{house.queue_id}"


def test_a_refused_export_never_began(house: House) -> None:
    before = last_id(house)
    answer = house.client("lead").get(f"/api/v1/review-queues/{house.queue_id}/export?format=votes")
    assert answer.status_code == 422
    assert [row.action for row in since(house, before)] == ["token.used"]


def sign_in(house: House, name: str, password: str) -> Any:
    data = {"name": name, "password": password}
    return house.client().post("/api/v1/login", data=data, headers=SAME_SITE)


def test_a_sign_in_and_a_sign_out(house: House) -> None:
    before = last_id(house)
    cookie = sign_in(house, "eva", PASSWORD).cookies[COOKIE]
    client = house.client()
    client.cookies.set(COOKIE, cookie)
    client.get(f"/api/v1/dataset-versions/{house.desk.version.id}/examples?limit=1")
    client.post("/api/v1/logout", headers=SAME_SITE)
    came, read, left = since(house, before)
    eva = house.users["engineer"].id
    assert (came.action, came.user_id, came.subject) == ("signin.passed", eva, f"user:{eva}")
    assert came.detail == {"method": "password", "network": "unknown"}  # the client has no address
    assert (read.action, read.user_id, read.token_id) == ("texts.read", eva, None)
    assert (left.action, left.user_id, left.subject) == ("signin.ended", eva, f"user:{eva}")


def test_a_refused_sign_in_keeps_no_name_that_nobody_has(house: House) -> None:
    before = last_id(house)
    assert sign_in(house, "eva", "wrong horse").status_code == 401
    assert sign_in(house, "my secret pass phrase", "x").status_code == 401
    known, unknown = since(house, before)
    assert (known.action, known.user_id) == ("signin.refused", None)
    assert known.subject == f"user:{house.users['engineer'].id}"
    assert known.detail["known"] is True
    assert (unknown.subject, unknown.detail["known"]) == ("", False)
    assert "secret" not in json.dumps(unknown.detail)


def test_guessing_does_not_flood_the_log(house: House) -> None:
    """Every name and address anew, so that no limit but the log's own is in the way."""
    refusals = house.app.state.serving.refusals
    before = last_id(house)
    for number in range(MOST_REFUSED + 50):
        refusals.note(house.sessions, f"name {number}", f"10.{number}.0.1", "wrong")
    assert len(since(house, before)) == MOST_REFUSED
    assert refusals._not_written == 50
    assert MOST_REFUSED * 60 * 24 < 50_000  # entries a day, at the worst


def test_what_was_not_written_is_told_with_the_next(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend.services.audit import sign_ins

    refusals = house.app.state.serving.refusals
    refusals._not_written = 7
    monkeypatch.setattr(sign_ins, "WINDOW", timedelta(seconds=0))
    refusals.note(house.sessions, "x", "10.0.0.1", "wrong")
    assert entries(house, "signin.refused")[-1].detail["not_written"] == 7
    assert refusals._not_written == 0


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("testclient", "unknown"),
        ("", "unknown"),
    ],
)
def test_of_an_address_the_network_is_kept(address: str, network: str) -> None:
    assert network_of(address) == network


def test_a_token_is_noted_once_a_day_and_by_every_process_together(house: House) -> None:
    client = house.client("engineer")
    for _ in range(3):
        client.get("/api/v1/me")
    house.app.state.serving.tokens_noted.clear()  # another process
    client.get("/api/v1/me")
    assert len(entries(house, "token.used")) == 1


# who may see it


def seen(house: House, person: str, path: str = "/api/v1/audit") -> Any:
    return house.client(person).get(path)


def test_admins_see_all_and_leads_their_project(house: House) -> None:
    ours, theirs = house.desk.project.id, house.foreign.project.id
    house.client("engineer").get(f"/api/v1/dataset-versions/{house.desk.version.id}/examples")
    house.client("stranger").get(f"/api/v1/dataset-versions/{house.foreign.version.id}/examples")
    everything = seen(house, "admin").json()["items"]
    assert {None, ours, theirs} <= {row["project_id"] for row in everything}
    of_ours = seen(house, "lead", f"/api/v1/projects/{ours}/audit").json()["items"]
    assert of_ours
    assert {row["project_id"] for row in of_ours} == {ours}
    assert seen(house, "lead", f"/api/v1/projects/{theirs}/audit").status_code == 404
    for person in ("lead", "engineer", "expert"):
        assert seen(house, person).status_code == 403
        assert seen(house, person, "/api/v1/audit/export").status_code == 403
    assert seen(house, "engineer", f"/api/v1/projects/{ours}/audit").status_code == 403


def test_pages_hold_every_entry_once(house: House) -> None:
    for person in ("engineer", "lead", "admin"):
        house.client(person).get(f"/api/v1/dataset-versions/{house.desk.version.id}/examples")
    found, cursor = [], None
    while True:
        query = f"?limit=3&cursor={cursor}" if cursor else "?limit=3"
        page = seen(house, "admin", f"/api/v1/audit{query}").json()
        found += [row["id"] for row in page["items"]]
        if (cursor := page["next"]) is None:
            break
    assert found == [row.id for row in reversed(entries(house))]


FILTERS: list[tuple[str, set[str]]] = [
    ("who=eva", {"token.used", "texts.read"}),
    ("who=nobody", set()),
    ("who=<script>", set()),
    ("action=texts.read", {"texts.read"}),
    ("action=texts", {"texts.read"}),
    ("subject=dataset_version", {"texts.read", "dataset.imported"}),
    ("subject=dataset_version:9999", set()),
    ("subject=data%25", set()),
    ("until=2020-01-01", set()),
    ("since=2999-01-01T00:00:00Z", set()),
]


@pytest.mark.parametrize(("query", "found"), FILTERS)
def test_filters(house_on_both: House, query: str, found: set[str]) -> None:
    house = house_on_both
    house.client("engineer").get(f"/api/v1/dataset-versions/{house.desk.version.id}/examples")
    shown = seen(house, "admin", f"/api/v1/audit?{query}").json()["items"]
    assert {row["action"] for row in shown} == found


@pytest.mark.parametrize(
    "query", ["action=texst.read", "since=yesterday", "cursor=x", "limit=0", "what=1"]
)
def test_what_cannot_be_asked(house: House, query: str) -> None:
    assert seen(house, "admin", f"/api/v1/audit?{query}").status_code == 422


def test_an_entry_is_a_sentence(house: House) -> None:
    house.client("engineer").get(f"/api/v1/dataset-versions/{house.desk.version.id}/examples")
    user = house.users["expert"]
    house.client("admin").patch(
        f"/api/v1/users/{user.id}", json={"role": "engineer"}, headers=SAME_SITE
    )
    rows = {row["action"]: row for row in seen(house, "admin").json()["items"]}
    read, role = rows["texts.read"], rows["user.role_changed"]
    assert read["who"] == "eva by token 'test'"
    assert read["sentence"] == f"read 6 examples of dataset version {house.desk.version.id}"
    assert read["reads"] is True
    assert role["who"] == "ada by token 'test'"
    assert role["sentence"] == f"made {user.name} engineer, before expert"
    assert role["detail"] == {"before": "expert", "after": "engineer"}


def test_the_name_of_who_left_the_people_is_gone_from_the_log(house: House) -> None:
    """Names are looked up: the chain holds when one is erased."""
    from backend.tables.accounts import User

    house.client("engineer").get(f"/api/v1/dataset-versions/{house.desk.version.id}/examples")
    seal(house.sessions)
    with house.sessions.begin() as session:
        session.get_one(User, house.users["engineer"].id).name = "erased-1"
    shown = seen(house, "admin", "/api/v1/audit?action=texts.read").json()["items"]
    assert shown[0]["who"] == "erased-1 by token 'test'"
    with house.sessions() as session:
        assert check(session).holds


def test_status_and_export(house_on_both: House) -> None:
    house = house_on_both
    admin = house.client("admin")
    waiting = admin.get("/api/v1/audit/status").json()
    assert waiting["unsealed"] > 0
    assert waiting["sealed"] == 0
    exported = admin.get("/api/v1/audit/export")
    found = check_lines(exported.text.splitlines())
    assert found.findings == ()
    assert found.entries > 0
    status = admin.get("/api/v1/audit/status").json()
    assert status["holds"] is True
    assert status["head"] == str(found.head)
    assert status["noted_at"]
    assert house.client("lead").get("/api/v1/audit/status").status_code == 200
    [ended] = entries(house, "export.ended")
    assert ended.detail["lines"] == found.entries


def test_a_status_says_what_is_wrong(house: House) -> None:
    from sqlalchemy import text

    house.client("admin").get("/api/v1/audit/export")
    with house.sessions.begin() as session:
        session.execute(text("DROP TRIGGER guard_audit_entries_sealed"))
        session.execute(text("UPDATE audit_entries SET action = 'x.y' WHERE seq = 2"))
    status = house.client("lead").get("/api/v1/audit/status").json()
    assert status["holds"] is False
    assert len(status["findings"]) == 2
    assert "guard_audit_entries_sealed is gone" in status["findings"][0]
    assert "place 2 is not what was sealed" in status["findings"][1]
    shown = seen(house, "admin", "/api/v1/audit?limit=500").json()["items"]
    assert "did x.y" in [row["sentence"] for row in shown]
