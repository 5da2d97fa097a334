"""The whole way with a certified provider: in, out of there, out from here, and without a group."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select
from starlette.applications import Starlette
from starlette.routing import Mount

from backend.api.deps import serve_with
from backend.db import utc_now
from backend.services.accounts.credentials import create_token
from backend.settings import Settings
from backend.tables.accounts import User
from tests.backend.api.conftest import SAME_SITE, House
from tests.fixtures_provider import Browser, RealProvider, free_port, running_provider, serving


@dataclass
class Street:
    """Strop and the provider, both running, and a browser."""

    house: House
    provider: RealProvider
    strop: str
    browser: Browser

    def me(self) -> httpx.Response:
        return self.browser.http.get(f"{self.strop}/api/v1/me")

    def new_browser(self) -> None:
        self.browser = Browser(httpx.Client(headers={"Accept": "text/html"}))


@pytest.fixture
def street(house: House, settings: Settings, tmp_path: Path) -> Iterator[Street]:
    port = free_port()
    strop = f"http://127.0.0.1:{port}"
    with running_provider(tmp_path, strop) as provider:
        known = Settings(**settings.model_dump() | provider.settings(strop))
        house.app.state.serving = serve_with(known, house.sessions, clock=utc_now)
        app = Starlette(routes=[Mount("/api", app=house.app)])
        with serving(app, port), httpx.Client(headers={"Accept": "text/html"}) as http:
            yield Street(house, provider, strop, Browser(http))


def test_in_by_the_provider_and_out_by_its_word(street: Street) -> None:
    """Discovery, PKCE, the secret, userinfo, iss and nonce, all by a provider that insists."""
    answer = street.browser.sign_in(street.strop, "pia")
    assert (answer.status_code, answer.json()["name"]) == (200, "pia")
    assert answer.json()["role"] == "engineer"
    assert [project["name"] for project in answer.json()["projects"]] == ["ours"]
    # She ends her session there; the provider tells Strop, by no browser.
    page = street.browser.go(f"{street.provider.issuer}/session/end")
    token = re.search(r'name="xsrf" value="(\w+)"', page.text)
    assert token is not None, page.text
    street.browser.http.post(
        f"{street.provider.issuer}/session/end/confirm",
        data={"xsrf": token[1], "logout": "yes"},
    )
    assert street.me().status_code == 401


def test_out_from_here_ends_the_session_there(street: Street) -> None:
    street.browser.sign_in(street.strop, "pia")
    answer = street.browser.http.post(f"{street.strop}/api/v1/logout", headers=SAME_SITE)
    page = street.browser.go(answer.headers["location"])
    token = re.search(r'name="xsrf" value="(\w+)"', page.text)
    assert token is not None, page.text
    done = street.browser.http.post(
        f"{street.provider.issuer}/session/end/confirm",
        data={"xsrf": token[1], "logout": "yes"},
    )
    assert done.headers["location"] == f"{street.strop}/api/v1/login"
    again = street.browser.go(f"{street.strop}/api/v1/oidc/start")
    assert 'name="login"' in again.text  # the provider asks for the name again


def test_who_lost_the_group_loses_session_and_tokens(street: Street) -> None:
    street.browser.sign_in(street.strop, "pia")
    with street.house.sessions.begin() as session:
        user = session.scalars(select(User).where(User.name == "pia")).one()
        token = create_token(session, user, "program", now=utc_now()).value
    program = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{street.strop}/api/v1/me", headers=program).status_code == 200
    street.provider.say(pia=[])
    page = street.browser.sign_in(street.strop, "pia")
    assert page.status_code == 403
    assert "none of your groups" in page.text
    assert street.me().status_code == 401
    assert httpx.get(f"{street.strop}/api/v1/me", headers=program).status_code == 401


def test_the_provider_refuses_another_redirect_address(street: Street) -> None:
    start = street.browser.http.get(f"{street.strop}/api/v1/oidc/start")
    bent = start.headers["location"].replace("oidc%2Fcallback", "login")
    assert bent != start.headers["location"]
    assert "invalid_redirect_uri" in street.browser.go(bent).text
