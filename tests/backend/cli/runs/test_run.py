"""`strop run` and `strop report`: a worker is started, waited for, and its error is the command's.

The first test writes with a real base and adapter, made in a second; the others only lay down rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.cli import main
from backend.cli.runs.run import split_list
from backend.cli.terminal.waiting import JobEnded, run_jobs, worker_for
from backend.db import connect, utc_now
from backend.services import queue
from backend.services.datasets.versions import ExampleRow, import_dataset
from backend.services.models.versions import register_adapter, register_base
from backend.services.projects import create_project
from backend.services.runs import generation
from backend.settings import Settings
from backend.tables.queue import JobState
from tests.fixtures_models import tiny_adapter, tiny_base
from tests.fixtures_runs import lay_down_project, lay_down_run

__all__ = ["tiny_base"]

Strop = Callable[..., int]
FLAGS = ["--dataset", "tickets", "--max-tokens", "4", "--json"]


@pytest.fixture
def strop(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Strop:
    """The command line on an installation of the test's own; gives the exit code."""
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    monkeypatch.setenv("STROP_TORCH_THREADS", "1")

    def run(*arguments: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        return int(ended.value.code or 0)

    return run


@pytest.fixture
def rows(settings: Settings) -> sessionmaker[Session]:
    """Sessions on that installation."""
    return connect(settings)


def _lay_down_models(rows: sessionmaker[Session], settings: Settings, base: Path) -> None:
    """A project with four examples, a base, an adapter `v1` and one without effect, `zero`."""
    for name, zero in (("v1", False), ("zero", True)):
        tiny_adapter(settings.artifacts / name, base, zero=zero)
    with rows.begin() as session:
        project = create_project(session, "desk", base_model=str(base))
        register_base(session, project.id)
        for name in ("v1", "zero"):
            path = settings.artifacts / name
            register_adapter(session, project.id, name, path, settings=settings)
        examples = [
            ExampleRow(f"e{i}", f"say {i}", references=(f"say {i}",), split="test", group=f"g{i}")
            for i in range(4)
        ]
        import_dataset(session, project.id, "tickets", examples, source_name="made")


def test_run_writes_scores_and_reports(
    strop: Strop,
    rows: sessionmaker[Session],
    settings: Settings,
    tiny_base: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    _lay_down_models(rows, settings, tiny_base)
    assert strop("run", "--models", "base,v1", "--metrics", "accuracy", *FLAGS) == 0
    out, err = capfd.readouterr()
    assert "No worker is running: started one" in err
    report = json.loads(out)
    assert report["progress"] == {"done": 8, "total": 8, "failed": 0}
    figures = report["scores"][0]["figures"]
    assert [(f["model"], f["metric"], f["n"]) for f in figures] == [
        ("base", "accuracy", 4),
        ("base:v1@1", "accuracy", 4),
    ]
    assert all({"value", "low", "high", "failed", "signature"} <= set(f) for f in figures)
    with rows() as session:
        assert queue.live_workers(session, now=utc_now()) == []


def test_a_run_whose_preflight_failed_is_a_finding_and_writes_nothing(
    strop: Strop,
    rows: sessionmaker[Session],
    settings: Settings,
    tiny_base: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    _lay_down_models(rows, settings, tiny_base)
    assert strop("run", "--models", "zero", *FLAGS) == 2
    assert "no effect" in capfd.readouterr().err
    with rows() as session:
        assert generation.run_progress(session, 1).done == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--models", "base"], "No dataset is named"),
        (["--dataset", "tickts"], "tickts"),
        (["--dataset", "tickets", "--models", "v8"], "v8"),
        (["--dataset", "tickets", "--metrics", "acuracy"], "accuracy"),
        (["--dataset", "tickets", "--metrics", "f1@task=none"], "task=intent"),
        (["--resume", "9"], "no run 9"),
    ],
)
def test_what_cannot_run_is_one_line_and_queues_nothing(
    strop: Strop,
    rows: sessionmaker[Session],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    says: str,
) -> None:
    with rows.begin() as session:
        lay_down_project(session)
    assert strop("run", *arguments) == 1
    err = capsys.readouterr().err
    assert says in err
    assert len(err.strip().splitlines()) == 1
    with rows() as session:
        assert queue.list_jobs(session) == []


def test_failed_job_is_the_error_of_the_command(
    rows: sessionmaker[Session], settings: Settings
) -> None:
    with rows.begin() as session:
        job = queue.enqueue_job(
            session, "generate", lay_down_run(session, lay_down_project(session)).id
        )
        queue.finish_job(
            session, job.id, 1, JobState.FAILED, now=utc_now(), error="not meant", exit_code=2
        )
    with pytest.raises(JobEnded, match="not meant") as ended:
        run_jobs(rows, settings, [job.id], quiet=True)
    assert ended.value.exit_code == 2


def test_living_worker_is_used(rows: sessionmaker[Session], settings: Settings) -> None:
    import os

    with rows.begin() as session:
        queue.claim_worker_name(
            session, "w", queues=["gen", "score", "gpu"], pid=os.getpid(), now=utc_now()
        )
    with worker_for(rows, settings) as own:
        assert own is None


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (None, []),
        ("base,v1", ["base", "v1"]),
        (" base , v1 ,", ["base", "v1"]),
        ("rouge,f1@a=1,b=2,bleu", ["rouge", "f1@a=1,b=2", "bleu"]),
        ("f1@a=1,bleu@b=2", ["f1@a=1", "bleu@b=2"]),
    ],
)
def test_lists_are_split_at_commas_between_names(text: str | None, parts: list[str]) -> None:
    assert split_list(text) == parts


def test_report_without_a_run_lists_them(
    strop: Strop, rows: sessionmaker[Session], capsys: pytest.CaptureFixture[str]
) -> None:
    with rows.begin() as session:
        lay_down_run(session, lay_down_project(session))
    assert strop("report", "--json") == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["run"], listed["done"], listed["total"]) == (1, 0, 12)


def test_training_without_a_bar_is_refused(
    strop: Strop, rows: sessionmaker[Session], capsys: pytest.CaptureFixture[str]
) -> None:
    with rows.begin() as session:
        lay_down_project(session)
    assert strop("train", "--name", "v9") == 1
    assert "strop train --set T" in capsys.readouterr().err
    assert strop("train", "--set", "t", "--name", "v9") == 1
    assert "no training set named 't'" in capsys.readouterr().err


def test_unknown_queue_is_refused(
    strop: Strop, rows: sessionmaker[Session], capsys: pytest.CaptureFixture[str]
) -> None:
    assert strop("worker", "--queues", "gnu") == 1
    assert "Known: gen, score, gpu" in capsys.readouterr().err
