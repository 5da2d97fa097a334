"""`strop run import`: a file of outputs becomes a run on the command line, once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.cli import main
from backend.db import connect
from backend.services import queue
from backend.services.runs import generation
from backend.settings import Settings
from backend.tables.review import ReviewQueue
from tests.fixtures_runs import lay_down_project

Strop = Callable[..., int]


@pytest.fixture
def strop(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Strop:
    """The command line on an installation with the laid project; gives the exit code."""
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    with connect(settings).begin() as session:
        lay_down_project(session)

    def run(*arguments: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        return int(ended.value.code or 0)

    return run


@pytest.fixture
def rows(settings: Settings) -> sessionmaker[Session]:
    return connect(settings)


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Outputs for four of the six examples."""
    path = tmp_path / "vendor.jsonl"
    lines = [json.dumps({"id": f"e{n}", "answer": f"say {n}"}) for n in range(4)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


def test_a_file_is_a_run_with_what_is_not_proved_of_it(
    strop: Strop, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["run", "import", file, "--model", "vendor", "--dataset", "tickets"]
    asked += ["--map", "prediction=answer"]
    assert strop(*asked) == 0
    out, err = capsys.readouterr()
    assert "Run 1: 4 outputs are imported." in err
    assert "note: 2 of the 6 examples of the test split of tickets@1 have no output" in err
    assert "engine import, 4 of 4 generations, 0 failed" in out
    assert "vendor@1: outputs imported, not proved to be of a model; no preflight." in out
    assert strop(*asked, "--json") == 0
    out, err = capsys.readouterr()
    assert "Run 1: 4 outputs were there already." in err
    report = json.loads(out)
    assert (report["run"], report["models"], report["scores"]) == (1, ["vendor@1"], [])
    assert "It covers 4 of the 6 test examples." in report["provenance"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["import", "FILE", "--model", "vendor"], "No dataset is named."),
        (["import", "FILE", "--dataset", "tickets"], "no model is named"),
        (["import", "FILE", "--model", "v1", "--dataset", "tickets"], "'v1' names a model that"),
        (
            ["import", "FILE", "--model", "a", "--dataset", "tickets@x"],
            "'x' is no version of a dataset",
        ),
        (
            ["import", "FILE", "--model", "a", "--dataset", "tickets", "--split", "train"],
            "row 1: 4",
        ),
        (["import", "FILE", "--model", "a", "--dataset", "tickets", "--metrics", "rouje"], "rouge"),
        (["import", "FILE", "--model", "a", "--with-run", "7"], "There is no run 7."),
        (["import", "nowhere.jsonl", "--model", "a", "--dataset", "tickets"], "no such file"),
    ],
)
def test_what_does_not_fit_is_one_line_and_stores_nothing(
    strop: Strop,
    rows: sessionmaker[Session],
    file: str,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    says: str,
) -> None:
    given = [file if one == "FILE" else one for one in arguments]
    assert strop("run", *given, "--map", "prediction=answer") == 1
    err = capsys.readouterr().err
    assert says in err
    assert len(err.strip().splitlines()) == 1
    with rows() as session:
        assert generation.list_runs(session, 1) == []
        assert queue.list_jobs(session) == []


def test_there_is_nothing_to_go_on_with_to_serve_or_to_check(
    strop: Strop, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--model", "vendor", "--dataset", "tickets", "--map", "prediction=answer"]
    assert strop("run", "import", file, *asked) == 0
    for arguments, says in (
        (["run", "--resume", "1"], "Run 1 was imported: no engine here can write"),
        (["run", "--dataset", "tickets", "--models", "vendor"], "there is nothing to run"),
        (["serve", "--models", "vendor"], "There are no weights of vendor@1 here to serve."),
        (
            ["adapter", "preflight", "vendor", "--dataset", "tickets"],
            "There are no weights of vendor@1 here to check.",
        ),
    ):
        capsys.readouterr()
        assert strop(*arguments) == 1
        assert says in capsys.readouterr().err
    assert strop("doctor", "--json") in (0, 1, 2)
    assert "no weights here that could be checked" in capsys.readouterr().out


MARK = {
    "system": "vendor",
    "seg_id": "e1",
    "rater": "r1",
    "target": "say <v>1</v>",
    "category": "Fluency/Grammar",
    "severity": "Minor",
}


def test_marks_of_imported_outputs_open_a_queue_and_come_in_once(
    strop: Strop,
    rows: sessionmaker[Session],
    file: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = ["--model", "vendor", "--dataset", "tickets", "--map", "prediction=answer"]
    assert strop("run", "import", file, *asked) == 0
    marks = tmp_path / "mqm.tsv"
    marks.write_text("\t".join(MARK) + "\n" + "\t".join(MARK.values()) + "\n", encoding="utf-8")
    taking = ["review", "import", "mqm", str(marks), "--from", "mqm", "--run", "1"]
    assert strop(*taking) == 1
    assert "Nobody of this project is known as 'r1'. Map the raters" in capsys.readouterr().err
    for said in ("1 answers taken, 0 were", "0 answers taken, 1 were"):
        assert strop(*taking, "--add-people") == 0
        assert said in capsys.readouterr().out
    wrong = tmp_path / "wrong.tsv"
    wrong.write_text(marks.read_text().replace("say <v>", "sing <v>"), encoding="utf-8")
    taking[2:4] = ["other", str(wrong)]
    assert strop(*taking) == 1
    assert "wrong.tsv: row 1: it judges another text than the" in capsys.readouterr().err
    with rows() as session:
        assert [queue.name for queue in session.scalars(select(ReviewQueue))] == ["mqm"]
