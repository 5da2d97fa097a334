"""Local accounts: the second step, links of admins, passwords switched off, shared waits."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pyotp
import pytest
from pydantic import SecretStr
from sqlalchemy import select

from backend.api.authorize import COOKIE
from backend.api.deps import serve_with
from backend.services.accounts import access_links, second_factor, users
from backend.services.accounts.users import deactivate_user
from backend.tables.accounts import LoginSession, User
from backend.tables.audit import AuditEntry
from tests.backend.api.conftest import PASSWORD, SAME_SITE, House
from tests.fixtures_oidc import ScriptedProvider, provider_of

BROWSER = {"Accept": "text/html", **SAME_SITE}
NEW = "seven green bicycles"


def configure(house: House, **settings: Any) -> None:
    """The same server under other settings, as another of its processes would have them."""
    before = house.app.state.serving
    changed = before.settings.model_copy(update=settings)
    serving = serve_with(changed, house.sessions, clock=house.clock)
    house.app.state.serving = replace(serving, provider=before.provider)


def sign_in(client: Any, *, headers: dict[str, str] = BROWSER, **fields: str) -> Any:
    form = {"name": "eva", "password": PASSWORD, "next": "/runs"} | fields
    return client.post("/api/v1/login", data=form, headers=headers)


def type_code(client: Any, code: str) -> Any:
    form = {"code": code, "next": "/runs"}
    return client.post("/api/v1/login/code", data=form, headers=BROWSER)


def code_at(secret: str, moment: datetime, steps: int = 0) -> str:
    return pyotp.TOTP(secret).at(moment + timedelta(seconds=30 * steps))


def with_factor(house: House, name: str = "eva") -> tuple[str, list[str]]:
    """Give a person a second factor; its secret and the recovery codes. Then an hour goes by."""
    with house.sessions.begin() as session:
        user = session.scalars(select(User).where(User.name == name)).one()
        seal, now = house.app.state.serving.seal, house.clock.now
        made = second_factor.enrol(session, user, seal=seal, now=now)
        codes = second_factor.confirm(session, user, code_at(made.secret, now), seal=seal, now=now)
    house.clock.move(hours=1)
    return made.secret, codes


def entries(house: House, action: str) -> list[AuditEntry]:
    with house.sessions() as session:
        query = select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.id)
        return list(session.scalars(query))


def link_of(house: House, name: str, purpose: Any = "password", **life: float) -> str:
    with house.sessions.begin() as session:
        user = session.scalars(select(User).where(User.name == name)).one()
        path, _ = access_links.make_link(
            session, user, purpose, now=house.clock.now, life=timedelta(**(life or {"hours": 24}))
        )
    return path


class TestSecondStep:
    def test_password_alone_opens_nothing(self, house: House) -> None:
        secret, _ = with_factor(house)
        client = house.client()
        step = sign_in(client)
        assert step.headers["location"] == "/api/v1/login/code?next=/runs"
        assert COOKIE not in client.cookies
        assert client.get("/api/v1/me").status_code == 401
        assert 'name="code"' in client.get("/api/v1/login/code").text
        done = type_code(client, code_at(secret, house.clock.now))
        assert (done.status_code, done.headers["location"]) == (303, "/runs")
        assert client.get("/api/v1/me").json()["name"] == "eva"
        [entry] = entries(house, "signin.passed")
        assert (entry.detail["method"], entry.detail["factor"]) == ("password", "totp")

    def test_code_without_a_password_before(self, house: House) -> None:
        secret, _ = with_factor(house)
        client = house.client()
        assert client.get("/api/v1/login/code").headers["location"].startswith("/api/v1/login?")
        assert type_code(client, code_at(secret, house.clock.now)).status_code == 401

    def test_a_wrong_password_does_not_tell_of_the_second_step(self, house: House) -> None:
        with_factor(house)
        wrong, nobody = (
            sign_in(house.client(), **fields)
            for fields in ({"password": "wrong"}, {"name": "nobody"})
        )
        assert (wrong.status_code, nobody.status_code) == (401, 401)
        assert wrong.text.replace("eva", "nobody") == nobody.text

    def test_a_recovery_code_serves_once(self, house: House) -> None:
        _, codes = with_factor(house)
        for right in (True, False):
            client = house.client()
            sign_in(client)
            assert (type_code(client, codes[0]).status_code == 303) is right
        [entry] = entries(house, "second_factor.recovered")
        assert entry.detail == {"left": 9}

    def test_the_step_ends_with_time_password_and_person(self, house: House) -> None:
        secret, _ = with_factor(house)
        late, changed, barred = house.client(), house.client(), house.client()
        sign_in(late)
        house.clock.move(minutes=11)
        assert type_code(late, code_at(secret, house.clock.now)).status_code == 401
        sign_in(changed)
        sign_in(barred)
        with house.sessions.begin() as session:
            user = session.scalars(select(User).where(User.name == "eva")).one()
            kept, user.password_hash = user.password_hash, "another"
        assert type_code(changed, code_at(secret, house.clock.now)).status_code == 401
        with house.sessions.begin() as session:
            user = session.scalars(select(User).where(User.name == "eva")).one()
            user.password_hash = kept
            deactivate_user(session, user, now=house.clock.now)
        assert type_code(barred, code_at(secret, house.clock.now)).status_code == 401

    def test_codes_are_guessed_five_times(self, house: House) -> None:
        secret, _ = with_factor(house)
        client = house.client()
        sign_in(client)
        for _ in range(5):
            assert type_code(client, "000000").status_code == 401
        right = code_at(secret, house.clock.now)
        assert type_code(client, right).status_code == 429
        other = house.client()
        sign_in(other)
        assert type_code(other, right).status_code == 429
        assert len(entries(house, "signin.locked")) == 1
        house.clock.move(minutes=6)
        assert type_code(client, code_at(secret, house.clock.now)).status_code == 303

    def test_a_program_sends_the_code_along(self, house: House) -> None:
        secret, _ = with_factor(house)
        client = house.client()
        asked = sign_in(client, headers=SAME_SITE)
        assert asked.json()["type"] == "urn:strop:problem:second-factor-needed"
        wrong = sign_in(client, headers=SAME_SITE, code="123123")
        assert wrong.status_code == 401
        code = code_at(secret, house.clock.now)
        assert sign_in(client, headers=SAME_SITE, code=code).status_code == 303
        assert client.get("/api/v1/me").status_code == 200

    def test_tokens_need_none(self, house: House) -> None:
        with_factor(house)
        assert house.client("engineer").get("/api/v1/me").status_code == 200

    def test_who_must_have_one_sets_it_up_on_the_way_in(self, house: House) -> None:
        configure(house, second_factor="everybody")
        client = house.client()
        assert sign_in(client).status_code == 303
        page = client.get("/api/v1/login/code").text
        assert "<svg" in page
        [secret] = re.findall(r"<code>([A-Z2-7]{32})</code>", page)
        assert type_code(client, "000000").status_code == 401
        assert client.get("/api/v1/me").status_code == 401
        codes = type_code(client, code_at(secret, house.clock.now))
        assert codes.status_code == 200
        assert len(re.findall(r"<li>(\w{4}-){3}\w{4}</li>", codes.text)) == 10
        assert client.get("/api/v1/me").status_code == 200
        refused = sign_in(house.client(), headers=SAME_SITE, name="ada")
        assert refused.json()["type"] == "urn:strop:problem:forbidden"

    def test_mine_by_the_api(self, house: House) -> None:
        client = house.client("engineer")
        path = "/api/v1/me/second-factor"
        assert client.post(path, json={"password": "wrong"}).status_code == 403
        made = client.post(path, json={"password": PASSWORD}).json()
        assert client.post(f"{path}/confirm", json={"code": "000000"}).status_code == 403
        assert client.get(path).json()["on"] is False
        code = code_at(made["secret"], house.clock.now)
        assert len(client.post(f"{path}/confirm", json={"code": code}).json()["codes"]) == 10
        assert client.get(path).json() == {
            "offered": True,
            "on": True,
            "required": False,
            "recovery_codes_left": 10,
        }
        assert client.post(f"{path}/remove", json={"password": "wrong"}).status_code == 403
        house.client("admin").patch(
            f"/api/v1/users/{house.users['engineer'].id}", json={"second_factor_required": True}
        )
        assert client.post(f"{path}/remove", json={"password": PASSWORD}).status_code == 403
        gone = house.client("admin").delete(
            f"/api/v1/users/{house.users['engineer'].id}/second-factor"
        )
        assert gone.json()["second_factor_required"] is True
        assert client.get(path).json()["on"] is False
        [entry] = entries(house, "second_factor.removed")
        assert entry.user_id == house.users["admin"].id

    def test_a_secret_seen_under_an_old_password_is_worth_nothing_under_a_new_one(
        self, house: House
    ) -> None:
        configure(house, second_factor="everybody")
        stranger, seen = house.client(), r"<code>([A-Z2-7]{32})</code>"
        sign_in(stranger)
        [before] = re.findall(seen, stranger.get("/api/v1/login/code").text)
        token = link_of(house, "eva").partition("token=")[2]
        form = {"token": token, "password": NEW, "again": NEW}
        house.client().post("/api/v1/reset", data=form, headers=BROWSER)
        client = house.client()
        sign_in(client, password=NEW)
        [after] = re.findall(seen, client.get("/api/v1/login/code").text)
        assert after != before

    @pytest.mark.parametrize("change", ["password", "bar"])
    def test_what_changes_while_a_password_is_checked_counts(
        self, house: House, monkeypatch: pytest.MonkeyPatch, change: str
    ) -> None:
        check = users.verify_password

        def slow(session: Any, name: str, password: str) -> User:
            found = check(session, name, password)
            with house.sessions.begin() as other:
                person, now = other.get_one(User, found.id), house.clock.now
                if change == "bar":
                    deactivate_user(other, person, now=now)
                else:
                    users.set_password(other, person, NEW, now=now)
            return found

        monkeypatch.setattr(users, "verify_password", slow)
        refused = sign_in(house.client())
        assert (refused.status_code, COOKIE in refused.cookies) == (401, False)


class TestResetLink:
    def test_sets_a_password_once_and_ends_sessions(self, house_on_both: House) -> None:
        house = house_on_both
        signed_in = house.client(cookies={COOKIE: sign_in(house.client()).cookies[COOKIE]})
        admin = house.client("admin")
        made = admin.post(f"/api/v1/users/{house.users['engineer'].id}/reset-links", json={}).json()
        token = made["url"].partition("token=")[2]
        client = house.client()
        for _ in range(2):  # a scanner of mails opens it first
            assert "Set a new password for eva" in client.get(f"/api/v1/reset?token={token}").text
        form = {"token": token, "password": NEW, "again": NEW}
        page = client.post("/api/v1/reset", data=form, headers=BROWSER)
        assert "The new password is set" in page.text
        assert signed_in.get("/api/v1/me").status_code == 401
        assert sign_in(house.client()).status_code == 401
        assert sign_in(house.client(), password=NEW).status_code == 303
        again = client.post("/api/v1/reset", data=form, headers=BROWSER)
        assert again.status_code == 401
        assert [entry.user_id for entry in entries(house, "link.made")] == [house.users["admin"].id]
        changed = entries(house, "password.changed")[-1]
        assert (changed.user_id, changed.via) == (house.users["engineer"].id, "api")

    @pytest.mark.parametrize(
        ("password", "again", "said"),
        [
            (NEW, "other", "not the same"),
            ("short", "short", "12 to"),
            ("password1234",) * 2 + ("first",),
        ],
    )
    def test_a_bad_password_leaves_the_link_good(
        self, house: House, password: str, again: str, said: str
    ) -> None:
        token = link_of(house, "eva").partition("token=")[2]
        form = {"token": token, "password": password, "again": again}
        page = house.client().post("/api/v1/reset", data=form, headers=BROWSER)
        assert (page.status_code, said in page.text) == (422, True)
        right = form | {"password": NEW, "again": NEW}
        assert house.client().post("/api/v1/reset", data=right, headers=BROWSER).status_code == 200

    def test_ends_with_time_with_a_newer_one_and_with_the_person(self, house: House) -> None:
        client = house.client()
        first, second = link_of(house, "eva", hours=1), link_of(house, "eva", hours=1)
        assert (client.get(first).status_code, client.get(second).status_code) == (401, 200)
        house.clock.move(hours=1, seconds=1)
        assert client.get(second).status_code == 401
        third = link_of(house, "eva")
        assert client.get(third.replace("/reset", "/way-in")).status_code == 401
        with house.sessions.begin() as session:
            user = session.scalars(select(User).where(User.name == "eva")).one()
            deactivate_user(session, user, now=house.clock.now)
        assert client.get(third).status_code == 401

    @pytest.mark.parametrize("token", ["", "x", "\x00", "<script>", "é" * 200])
    def test_tokens_that_are_none(self, house: House, token: str) -> None:
        page = house.client().get("/api/v1/reset", params={"token": token})
        assert page.status_code == 401
        assert "<script>" not in page.text

    def test_the_second_factor_is_asked_for_all_the_same(self, house: House) -> None:
        with_factor(house)
        token = link_of(house, "eva").partition("token=")[2]
        form = {"token": token, "password": NEW, "again": NEW}
        house.client().post("/api/v1/reset", data=form, headers=BROWSER)
        client = house.client()
        assert "login/code" in sign_in(client, password=NEW).headers["location"]

    def test_no_secret_is_kept(self, house: House) -> None:
        from backend.tables.sign_in import AccessLink

        token = link_of(house, "eva").partition("token=")[2]
        with house.sessions() as session:
            [link] = session.scalars(select(AccessLink))
        assert token not in (link.token_hash, link.purpose)
        assert len(link.token_hash) == 64


class TestWayIn:
    def test_an_admin_comes_in_while_passwords_are_off(self, house: House) -> None:
        configure(house, passwords="off")
        client = house.client()
        path = link_of(house, "ada", "sign-in", minutes=15)
        assert "signs ada in, once" in client.get(path).text
        form = {"token": path.partition("token=")[2]}
        assert client.post("/api/v1/way-in", data=form, headers=BROWSER).status_code == 303
        assert client.get("/api/v1/me").json()["role"] == "admin"
        with house.sessions() as session:
            assert session.scalars(select(LoginSession)).one().method == "link"
        assert client.post("/api/v1/way-in", data=form, headers=BROWSER).status_code == 401
        house.clock.move(minutes=16)
        late = link_of(house, "ada", "sign-in", minutes=15)
        house.clock.move(minutes=16)
        assert client.get(late).status_code == 401

    def test_is_for_admins(self, house: House) -> None:
        from backend.errors import Conflict

        with pytest.raises(Conflict, match="is for admins"):
            link_of(house, "eva", "sign-in")


class TestSwitchedOff:
    def test_passwords_open_nothing(self, house: House) -> None:
        house.app.state.serving = replace(
            house.app.state.serving, provider=provider_of(ScriptedProvider(now=house.clock))
        )
        configure(house, passwords="off")
        page = house.client().get("/api/v1/login").text
        assert 'name="password"' not in page
        assert "Sign in with the clinic" in page
        refused = sign_in(house.client())
        assert (refused.status_code, COOKIE in refused.cookies) == (403, False)
        path = f"/api/v1/users/{house.users['engineer'].id}/reset-links"
        assert house.client("admin").post(path, json={}).status_code == 409
        ways = house.client().get("/api/v1/sign-in-ways").json()
        assert ways == {"passwords": "off", "provider": "the clinic"}

    def test_what_a_password_opened_before_ends(self, house_on_both: House) -> None:
        house = house_on_both
        eva, ada = house.client(), house.client()
        sign_in(eva)
        sign_in(ada, name="ada")
        configure(house, passwords="admins-only")
        assert (eva.get("/api/v1/me").status_code, ada.get("/api/v1/me").status_code) == (401, 200)
        configure(house, passwords="off")
        assert ada.get("/api/v1/me").status_code == 401
        assert "Passwords are switched off" in sign_in(ada, name="ada").text
        assert house.client("engineer").get("/api/v1/me").status_code == 200  # tokens go on

    def test_admins_only(self, house: House) -> None:
        configure(house, passwords="admins-only")
        assert sign_in(house.client(), name="ada").status_code == 303
        eva, nobody = sign_in(house.client()), sign_in(house.client(), name="nobody")
        assert (eva.status_code, nobody.status_code) == (401, 401)
        assert eva.text.replace("eva", "nobody") == nobody.text


class TestWaiting:
    def test_processes_share_the_count(self, house: House) -> None:
        for _ in range(4):
            sign_in(house.client(), password="wrong")
        configure(house)  # another process on the same database
        sign_in(house.client(), password="wrong")
        assert sign_in(house.client()).status_code == 429
        [entry] = entries(house, "signin.locked")
        assert entry.subject == f"user:{house.users['engineer'].id}"

    def test_a_name_that_nobody_has_waits_alike(self, house: House) -> None:
        texts = []
        for name in ("eva", "nobody"):
            for _ in range(5):
                sign_in(house.client(), name=name, password="wrong")
            page = sign_in(house.client(), name=name)
            texts.append((page.status_code, page.text.replace("eva", "nobody")))
        assert texts[0] == texts[1]
        assert texts[0][0] == 429

    def test_a_known_browser_gets_in_while_strangers_fail(self, house: House) -> None:
        known = house.client()
        sign_in(known, name="ada")
        known.cookies.delete(COOKIE)
        for _ in range(6):
            sign_in(house.client(), name="ada", password="wrong")
        assert sign_in(house.client(), name="ada").status_code == 429
        assert sign_in(known, name="ada").status_code == 303
        assert (
            sign_in(known, name="eva").status_code == 303
        )  # its cookie is ada's, and says no more


def test_secrets_are_hidden_wherever_they_are_printed() -> None:
    from backend.schemas.accounts import CodeIn, PasswordIn
    from backend.settings import Settings

    settings = Settings(
        secret="s" * 32,
        vllm_api_key="vvv-key",
        openai_api_key="ooo-key",
        oidc_issuer="https://id.example",
        oidc_client_id="strop",
        oidc_client_secret="ccc-secret",
        oidc_roles={"a": "expert"},
        backup_key="bbb-passphrase",
        database_url="postgresql://strop:ppp-word@db/strop",
    )
    bodies = [PasswordIn(password=SecretStr("qqq-word")), CodeIn(code=SecretStr("123456"))]
    for thing in (settings, settings.model_dump(), settings.shown_url, *bodies):
        shown = f"{thing!r} {thing}"
        for secret in ("s" * 32, "vvv-key", "ooo-key", "ccc-secret", "bbb-pass", "qqq", "123456"):
            assert secret not in shown
    assert "ppp-word" not in settings.shown_url
