"""Sign-in at a provider that is scripted: the right way in, and each wrong one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey
from sqlalchemy import select

from backend.api.authorize import COOKIE
from backend.services.accounts.credentials import create_token
from backend.services.accounts.users import add_member, create_user, deactivate_user
from backend.tables.accounts import LoginSession, Membership, User
from backend.tables.audit import AuditEntry
from backend.tables.sign_in import Identity, ProviderSession
from tests.backend.api.conftest import PASSWORD, SAME_SITE, House
from tests.fixtures_oidc import (
    ISSUER,
    REGISTRATION,
    ScriptedProvider,
    at_hash,
    provider_of,
    rsa_key,
    signed_by_public_key,
    signed_critical,
    unsigned,
)

PAGE = {"Accept": "text/html"}


@dataclass
class Clinic:
    """A house whose people come from the scripted provider, and one browser."""

    house: House
    provider: ScriptedProvider
    ours: Any
    browser: Any

    def begin(self, next_path: str = "/runs?run=3") -> str:
        """Press the button; returns the address at the provider."""
        answer = self.browser.get("/api/v1/oidc/start", params={"next": next_path}, headers=PAGE)
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    def come_back(self, **changed: str | None) -> Any:
        """Begin, sign in there, and come back with that answer."""
        told = self.provider.authorize(self.begin()) | changed
        return self.answer({k: v for k, v in told.items() if v is not None})

    def answer(self, told: dict[str, str]) -> Any:
        return self.browser.get("/api/v1/oidc/callback", params=told, headers=PAGE)

    def me(self) -> Any:
        return self.browser.get("/api/v1/me")

    def logout(self, token: str) -> Any:
        path = "/api/v1/oidc/backchannel-logout"
        return self.house.client().post(path, data={"logout_token": token})

    def entries(self, action: str) -> list[AuditEntry]:
        with self.house.sessions() as session:
            query = select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.id)
            return list(session.scalars(query))


def clinic_over(house: House) -> Clinic:
    scripted = ScriptedProvider(now=house.clock)
    ours = provider_of(scripted)
    serve(house, provider=ours)
    return Clinic(house, scripted, ours, house.client())


def renewed(clinic: Clinic) -> Clinic:
    """The same house, with a provider and a browser that know nothing of before."""
    return clinic_over(clinic.house)


def serve(house: House, **changed: Any) -> None:
    house.app.state.serving = replace(house.app.state.serving, **changed)


@pytest.fixture
def clinic(house: House) -> Clinic:
    return clinic_over(house)


@pytest.fixture
def clinic_on_both(house_on_both: House) -> Clinic:
    return clinic_over(house_on_both)


class TestComingIn:
    def test_first_sign_in_makes_a_person_with_role_and_project(
        self, clinic_on_both: Clinic
    ) -> None:
        clinic = clinic_on_both
        answer = clinic.come_back()
        assert (answer.status_code, answer.headers["location"]) == (303, "/runs?run=3")
        me = clinic.me().json()
        assert (me["name"], me["role"]) == ("pia", "engineer")
        assert [project["name"] for project in me["projects"]] == ["ours"]
        assert me["pseudonym"].startswith("engineer-")
        with clinic.house.sessions() as session:
            user = session.scalars(select(User).where(User.name == "pia")).one()
            identity = session.scalars(select(Identity)).one()
            assert (identity.issuer, identity.subject) == (ISSUER, "sub-1")
            assert user.password_hash is None
            kept = session.scalars(select(ProviderSession)).one()
            assert kept.sid == "session-1"
            assert kept.id_token.startswith("sealed:")
        [entry] = clinic.entries("signin.passed")
        assert entry.user_id == user.id
        assert entry.detail == {"method": "oidc", "network": "unknown"}

    def test_again_is_the_same_person_under_a_new_name_there(self, clinic: Clinic) -> None:
        clinic.come_back()
        clinic.provider.claims = {"preferred_username": "pia.m", "groups": ["leads"]}
        assert clinic.come_back().status_code == 303
        me = clinic.me().json()
        assert (me["name"], me["role"], me["projects"]) == ("pia", "lead", [])
        [entry] = clinic.entries("user.role_changed")
        assert entry.detail == {"before": "engineer", "after": "lead"}

    def test_another_subject_of_the_same_name_is_nobody_here(self, clinic: Clinic) -> None:
        clinic.come_back()
        clinic.provider.claims = {"sub": "sub-2"}
        page = clinic.come_back()
        assert page.status_code == 409
        assert "--subject sub-2" in page.text

    def test_a_local_person_of_that_name_or_mail_is_not_taken_over(self, clinic: Clinic) -> None:
        clinic.provider.claims = {
            "preferred_username": "ada",
            "email": "ada@clinic.example",
            "groups": ["it"],
        }
        assert clinic.come_back().status_code == 409
        assert clinic.me().status_code == 401

    def test_the_log_keeps_no_name_of_who_is_refused(self, clinic: Clinic) -> None:
        clinic.come_back()
        clinic.provider.claims = {"sub": "mia.muster@clinic.example"}  # a name that is taken
        assert clinic.come_back().status_code == 409
        clinic.provider.claims = {"groups": []}
        assert clinic.come_back().status_code == 403
        taken, barred = clinic.entries("signin.refused")
        with clinic.house.sessions() as session:
            pia = session.scalars(select(User).where(User.name == "pia")).one()
        assert (taken.subject, barred.subject) == ("", f"user:{pia.id}")
        for entry in (taken, barred):
            told = str(entry.detail)
            assert not any(one in told for one in ("pia", "mia.muster", "sub-1"))

    def test_of_several_groups_the_highest_counts(self, clinic: Clinic) -> None:
        clinic.provider.claims = {"groups": ["ward", "it", "none", 7, None]}
        clinic.come_back()
        assert clinic.me().json()["role"] == "admin"

    def test_groups_and_name_may_stand_on_the_userinfo_page(self, clinic: Clinic) -> None:
        clinic.provider.claims = {"groups": None, "preferred_username": None}
        clinic.provider.userinfo = {"groups": "ward", "preferred_username": "wim"}
        clinic.come_back()
        me = clinic.me().json()
        assert (me["name"], me["role"]) == ("wim", "expert")

    def test_userinfo_of_somebody_else_is_refused(self, clinic: Clinic) -> None:
        clinic.provider.claims = {"groups": None}
        clinic.provider.userinfo = {"groups": ["it"], "sub": "sub-9"}
        assert clinic.come_back().status_code == 401

    def test_groups_may_lie_inside(self, clinic: Clinic) -> None:
        inside = replace(REGISTRATION, groups_claim="realm_access.roles")
        clinic.ours.registration = inside
        clinic.provider.claims = {"groups": None, "realm_access": {"roles": ["ward"]}}
        clinic.come_back()
        assert clinic.me().json()["role"] == "expert"

    def test_a_name_that_can_be_none_here_becomes_the_subject(self, clinic: Clinic) -> None:
        for number, name in enumerate(["", " ", "a\x00b", "x" * 121, 7, None]):
            clinic.provider.claims = {"preferred_username": name, "sub": f"sub-{number}"}
            clinic.provider.userinfo = {"sub": f"sub-{number}"}
            clinic.come_back()
            assert clinic.me().json()["name"] == f"sub-{number}"

    def test_session_is_a_new_one_and_that_of_before_has_ended(self, clinic: Clinic) -> None:
        clinic.come_back()
        before = clinic.browser.cookies[COOKIE]
        clinic.come_back()
        assert clinic.browser.cookies[COOKIE] != before
        assert clinic.house.client(cookies={COOKIE: before}).get("/api/v1/me").status_code == 401

    @pytest.mark.parametrize("path", ["https://evil.example", "//evil.example", "/\\evil"])
    def test_next_leads_nowhere_else(self, clinic: Clinic, path: str) -> None:
        told = clinic.provider.authorize(clinic.begin(path))
        assert clinic.answer(told).headers["location"] == "/"

    def test_the_button_stands_on_the_form(self, clinic: Clinic) -> None:
        page = clinic.browser.get("/api/v1/login?next=/a%26b").text
        assert 'href="/api/v1/oidc/start?next=/a%26b"' in page
        assert "Sign in with the clinic" in page

    def test_elliptic_curves_sign_too(self, clinic: Clinic) -> None:
        key = ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"}, auto_kid=False)
        clinic.provider.key, clinic.provider.published = key, [key]
        clinic.provider.header = {"alg": "ES256"}
        assert clinic.come_back().status_code == 303

    def test_what_else_comes_along_is_ignored(self, clinic: Clinic) -> None:
        answer = clinic.come_back(session_state="x", scope="openid", anything="y")
        assert answer.status_code == 303


def _later(provider: ScriptedProvider, seconds: int) -> int:
    return int(provider.now().timestamp()) + seconds


LISTED = {"id_token_signing_alg_values_supported": ["none", "HS256", "RS256"]}
WRONG_TOKENS: dict[str, Callable[[ScriptedProvider], dict[str, Any]]] = {
    "another issuer": lambda p: {"claims": {"iss": "https://evil.example"}},
    "issuer with a slash": lambda p: {"claims": {"iss": ISSUER + "/"}},
    "another audience": lambda p: {"claims": {"aud": "other"}},
    "no audience": lambda p: {"claims": {"aud": None}},
    "several audiences, given to none": lambda p: {"claims": {"aud": ["strop", "other"]}},
    "given to another": lambda p: {"claims": {"azp": "other"}},
    "over": lambda p: {"claims": {"exp": _later(p, -121)}},
    "no end": lambda p: {"claims": {"exp": None}},
    "end as text": lambda p: {"claims": {"exp": "later"}},
    "made in time to come": lambda p: {"claims": {"iat": _later(p, 121), "exp": _later(p, 900)}},
    "made long ago": lambda p: {"claims": {"iat": _later(p, -721)}},
    "not begun": lambda p: {"claims": {"nbf": _later(p, 121)}},
    "another nonce": lambda p: {"claims": {"nonce": "other"}},
    "no nonce": lambda p: {"claims": {"nonce": None}},
    "another access token": lambda p: {"claims": {"at_hash": at_hash("other")}},
    "no subject": lambda p: {"claims": {"sub": None}},
    "empty subject": lambda p: {"claims": {"sub": ""}},
    "long subject": lambda p: {"claims": {"sub": "x" * 256}},
    "a logout token": lambda p: {"claims": {"events": {}}},
    "no signature": lambda p: {"sign": unsigned},
    "HMAC by the public key": lambda p: {"sign": signed_by_public_key},
    "no signature, though listed": lambda p: {"sign": unsigned, "document": LISTED},
    "HMAC, though listed": lambda p: {"sign": signed_by_public_key, "document": LISTED},
    "no token": lambda p: {"sign": lambda *_: "rubbish"},
    "header that is none": lambda p: {"sign": lambda *_: "W10.e30.x"},
    "a key that is not published": lambda p: {"published": [rsa_key("two")]},
    "a published key's name on another": lambda p: {
        "key": rsa_key("two"),
        "header": {"kid": "one"},
        "published": [rsa_key("one")],
    },
    "a critical extension": lambda p: {"sign": signed_critical},
    "a key for encryption": lambda p: {"published": [_for_encryption()]},
}


class _Published:
    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content

    def as_dict(self) -> dict[str, Any]:
        return self.content


def _for_encryption() -> Any:
    return _Published(dict(rsa_key("one").as_dict(private=False)) | {"use": "enc"})


class TestWrongTokens:
    def test_are_refused_in_one_sentence(self, clinic: Clinic) -> None:
        let_in = []
        for case, changed in WRONG_TOKENS.items():
            clinic = renewed(clinic)
            for name, value in changed(clinic.provider).items():
                setattr(clinic.provider, name, value)
            page = clinic.come_back()
            said = 'role="alert">What the provider signed is not accepted' in page.text
            if page.status_code != 401 or COOKIE in page.cookies or not said:
                let_in.append(f"{case}: {page.status_code}")
        assert let_in == []
        with clinic.house.sessions() as session:
            assert session.scalars(select(Identity)).all() == []
        refused = clinic.entries("signin.refused")
        assert len(refused) == len(WRONG_TOKENS)
        said = {str(entry.detail["reason"]) for entry in refused}
        assert all(one.startswith("What the provider signed is not accepted") for one in said)
        assert len(said) > 12

    def test_clocks_may_differ_and_parts_be_missing(self, clinic: Clinic) -> None:
        provider = clinic.provider
        for claims in (
            {"exp": _later(provider, -119), "iat": _later(provider, -400)},
            {"iat": _later(provider, 119), "exp": _later(provider, 500)},
            {"nbf": _later(provider, 119)},
            {"aud": ["strop", "other"], "azp": "strop"},
            {"at_hash": None},
        ):
            provider.claims = claims
            assert clinic.come_back().status_code == 303, claims

    def test_small_keys_are_refused(self, clinic: Clinic) -> None:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            small = rsa_key("small", 1024)
            clinic.provider.key, clinic.provider.published = small, [small]
            told = clinic.provider.authorize(clinic.begin())
            assert clinic.answer(told).status_code == 401


class TestKeys:
    def test_a_new_key_is_looked_for_once_and_not_at_every_token(self, clinic: Clinic) -> None:
        clinic.come_back()
        assert clinic.provider.seen.count("/jwks") == 1
        clinic.provider.key = rsa_key("two")
        clinic.provider.published = [rsa_key("two")]
        assert clinic.come_back().status_code == 401  # within a minute of the last look
        clinic.ours.seconds["now"] += 61
        assert clinic.come_back().status_code == 303
        assert clinic.provider.seen.count("/jwks") == 2
        clinic.ours.seconds["now"] += 61
        clinic.provider.header = {"kid": "unknown"}
        for _ in range(5):
            assert clinic.come_back().status_code == 401
        assert clinic.provider.seen.count("/jwks") == 3

    def test_a_key_that_was_withdrawn_is_forgotten_within_the_hour(self, clinic: Clinic) -> None:
        clinic.come_back()
        clinic.provider.published = [rsa_key("two")]
        clinic.ours.seconds["now"] += 3601
        assert clinic.come_back().status_code == 401


class TestAnswers:
    def test_an_answer_to_another_browser_signs_nobody_in(self, clinic: Clinic) -> None:
        told = clinic.provider.authorize(clinic.begin())
        other = clinic.house.client()
        page = other.get("/api/v1/oidc/callback", params=told, headers=PAGE)
        assert (page.status_code, COOKIE in page.cookies) == (401, False)
        assert "in another browser" in page.text
        assert "/token" not in clinic.provider.seen

    def test_an_answer_counts_once(self, clinic: Clinic) -> None:
        told = clinic.provider.authorize(clinic.begin())
        assert clinic.answer(told).status_code == 303
        assert clinic.answer(told).status_code == 401

    def test_an_answer_comes_within_ten_minutes(self, clinic: Clinic) -> None:
        told = clinic.provider.authorize(clinic.begin())
        clinic.house.clock.move(minutes=11)
        assert clinic.answer(told).status_code == 401

    def test_two_tabs_do_not_take_each_others(self, clinic: Clinic) -> None:
        first = clinic.provider.authorize(clinic.begin("/one"), code="c1")
        second = clinic.provider.authorize(clinic.begin("/two"), code="c2")
        assert clinic.answer(first).headers["location"] == "/one"
        assert clinic.answer(second).headers["location"] == "/two"

    def test_a_code_of_one_tab_fits_no_other(self, clinic: Clinic) -> None:
        first = clinic.provider.authorize(clinic.begin("/one"), code="c1")
        second = clinic.provider.authorize(clinic.begin("/two"), code="c2")
        assert clinic.answer(first | {"code": second["code"]}).status_code == 502  # PKCE

    @pytest.mark.parametrize("iss", ["https://evil.example", None])
    def test_mixed_up_providers(self, clinic: Clinic, iss: str | None) -> None:
        assert clinic.come_back(iss=iss).status_code == 401
        assert "/token" not in clinic.provider.seen

    def test_a_provider_that_does_not_name_itself_may_leave_it_out(self, clinic: Clinic) -> None:
        clinic.provider.document = {"authorization_response_iss_parameter_supported": None}
        assert clinic.come_back(iss=None).status_code == 303
        assert clinic.come_back(iss="https://evil.example").status_code == 401

    def test_what_else_can_come_back(self, clinic: Clinic) -> None:
        for changed, said in (
            ({"error": "access_denied", "code": None}, "access_denied"),
            ({"error": "<script>alert(1)</script>", "code": None}, "no code"),
            ({"code": None}, "no code"),
            ({"state": None}, "another browser"),
            ({"state": "x"}, "another browser"),
            ({"state": "\x00" * 43}, "another browser"),
            ({"code": "wrong"}, "invalid_grant"),
        ):
            page = clinic.come_back(**changed)
            assert page.status_code in (401, 502), changed
            assert said in page.text, changed
            assert "<script>" not in page.text

    def test_a_parameter_that_comes_twice_is_refused(self, clinic: Clinic) -> None:
        told = clinic.provider.authorize(clinic.begin())
        query = [*told.items(), ("code", "other")]
        page = clinic.browser.get("/api/v1/oidc/callback", params=query, headers=PAGE)
        assert page.status_code == 401


BROKEN: dict[str, Any] = {
    "down": httpx.ConnectError("refused"),
    "slow": httpx.ReadTimeout("slow"),
    "failing": lambda: httpx.Response(500, text="oops"),
    "elsewhere": lambda: httpx.Response(302, headers={"location": "https://evil.example"}),
    "rubbish": lambda: httpx.Response(200, text="<html>"),
    "a list": lambda: httpx.Response(200, json=[]),
    "nothing": lambda: httpx.Response(200, content=b""),
    "endless": lambda: httpx.Response(200, content=b"[" * 1_000_001),
    "deep": lambda: httpx.Response(200, content=b"[" * 100_000),
    "packed": lambda: httpx.Response(
        200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"x")
    ),
}


class TestBrokenProvider:
    @pytest.mark.parametrize(
        "path", ["/.well-known/openid-configuration", "/token", "/jwks", "/userinfo"]
    )
    def test_says_one_sentence_on_the_form(self, clinic: Clinic, path: str) -> None:
        for how, answer in BROKEN.items():
            clinic = renewed(clinic)
            clinic.provider.answers[path] = answer
            clinic.provider.claims = {"groups": None}
            page = clinic.browser.get("/api/v1/oidc/start", headers=PAGE)
            if page.status_code == 303:
                told = clinic.provider.authorize(page.headers["location"])
                page = clinic.answer(told)
            assert page.status_code == 502, (how, page.text)
            assert 'role="alert">The sign-in of the clinic does not work at the' in page.text, how
            assert 'name="password"' in page.text

    def test_document_that_is_not_believed(self, clinic: Clinic) -> None:
        for document in (
            {"issuer": "https://evil.example"},
            {"token_endpoint": "http://id.example/token"},
            {"authorization_endpoint": "javascript:alert(1)"},
            {"jwks_uri": None},
            {"jwks_uri": 7},
            {"end_session_endpoint": "http://127.0.0.1/end"},
        ):
            clinic = renewed(clinic)
            clinic.provider.document = document
            page = clinic.browser.get("/api/v1/oidc/start", headers=PAGE)
            assert page.status_code == 502, document

    def test_comes_back_after_a_moment_and_is_not_asked_meanwhile(self, clinic: Clinic) -> None:
        page = "/.well-known/openid-configuration"
        clinic.provider.answers[page] = httpx.ConnectError("refused")
        for _ in range(4):
            assert clinic.browser.get("/api/v1/oidc/start", headers=PAGE).status_code == 502
        assert clinic.provider.seen.count(page) == 1
        clinic.provider.answers.clear()
        clinic.ours.seconds["now"] += 4
        assert clinic.come_back().status_code == 303

    def test_groups_that_are_too_many_bar_nobody(self, clinic: Clinic) -> None:
        clinic.come_back()
        clinic.provider.claims = {"groups": None, "_claim_names": {"groups": "src1"}}
        assert clinic.come_back().status_code == 502
        assert clinic.me().status_code == 200


class TestLosingAccess:
    def test_no_group_no_person(self, clinic: Clinic) -> None:
        for groups in ([], ["others"], None, {"it": True}):
            clinic.provider.claims = {"groups": groups}
            page = clinic.come_back()
            assert (page.status_code, "none of your groups" in page.text) == (403, True)
        with clinic.house.sessions() as session:
            assert session.scalars(select(User).where(User.name == "pia")).all() == []

    def test_groups_that_are_gone_end_everything(self, clinic_on_both: Clinic) -> None:
        clinic = clinic_on_both
        clinic.come_back()
        with clinic.house.sessions.begin() as session:
            user = session.scalars(select(User).where(User.name == "pia")).one()
            token = create_token(session, user, "program", now=clinic.house.clock.now).value
        program = clinic.house.client()
        program.headers["Authorization"] = f"Bearer {token}"
        assert program.get("/api/v1/me").status_code == 200
        elsewhere = clinic.browser.cookies[COOKIE]
        clinic.provider.claims = {"groups": ["others"]}
        assert clinic.come_back().status_code == 403
        assert clinic.house.client(cookies={COOKIE: elsewhere}).get("/api/v1/me").status_code == 401
        assert program.get("/api/v1/me").status_code == 401
        with clinic.house.sessions() as session:
            assert not session.scalars(
                select(Membership).where(Membership.user_id == user.id)
            ).all()
        clinic.provider.claims = {}
        assert clinic.come_back().status_code == 303  # back in a group
        assert program.get("/api/v1/me").status_code == 401  # its token stays revoked

    def test_whom_an_admin_barred_stays_out(self, clinic: Clinic) -> None:
        clinic.come_back()
        with clinic.house.sessions.begin() as session:
            user = session.scalars(select(User).where(User.name == "pia")).one()
            deactivate_user(session, user, now=clinic.house.clock.now)
        for groups in (["ml"], [], ["it"]):
            clinic.provider.claims = {"groups": groups}
            page = clinic.come_back()
            assert (page.status_code, "You are barred here" in page.text) == (403, True)

    def test_the_only_admin_can_lose_access_too(self, clinic: Clinic) -> None:
        clinic.provider.claims = {"groups": ["it"]}
        clinic.come_back()
        with clinic.house.sessions.begin() as session:
            for user in session.scalars(select(User).where(User.role == "admin")):
                if user.name != "pia":
                    user.role = "expert"
        clinic.provider.claims = {"groups": []}
        assert clinic.come_back().status_code == 403
        assert clinic.me().status_code == 401

    def test_projects_that_an_admin_gave_stay(self, clinic: Clinic) -> None:
        clinic.come_back()
        with clinic.house.sessions.begin() as session:
            user = session.scalars(select(User).where(User.name == "pia")).one()
            add_member(session, clinic.house.foreign.project.id, user.id)
        clinic.provider.claims = {"groups": ["leads"]}
        clinic.come_back()
        assert [one["name"] for one in clinic.me().json()["projects"]] == ["theirs"]

    def test_tokens_of_who_never_shows_up_again_end(self, clinic: Clinic) -> None:
        clinic.come_back()
        with clinic.house.sessions.begin() as session:
            user = session.scalars(select(User).where(User.name == "pia")).one()
            token = create_token(
                session, user, "program", days=None, now=clinic.house.clock.now
            ).value
        program = clinic.house.client()
        program.headers["Authorization"] = f"Bearer {token}"
        clinic.house.clock.move(days=29)
        assert program.get("/api/v1/me").status_code == 200
        clinic.house.clock.move(days=2)
        assert program.get("/api/v1/me").status_code == 401
        assert clinic.house.client("engineer").get("/api/v1/me").status_code == 200
        clinic.come_back()
        assert program.get("/api/v1/me").status_code == 200


class TestEndByTheProvider:
    def test_a_session_ends_at_once(self, clinic_on_both: Clinic) -> None:
        clinic = clinic_on_both
        clinic.come_back()
        answer = clinic.logout(clinic.provider.logout_token())
        assert (answer.status_code, answer.json()) == (200, {"ended": 1})
        assert answer.headers["cache-control"] == "no-store"
        assert clinic.me().status_code == 401
        assert len(clinic.entries("signin.ended")) == 1

    @pytest.mark.parametrize(
        ("claims", "ended"),
        [
            ({"sid": None}, 2),
            ({"sub": None}, 1),
            ({"sid": "other"}, 0),
            ({"sub": "other"}, 0),
            ({"sub": None, "sid": "session-2"}, 1),
        ],
    )
    def test_by_session_or_by_subject(
        self, clinic: Clinic, claims: dict[str, Any], ended: int
    ) -> None:
        clinic.come_back()
        clinic.browser = clinic.house.client()
        clinic.provider.claims = {"sid": "session-2"}
        clinic.come_back()
        token = clinic.provider.logout_token(**claims)
        assert clinic.logout(token).json() == {"ended": ended}

    def test_counts_once(self, clinic: Clinic) -> None:
        clinic.come_back()
        token = clinic.provider.logout_token()
        assert clinic.logout(token).status_code == 200
        clinic.come_back()
        again = clinic.logout(token)
        assert (again.status_code, again.json()["error"]) == (400, "invalid_request")
        assert clinic.me().status_code == 200

    def test_wrong_tokens_end_nothing(self, clinic: Clinic) -> None:
        clinic.come_back()
        event = "http://schemas.openid.net/event/backchannel-logout"
        for claims, header in (
            ({"events": None}, {}),
            ({"events": {}}, {}),
            ({"events": {event: 1}}, {}),
            ({"nonce": "x"}, {}),
            ({"jti": None}, {}),
            ({"sub": None, "sid": None}, {}),
            ({"aud": "other"}, {}),
            ({"iss": "https://evil.example"}, {}),
            ({"iat": None}, {}),
            ({"exp": 1}, {}),
            ({}, {"typ": "at+jwt"}),
            ({}, {"kid": "unknown"}),
        ):
            clinic.provider.header = header
            token = clinic.provider.logout_token(**claims)
            assert clinic.logout(token).status_code == 400, (claims, header)
            assert clinic.me().status_code == 200

    def test_an_id_token_and_rubbish_end_nothing(self, clinic: Clinic) -> None:
        clinic.come_back()
        for token in (clinic.provider.id_token("n"), "", "a.b.c", "x" * 10_000, "\x00"):
            assert clinic.logout(token).status_code == 400
        clinic.provider.sign = unsigned
        assert clinic.logout(clinic.provider.logout_token()).status_code == 400
        assert clinic.me().status_code == 200

    def test_passwords_sessions_go_on(self, clinic: Clinic) -> None:
        form = {"name": "eva", "password": PASSWORD}
        clinic.browser.post("/api/v1/login", data=form, headers=SAME_SITE | PAGE)
        clinic.logout(clinic.provider.logout_token())
        assert clinic.me().json()["name"] == "eva"


class TestSigningOut:
    def test_ends_the_session_there_too(self, clinic: Clinic) -> None:
        clinic.come_back()
        page = clinic.browser.get("/api/v1/logout")
        assert "form-action 'self' https://id.example;" in page.headers["content-security-policy"]
        answer = clinic.browser.post("/api/v1/logout", headers=SAME_SITE)
        target = httpx.URL(answer.headers["location"])
        assert (answer.status_code, target.host, target.path) == (303, "id.example", "/end")
        assert target.params["post_logout_redirect_uri"] == "http://testserver/api/v1/login"
        assert target.params["id_token_hint"].count(".") == 2
        assert clinic.me().status_code == 401

    def test_works_while_the_provider_is_down(self, clinic: Clinic) -> None:
        clinic.come_back()
        clinic.ours.seconds["now"] += 4000
        clinic.provider.answers["/.well-known/openid-configuration"] = httpx.ConnectError("x")
        answer = clinic.browser.post("/api/v1/logout", headers=SAME_SITE)
        assert (answer.status_code, answer.headers["location"]) == (303, "login")
        assert clinic.me().status_code == 401

    def test_who_came_by_password_stays_here(self, clinic: Clinic) -> None:
        form = {"name": "eva", "password": PASSWORD}
        clinic.browser.post("/api/v1/login", data=form, headers=SAME_SITE | PAGE)
        answer = clinic.browser.post("/api/v1/logout", headers=SAME_SITE)
        assert answer.headers["location"] == "login"


class TestLinked:
    def test_a_person_of_before_signs_in_by_the_account_that_an_admin_named(
        self, clinic: Clinic
    ) -> None:
        from backend.services.accounts.oidc.identities import link_identity

        with clinic.house.sessions.begin() as session:
            person = create_user(session, "old", "expert")
            link_identity(session, person, ISSUER, "sub-1")
        clinic.come_back()
        me = clinic.me().json()
        assert (me["name"], me["role"]) == ("old", "engineer")

    def test_sessions_hold_no_longer_than_set(self, clinic: Clinic) -> None:
        clinic.come_back()
        with clinic.house.sessions() as session:
            row = session.scalars(select(LoginSession).where(LoginSession.method == "oidc")).one()
        assert row.expires_at - row.created_at == timedelta(hours=12)
