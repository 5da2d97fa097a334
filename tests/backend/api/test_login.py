"""Signing in and out: the form, the cookie, and who may make a browser ask."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from backend.api.authorize import COOKIE
from backend.api.sign_in.login_page import safe_next
from backend.tables.accounts import LoginSession
from tests.backend.api.conftest import PASSWORD, SAME_SITE, House

FORM = {"name": "eva", "password": PASSWORD, "next": "/runs?run=3"}
BROWSER = {"Accept": "text/html", **SAME_SITE}


def sign_in(house: House, **fields: str):
    return house.client().post("/api/v1/login", data=FORM | fields, headers=BROWSER)


class TestForm:
    def test_is_a_page_that_needs_no_other_site(self, house: House) -> None:
        page = house.client().get("/api/v1/login?next=/runs")
        assert page.status_code == 200
        assert '<form method="post"' in page.text
        assert 'value="/runs"' in page.text
        assert "http" not in page.text.replace("http-equiv", "")
        assert "default-src 'none'" in page.headers["content-security-policy"]

    def test_sends_on_who_is_signed_in(self, house: House) -> None:
        cookie = sign_in(house).cookies[COOKIE]
        client = house.client(cookies={COOKIE: cookie})
        again = client.get("/api/v1/login?next=/runs")
        assert (again.status_code, again.headers["location"]) == (303, "/runs")

    def test_escapes_what_was_typed(self, house: House) -> None:
        page = sign_in(house, name='"><script>alert(1)</script>', password="x" * 12)
        assert "<script>" not in page.text
        assert "&lt;script&gt;" in page.text


class TestSignIn:
    def test_sets_a_strict_cookie_and_goes_on(self, house: House) -> None:
        answer = sign_in(house)
        assert (answer.status_code, answer.headers["location"]) == (303, "/runs?run=3")
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith(f"{COOKIE}=")
        for part in ("HttpOnly", "SameSite=lax", "Path=/", "Max-Age=43200"):
            assert part in cookie
        assert "Secure" not in cookie

    def test_cookie_is_secure_over_https(self, house: House) -> None:
        client = house.client(base_url="https://testserver")
        answer = client.post("/api/v1/login", data=FORM, headers=BROWSER)
        assert "Secure" in answer.headers["set-cookie"]
        assert "max-age" in answer.headers["strict-transport-security"]

    def test_database_keeps_no_secret(self, house: House) -> None:
        cookie = sign_in(house).cookies[COOKIE]
        with house.sessions() as session:
            stored = session.scalars(select(LoginSession.token_hash)).all()
        assert len(stored) == 1
        assert cookie not in stored

    @pytest.mark.parametrize(
        "fields", [{"password": "wrong password"}, {"name": "nobody"}, {"password": ""}]
    )
    def test_wrong_password_and_unknown_name_say_the_same(
        self, house: House, fields: dict[str, str]
    ) -> None:
        page = sign_in(house, **fields)
        assert page.status_code == 401
        assert 'role="alert">Name or password is wrong. Check both and try again.' in page.text
        assert "set-cookie" not in page.headers

    def test_program_gets_a_problem(self, house: House) -> None:
        answer = house.client().post(
            "/api/v1/login", data=FORM | {"password": "wrong"}, headers=SAME_SITE
        )
        assert answer.json()["type"] == "urn:strop:problem:not-authenticated"

    def test_barred_user_stays_out(self, house: House) -> None:
        from backend.services.accounts.users import deactivate_user

        cookie = sign_in(house).cookies[COOKIE]
        with house.sessions.begin() as session:
            deactivate_user(session, session.merge(house.users["engineer"]), now=house.clock.now)
        assert sign_in(house).status_code == 401
        assert house.client(cookies={COOKIE: cookie}).get("/api/v1/me").status_code == 401
        assert house.client("engineer").get("/api/v1/me").status_code == 401

    def test_five_failures_and_a_wait(self, house: House) -> None:
        for _ in range(5):
            assert sign_in(house, password="wrong").status_code == 401
        blocked = sign_in(house)
        assert blocked.status_code == 429
        assert "Wait 5 minutes" in blocked.text
        assert sign_in(house, name="ada").status_code == 303
        house.clock.move(minutes=6)
        assert sign_in(house).status_code == 303

    def test_session_ends_after_its_hours(self, house: House) -> None:
        client = house.client(cookies={COOKIE: sign_in(house).cookies[COOKIE]})
        assert client.get("/api/v1/me").json()["name"] == "eva"
        house.clock.move(hours=12, seconds=1)
        assert client.get("/api/v1/me").status_code == 401

    def test_signing_out_ends_the_session_on_the_server(self, house: House) -> None:
        cookie = sign_in(house).cookies[COOKIE]
        client = house.client(cookies={COOKIE: cookie})
        assert client.post("/api/v1/logout", headers=SAME_SITE).status_code == 303
        assert house.client(cookies={COOKIE: cookie}).get("/api/v1/me").status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "none"}, 303),
        ({"Origin": "http://testserver"}, 303),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 403),
    ],
)
class TestCrossSite:
    def test_cookie_request_that_changes_something(
        self, house: House, headers: dict[str, str], status: int
    ) -> None:
        client = house.client(cookies={COOKIE: sign_in(house).cookies[COOKIE]})
        assert client.post("/api/v1/logout", headers=headers).status_code == status

    def test_sign_in(self, house: House, headers: dict[str, str], status: int) -> None:
        answer = house.client().post("/api/v1/login", data=FORM, headers=headers)
        assert answer.status_code == status


def test_bearer_token_needs_no_origin(house: House) -> None:
    path = f"/api/v1/review-queues/{house.queue_id}/claim"
    assert house.client("expert").post(path).status_code == 200


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("/runs?x=1", "/runs?x=1"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/a\r\nSet-Cookie: x=1", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
        (None, "/"),
    ],
)
def test_next_leads_nowhere_else(given: str | None, safe: str) -> None:
    assert safe_next(given) == safe
