"""`strop job list|cancel`: who stops what, and how the command that waits for it ends."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.cli import main
from backend.cli.terminal.waiting import JobEnded, run_jobs
from backend.db import connect
from backend.services import queue
from backend.services.accounts.users import create_user
from backend.settings import Settings
from backend.tables.accounts import User
from backend.tables.queue import JobState
from tests.fixtures_runs import lay_down_project, lay_down_run

Strop = Callable[..., int]
TOLD = "Run 1 was cancelled by eva: wrong split"


@pytest.fixture
def strop(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Strop:
    """The command line on an installation of the test's own; gives the exit code."""
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)

    def run(*arguments: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        return int(ended.value.code or 0)

    return run


@pytest.fixture
def rows(settings: Settings) -> sessionmaker[Session]:
    """Sessions on that installation, which has a queued run and people."""
    sessions = connect(settings)
    with sessions.begin() as session:
        laid = lay_down_project(session)
        queue.enqueue_job(session, "generate", lay_down_run(session, laid).id)
        create_user(session, "eva", "engineer", project_ids=[laid.project])
        create_user(session, "sam", "engineer")
        create_user(session, "dr-lee", "expert", project_ids=[laid.project])
    return sessions


def test_the_only_person_who_could_need_not_be_named(
    strop: Strop, rows: sessionmaker[Session], capsys: pytest.CaptureFixture[str]
) -> None:
    assert strop("job", "cancel", "run", "1") == 1
    assert "2 people could do this. Say who: --as USER" in capsys.readouterr().err
    with rows.begin() as session:
        session.query(User).filter_by(name="sam").update({"active": False})
    assert strop("job", "cancel", "run", "1", "--reason", "wrong split") == 0
    assert TOLD in capsys.readouterr().out


def test_a_cancelled_run_says_by_whom_wherever_it_is_shown(
    strop: Strop,
    rows: sessionmaker[Session],
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert strop("job", "cancel", "run", "1", "--as", "eva", "--reason", "wrong split") == 0
    out = capsys.readouterr().out
    assert TOLD in out
    assert "strop run --resume 1" in out
    assert strop("job", "list", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["job"], row["state"], row["reason"]) == ("run 1", "cancelled", TOLD)
    assert strop("job", "list") == 0
    assert TOLD in capsys.readouterr().out
    assert strop("report", "1") == 0
    assert TOLD in capsys.readouterr().out
    with pytest.raises(JobEnded, match=TOLD) as ended:
        run_jobs(rows, settings, [1], quiet=True)
    assert ended.value.exit_code == 1
    assert strop("job", "cancel", "run", "1", "--as", "eva") == 1
    assert "Run 1 is cancelled: there is nothing to cancel" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "1", "--as", "sam"], "not yours"),
        (["run", "1", "--as", "dr-lee"], "Experts work in their review queues"),
        (["run", "1", "--as", "nobody"], "no user named 'nobody'"),
        (["run", "9", "--as", "eva"], "no generation_run 9"),
        (["training", "1", "--as", "eva"], "no training_run 1"),
        (["score", "1", "--as", "eva"], "no score_run 1"),
    ],
)
def test_who_may_not_start_a_run_may_not_stop_it(
    strop: Strop,
    rows: sessionmaker[Session],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    says: str,
) -> None:
    assert strop("job", "cancel", *arguments) == 1
    assert says in capsys.readouterr().err
    with rows() as session:
        assert queue.get_job(session, 1).state == JobState.QUEUED
