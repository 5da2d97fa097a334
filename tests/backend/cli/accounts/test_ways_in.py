"""`strop user reset-link|way-in|unlock|link|unlink|require-second-factor|reset-second-factor`."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.db import utc_now
from backend.errors import TooManyAttempts
from backend.services.accounts.access_links import person_of_link
from backend.services.accounts.attempts import count_try, keys_of
from backend.tables.accounts import User
from backend.tables.audit import AuditEntry
from tests.backend.cli.accounts.test_people import strop  # noqa: F401

ISSUER = "https://id.example"


@pytest.fixture
def people(strop):  # noqa: F811
    """An admin, ada, and an expert, eva; then the runner of commands."""
    strop("user", "add", "ada", "--role", "admin")
    strop("user", "add", "eva")
    return strop


def actions(sessions: sessionmaker[Session]) -> list[str]:
    with sessions() as session:
        return [row.action for row in session.scalars(select(AuditEntry).order_by(AuditEntry.id))]


def test_links_are_printed_alone_and_lead_to_their_person(
    people, sqlite_sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STROP_PUBLIC_URL", "https://strop.example/")
    code, out, err = people("user", "reset-link", "eva")
    assert (code, out.count("\n")) == (0, 1)
    assert out.startswith("https://strop.example/api/v1/reset?token=")
    assert "Good once, until" in err
    with sqlite_sessions() as session:
        token = out.strip().partition("token=")[2]
        assert person_of_link(session, token, "password", now=utc_now()).name == "eva"
    _, out, _ = people("user", "way-in", "ada", "--json")
    assert json.loads(out)["url"].startswith("https://strop.example/api/v1/way-in?token=")
    assert actions(sqlite_sessions)[-2:] == ["link.made", "link.made"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("reset-link", "nobody"), "no user named"),
        (("way-in", "eva"), "this way in is for admins"),
        (("link", "eva", "--subject", "s"), "No provider is set"),
        (("link", "eva", "--subject", "", "--issuer", ISSUER), "1 to 255"),
        (("unlock", "nobody"), "no user named"),
    ],
)
def test_what_cannot_be_done_says_why(people, arguments: tuple[str, ...], said: str) -> None:
    code, _, err = people("user", *arguments)
    assert (code, said in err) == (1, True)


def test_no_reset_where_passwords_are_off(people, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STROP_OIDC_ISSUER", ISSUER)
    monkeypatch.setenv("STROP_OIDC_CLIENT_ID", "strop")
    monkeypatch.setenv("STROP_OIDC_ROLES", '{"ward, 3 = x": "expert"}')
    monkeypatch.setenv("STROP_PASSWORDS", "off")
    code, _, err = people("user", "reset-link", "ada")
    assert (code, "strop user way-in NAME" in err) == (1, True)
    assert people("user", "way-in", "ada")[0] == 0


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"PASSWORDS": "off"}, "no way in"),
        ({"OIDC_ISSUER": "http://id.example"}, "https address"),
        ({"OIDC_ISSUER": ISSUER}, "STROP_OIDC_CLIENT_ID"),
        ({"OIDC_ISSUER": ISSUER, "OIDC_CLIENT_ID": "strop"}, "STROP_OIDC_ROLES"),
        ({"OIDC_ISSUER": ISSUER, "OIDC_CLIENT_ID": "s", "OIDC_ROLES": '{"a": "king"}'}, "roles"),
        ({"PUBLIC_URL": "https://strop.example/path"}, "without a path"),
    ],
)
def test_settings_that_let_nobody_in_are_refused(
    people, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"STROP_{name}", value)
    code, _, err = people("user", "list")
    assert (code, said in err) == (1, True)


def test_a_wait_is_ended(people, sqlite_sessions: sessionmaker[Session]) -> None:
    def try_once() -> None:
        with sqlite_sessions.begin() as session:
            count_try(session, keys_of("eva", "10.0.0.1"), now=utc_now())

    for _ in range(5):
        try_once()
    with pytest.raises(TooManyAttempts):
        try_once()
    assert people("user", "unlock", "eva")[0] == 0
    try_once()
    assert actions(sqlite_sessions)[-1] == "signin.unlocked"


def test_accounts_at_a_provider(people, sqlite_sessions: sessionmaker[Session]) -> None:
    known = ("--subject", "s1", "--issuer", ISSUER)
    assert people("user", "link", "eva", *known)[0] == 0
    assert people("user", "link", "eva", *known)[0] == 0  # as it is
    code, _, err = people("user", "link", "ada", *known)
    assert (code, "is eva here already" in err) == (1, True)
    _, out, _ = people("user", "unlink", "eva")
    assert "1 accounts fewer" in out
    assert people("user", "link", "ada", *known)[0] == 0


def test_second_factors(people, sqlite_sessions: sessionmaker[Session]) -> None:
    for arguments, required in (((), True), (("--off",), False)):
        assert people("user", "require-second-factor", "eva", *arguments)[0] == 0
        with sqlite_sessions() as session:
            user = session.scalars(select(User).where(User.name == "eva")).one()
            assert user.second_factor_required is required
    assert people("user", "reset-second-factor", "eva")[0] == 0
