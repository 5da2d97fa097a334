"""`strop promote` and `strop rollback`: a lead signs, and the log keeps what was let pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.cli import main
from backend.db import connect
from backend.services.accounts.users import create_user
from backend.services.models.versions import alias_target
from backend.settings import Settings
from backend.tables.verdicts import Promotion
from tests.fixtures_trial import GOOD_BAR, Trial

Strop = Callable[..., int]


@pytest.fixture
def session(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """A project with a lead and an engineer, in which v1 has passed."""
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    sessions = connect(settings)
    with sessions.begin() as session:
        trial = Trial(session, right=1.0, metrics=["exact_match"])
        trial.judge(GOOD_BAR)
        for name, role in (("lea", "lead"), ("eva", "engineer")):
            create_user(session, name, role, project_ids=[trial.laid.project])
    with sessions() as session:
        yield session
    sessions.kw["bind"].dispose()


def strop(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def champion(session: Session) -> str | None:
    session.rollback()
    model = alias_target(session, 1, "champion")
    session.rollback()
    return model.label if model else None


def test_a_lead_promotes_what_passed(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    session.rollback()
    assert strop("promote", "v1", "--as", "lea") == 0
    said = capsys.readouterr()
    assert "champion is now base:v1@1, signed by lea. PASS by manifest" in said.out
    assert "No server is configured" in said.err
    assert champion(session) == "base:v1@1"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("promote", "v1", "--as", "eva"), "signed by a lead; eva is engineer"),
        (("promote", "v1", "--as", "nobody"), "no user named 'nobody'"),
        (("rollback", "--reason", "slow", "--as", "eva"), "signed by a lead"),
        (("rollback", "--reason", "slow", "--as", "lea"), "points nowhere"),
    ],
)
def test_others_do_not_move_it(
    session: Session, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    session.rollback()
    assert strop(*arguments) == 1
    assert said in capsys.readouterr().err
    assert champion(session) is None


def test_nobody_promotes_without_a_name(session: Session) -> None:
    session.rollback()
    assert strop("promote", "v1") == 1
    assert champion(session) is None


def test_a_server_that_does_not_answer_stops_it_until_somebody_says_why_it_may_stand(
    session: Session, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend.engines.fake import FakeEngine

    session.rollback()
    monkeypatch.setenv("STROP_VLLM_URL", "http://127.0.0.1:9")
    dead = FakeEngine(dies_after=0)
    monkeypatch.setattr("backend.engines.open_server", lambda url, settings: dead)
    assert strop("promote", "v1", "--as", "lea") == 1
    assert "The alias stays where it is" in capsys.readouterr().err
    assert champion(session) is None
    assert strop("promote", "v1", "--as", "lea", "--allow-unserved", "it restarts") == 0
    assert champion(session) == "base:v1@1"
    row = session.scalars(select(Promotion)).one()
    assert row.evidence is not None
    assert row.evidence["unserved"] == "it restarts"
