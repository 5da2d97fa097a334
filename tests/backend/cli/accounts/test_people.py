"""`strop user` and `strop token` on a database of their own."""

from __future__ import annotations

import io
import json
import sys
from importlib.metadata import version

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.cli import main
from backend.services.accounts.users import verify_password
from backend.services.projects import create_project

PASSWORD = "correct horse battery"


@pytest.fixture
def strop(
    sqlite_url: str,
    sqlite_sessions: sessionmaker[Session],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    """Run a command; gives its exit code, what it printed, and its error line."""
    monkeypatch.setenv("STROP_DATABASE_URL", sqlite_url)
    with sqlite_sessions.begin() as session:
        create_project(session, "desk", base_model="b")

    def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as exit_:
            main(list(arguments))
        printed = capsys.readouterr()
        return int(exit_.value.code or 0), printed.out, printed.err

    return run


def test_password_comes_from_stdin(strop, sqlite_sessions: sessionmaker[Session]) -> None:
    code, out, _ = strop("user", "add", "eva", "--password-stdin", stdin=PASSWORD + "\n")
    assert (code, PASSWORD in out) == (0, False)
    with sqlite_sessions() as session:
        user = verify_password(session, "eva", PASSWORD)
        assert user.role == "expert"
        assert len(user.memberships) == 1


def test_made_password_is_printed_once(strop, sqlite_sessions: sessionmaker[Session]) -> None:
    _, out, _ = strop("user", "add", "ada", "--role", "admin", "--generate", "--json")
    shown = json.loads(out)
    with sqlite_sessions() as session:
        assert verify_password(session, "ada", shown["password"]).role == "admin"
    _, out, _ = strop("user", "list", "--json")
    assert shown["password"] not in out
    assert [row["name"] for row in json.loads(out)] == ["ada"]


def test_a_password_is_made_where_none_is_given(
    strop, sqlite_sessions: sessionmaker[Session]
) -> None:
    code, out, _ = strop("user", "add", "ada", "--role", "admin")
    made = out.splitlines()[-1].removeprefix("Password, shown this once: ")
    assert code == 0
    with sqlite_sessions() as session:
        assert verify_password(session, "ada", made).role == "admin"


def test_version(strop) -> None:
    code, out, _ = strop("--version")
    assert (code, out) == (0, f"strop {version('strop')}\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["user", "add", "eva", "--generate", "--password-stdin"], "exclude each other"),
        (["user", "add", "eva", "--generate", "--role", "boss"], "Roles: admin"),
        (["user", "add", "eva", "--generate", "--project", "x"], "Known: desk"),
        (["user", "deactivate", "nobody"], "Add one: strop user add"),
        (["token", "create", "--user", "nobody", "--name", "ci"], "Add one: strop user add"),
        (["token", "revoke", "9"], "strop token list"),
    ],
)
def test_error_is_one_line_that_says_what_to_do(strop, arguments: list[str], says: str) -> None:
    code, _, err = strop(*arguments)
    assert code == 1
    assert says in err
    assert err.count("\n") == 1


def test_token_is_made_listed_and_revoked(strop) -> None:
    strop("user", "add", "eva", "--role", "engineer", "--generate")
    _, out, _ = strop("token", "create", "--user", "eva", "--name", "ci", "--json")
    made = json.loads(out)
    assert made["token"].startswith("strop_")
    strop("token", "revoke", str(made["id"]))
    _, out, _ = strop("token", "list", "--user", "eva", "--json")
    [row] = json.loads(out)
    assert row["revoked"]
    assert made["token"] not in out


def test_barred_person_is_listed_as_such(strop) -> None:
    strop("user", "add", "eva", "--generate")
    assert strop("user", "deactivate", "eva")[0] == 0
    _, out, _ = strop("user", "list", "--json")
    assert json.loads(out)[0]["active"] == "no"


def test_people_get_roles_and_projects_and_are_let_in_again(
    strop, sqlite_sessions: sessionmaker[Session]
) -> None:
    with sqlite_sessions.begin() as session:
        create_project(session, "other", base_model="b")
    strop("user", "add", "eva", "--generate", "--project", "desk")
    for arguments in (
        ["role", "eva", "engineer"],
        ["join", "eva", "--project", "other"],
        ["leave", "eva", "--project", "desk"],
        ["sign-out", "eva"],
        ["deactivate", "eva"],
        ["reactivate", "eva"],
    ):
        code, _, err = strop("user", *arguments)
        assert (code, err) == (0, "")
    _, out, _ = strop("user", "list", "--json")
    (eva,) = json.loads(out)
    assert (eva["role"], eva["projects"], eva["active"]) == ("engineer", 1, "yes")
