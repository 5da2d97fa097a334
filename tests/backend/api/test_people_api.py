"""What people do with their own sign-ins, and what an admin does with people."""

from __future__ import annotations

import pytest

from tests.backend.api.conftest import PASSWORD, SAME_SITE, House
from tests.backend.api.test_desk import ANSWER

COOKIE = "strop_session"
NEW = "another horse of mine"


def sign_in(house: House, name: str = "eva", password: str = PASSWORD) -> str:
    form = {"name": name, "password": password}
    return house.client().post("/api/v1/login", data=form, headers=SAME_SITE).cookies[COOKIE]


class TestSessions:
    def test_are_listed_and_ended_by_their_owner(self, house: House) -> None:
        mine, lost = sign_in(house), sign_in(house)
        client = house.client(cookies={COOKIE: mine})
        listed = client.get("/api/v1/me/sessions").json()
        assert sorted(row["current"] for row in listed) == [False, True]
        (other,) = [row["id"] for row in listed if not row["current"]]
        stranger = house.client("lead")
        path = f"/api/v1/me/sessions/{other}"
        assert stranger.delete(path, headers=SAME_SITE).status_code == 404
        assert client.delete(path, headers=SAME_SITE).status_code == 200
        assert house.client(cookies={COOKIE: lost}).get("/api/v1/me").status_code == 401
        assert client.get("/api/v1/me").status_code == 200

    def test_end_when_nobody_asks_for_two_hours(self, house: House) -> None:
        cookie = sign_in(house)
        client = house.client(cookies={COOKIE: cookie})
        for _ in range(5):  # used all along, it goes on
            house.clock.move(minutes=100)
            assert client.get("/api/v1/me").status_code == 200
        house.clock.move(minutes=121)
        assert client.get("/api/v1/me").status_code == 401
        assert house.client("engineer").get("/api/v1/me").status_code == 200  # tokens do not idle

    def test_using_one_writes_once_in_a_while(self, house: House) -> None:
        client = house.client(cookies={COOKIE: sign_in(house)})
        with house.sessions() as writer:
            writer.connection()  # holds the one write lock of SQLite
            house.clock.move(minutes=11)
            assert client.get("/api/v1/me").status_code == 200


class TestPassword:
    def test_is_changed_by_its_owner_and_ends_other_sessions(self, house: House) -> None:
        mine, other = sign_in(house), sign_in(house)
        client = house.client(cookies={COOKIE: mine})
        body = {"current": PASSWORD, "new": NEW}
        answer = client.post("/api/v1/me/password", json=body, headers=SAME_SITE)
        assert answer.status_code == 204
        assert client.get("/api/v1/me").status_code == 200
        assert house.client(cookies={COOKIE: other}).get("/api/v1/me").status_code == 401
        assert sign_in(house, password=NEW)

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"current": "wrong", "new": NEW}, 403),
            ({"current": PASSWORD, "new": "too short"}, 422),
            ({"current": PASSWORD, "new": "Password2026!"}, 422),
            ({"new": NEW}, 422),
        ],
    )
    def test_is_not_changed_otherwise(
        self, house: House, body: dict[str, str], status: int
    ) -> None:
        answer = house.client("engineer").post("/api/v1/me/password", json=body)
        assert answer.status_code == status
        assert PASSWORD not in answer.text
        assert sign_in(house)

    def test_cannot_be_guessed_by_asking_often(self, house: House) -> None:
        client = house.client("engineer")
        body = {"current": "wrong", "new": NEW}
        tries = [client.post("/api/v1/me/password", json=body).status_code for _ in range(6)]
        assert tries == [403] * 5 + [429]


class TestAdmin:
    def test_adds_to_a_second_project_and_removes(self, house: House) -> None:
        admin, stranger = house.client("admin"), house.users["stranger"].id
        project = house.desk.project.id
        path = f"/api/v1/projects/{project}"
        assert house.client("stranger").get(path).status_code == 404
        assert admin.put(f"{path}/users/{stranger}").status_code == 200
        assert admin.put(f"{path}/users/{stranger}").status_code == 200
        assert house.client("stranger").get(path).status_code == 200
        assert admin.delete(f"{path}/users/{stranger}").status_code == 200
        assert house.client("stranger").get(path).status_code == 404
        assert admin.delete(f"{path}/users/{stranger}").status_code == 404

    def test_who_is_removed_reviews_no_more(self, house: House) -> None:
        expert, path = house.client("expert"), f"/api/v1/review-queues/{house.queue_id}/claim"
        assert expert.post(path, json={}).status_code == 200
        user = house.users["expert"].id
        project = house.desk.project.id
        gone = house.client("admin").delete(f"/api/v1/projects/{project}/users/{user}")
        assert gone.status_code == 200
        assert expert.post(path, json={}).status_code == 404

    def test_who_is_removed_takes_no_answer_back(self, house: House) -> None:
        expert = house.client("expert")
        path = f"/api/v1/review-queues/{house.queue_id}/claim"
        held = expert.post(path, json={}).json()["claim"]
        body = {"version": held["version"], "answer": ANSWER}
        submit = f"/api/v1/review-slots/{held['slot_id']}/submit"
        review = expert.post(submit, json=body).json()["review_id"]
        revise = f"/api/v1/my/reviews/{review}/revise"
        user, project = house.users["expert"].id, house.desk.project.id
        member = f"/api/v1/projects/{project}/users/{user}"
        assert house.client("admin").delete(member).status_code == 200
        assert expert.post(revise, json={}).status_code == 404
        assert house.client("admin").put(member).status_code == 200
        assert expert.post(revise, json={}).status_code == 200

    def test_gives_roles_bars_and_lets_in_again(self, house: House) -> None:
        admin, eva = house.client("admin"), house.users["engineer"].id
        path = f"/api/v1/users/{eva}"
        assert admin.patch(path, json={"role": "expert"}).json()["role"] == "expert"
        jobs = f"/api/v1/projects/{house.desk.project.id}/jobs"
        assert house.client("engineer").get(jobs).status_code == 403
        assert admin.patch(path, json={"active": False}).json()["active"] is False
        assert house.client("engineer").get("/api/v1/me").status_code == 401
        assert admin.patch(path, json={"active": True, "role": "engineer"}).status_code == 200
        assert sign_in(house)
        assert house.client("engineer").get("/api/v1/me").status_code == 401  # the token is gone

    @pytest.mark.parametrize("body", [{"role": "lead"}, {"active": False}])
    def test_does_not_lock_everybody_out(self, house: House, body: dict[str, object]) -> None:
        admin = house.client("admin")
        path = f"/api/v1/users/{house.users['admin'].id}"
        assert admin.patch(path, json=body).status_code == 409
        assert admin.get("/api/v1/me").json()["role"] == "admin"
