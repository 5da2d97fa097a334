"""`strop judge`: judges are added, compare pairs of a run, and ask for a licence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from sqlalchemy import select

from backend.cli import main
from backend.db import connect, open_database, session_factory
from backend.engines import ENGINES
from backend.engines.base import GenerationRequest
from backend.engines.fake import FakeEngine
from backend.services import queue
from backend.services.checks.judges.judges import find_judge
from backend.services.metric_specs import allowed_metrics
from backend.services.runs import scoring
from backend.settings import Settings
from backend.tables.checks.judges import JudgeVerdict
from backend.tables.models import Preflight
from backend.tables.runs import Generation, Score
from tests.backend.jobs.test_checker_jobs import faked
from tests.backend.services.checks.judges.test_licences import good, judged, reviewed, right
from tests.fixtures_checkers import set_base
from tests.fixtures_judges import judged_desk, says, work
from tests.fixtures_models import tiny_adapter
from tests.fixtures_review import Desk


@pytest.fixture(scope="module")
def laid_down(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, tiny_base: Path
) -> tuple[Path, Desk]:
    """A database with a run to judge, to copy from."""
    file = Path(shutil.copy(sqlite_template, tmp_path_factory.mktemp("judged")))
    database = open_database(f"sqlite:///{file}")
    with session_factory(database).begin() as session:
        desk = judged_desk(session, 40)
        set_base(session, desk.project.id, str(tiny_base))
    database.dispose()
    return file, desk


@pytest.fixture
def desk(settings: Settings, monkeypatch: pytest.MonkeyPatch, laid_down: tuple[Path, Desk]) -> Desk:
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    shutil.copy(laid_down[0], str(settings.database_file))
    return laid_down[1]


def strop(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def say(request: GenerationRequest) -> str:
    shown = request.messages[0]["content"].split("ANSWER A\n")[1]
    return json.dumps({"winner": "a" if "v1 says" in shown.split("ANSWER B")[0] else "b"})


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """The engine that commands open by the name `local`."""
    fake = faked(answer=say)
    monkeypatch.setitem(ENGINES, "local", lambda settings: fake)
    return fake


def test_a_judge_is_added_listed_and_shown(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "strict.md"
    file.write_text("Is it right?\n{prediction}\n")
    assert strop("judge", "add", "strict", "--model", "base", "--prompt", str(file)) == 0
    out = capsys.readouterr().out
    assert "strict@1: a rater by base" in out
    assert "--metrics judge:strict@1" in out
    assert "no licence" in out
    assert strop("judge", "list", "--json") == 0
    [row] = json.loads(capsys.readouterr().out)
    assert (row["judge"], row["licence"], row["answers"]) == ("strict@1", "none", [1, 2, 3, 4, 5])
    assert strop("judge", "show", "strict") == 0
    assert "Is it right?" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("add", "s", "--model", "nobody"), "There is no model 'nobody'"),
        (("add", "s", "--model", "base", "--prompt", "/nowhere.md"), "cannot be read"),
        (("show", "s"), "There is no judge 's'"),
        (("audit", "s"), "There is no judge 's'"),
        (("licence", "s", "--queue", "q"), "There is no judge 's'"),
        (("compare", "s", "--run", "1", "--models", "base,v1"), "There is no judge 's'"),
    ],
)
def test_what_is_not_there_is_one_sentence(
    desk: Desk, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert strop("judge", *arguments) == 1
    assert message in capsys.readouterr().err


def test_pairs_are_compared_once(
    desk: Desk, engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert strop("judge", "add", "pairs", "--model", "base", "--kind", "comparer") == 0
    ask = ("judge", "compare", "pairs", "--run", str(desk.run.id), "--models", "base,v1")
    assert strop(*ask) == 0
    out = capsys.readouterr().out
    assert "40 pairs of run" in out
    assert "by a judge, pairs@1, in both orders" in out
    assert "Win rates by a judge (not by people)" in out
    assert "judges its own outputs" in out
    checked = len(engine.asked)
    assert sum(key.isdigit() for key in engine.asked) == 80  # the others are the preflight's
    assert strop(*ask, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["n"], report["missing"]) == (40, 0)
    assert len(engine.asked) == checked


def test_a_judge_is_preflighted_by_its_own_questions_before_it_is_asked(
    desk: Desk, engine: FakeEngine, settings: Settings, tmp_path: Path, tiny_base: Path
) -> None:
    """An adapter in whose place the base answers judges nothing; the check is kept."""
    folder = tiny_adapter(tmp_path / "strict", tiny_base)
    assert strop("adapter", "add", "strict", str(folder)) == 0
    add = ("judge", "add", "pairs", "--model", "strict", "--kind", "comparer")
    assert strop(*add) == 0
    ask = ("judge", "compare", "pairs", "--run", str(desk.run.id), "--models", "base,v1")
    engine.ignores_adapters = True
    assert strop(*ask) == 2
    engine.ignores_adapters = False
    assert _kept(settings) == (0, [False])
    assert strop(*ask) == 0
    assert _kept(settings) == (40, [False, True])
    assert strop(*ask) == 0  # nothing is left to ask, so that nothing is served or checked
    assert _kept(settings) == (40, [False, True])


@pytest.mark.parametrize("metric", ["judge:strict@1", "support:strict"])
def test_an_adapter_that_is_asked_is_preflighted_by_the_checks_own_questions(
    desk: Desk, settings: Settings, tmp_path: Path, tiny_base: Path, metric: str
) -> None:
    folder = tiny_adapter(tmp_path / "strict", tiny_base)
    assert strop("adapter", "add", "strict", str(folder)) == 0
    assert strop("judge", "add", "strict", "--model", "strict") == 0
    sessions = connect(settings)
    for careless, said in ((True, (0, [False])), (False, (80, [False, True]))):
        with sessions.begin() as session:
            made = scoring.create_score_run(
                session,
                generation_run_id=desk.run.id,
                metrics=[metric],
                allowed=allowed_metrics(settings, desk.project.id),
            )
            job_id = queue.enqueue_job(session, queue.JobKind.SCORE, made.id).id
        engine = faked(answer=lambda _: says(5), ignores_adapters=careless)
        work(sessions, settings, job_id, engine)
        with sessions() as session:
            assert session.query(Score).filter_by(score_run_id=made.id).count() == said[0]
            error = queue.get_job(session, job_id).error or ""
            assert error.startswith("Preflight failed") == careless
        assert _kept(settings)[1] == said[1]


@pytest.mark.parametrize("failed", [20, 80])
def test_that_first_outputs_which_failed_leave_out_no_preflight(
    desk: Desk,
    settings: Settings,
    tmp_path: Path,
    tiny_base: Path,
    caplog: pytest.LogCaptureFixture,
    failed: int,
) -> None:
    folder = tiny_adapter(tmp_path / "strict", tiny_base)
    assert strop("adapter", "add", "strict", str(folder)) == 0
    assert strop("judge", "add", "strict", "--model", "strict") == 0
    sessions = connect(settings)
    with sessions.begin() as session:
        of_run = select(Generation).where(Generation.run_id == desk.run.id)
        for one in session.scalars(of_run.order_by(Generation.id).limit(failed)):
            one.error = "The engine has died."
        made = scoring.create_score_run(
            session,
            generation_run_id=desk.run.id,
            metrics=["judge:strict@1"],
            allowed=allowed_metrics(settings, desk.project.id),
        )
        job_id = queue.enqueue_job(session, queue.JobKind.SCORE, made.id).id
    work(sessions, settings, job_id, faked(answer=lambda _: says(5), ignores_adapters=True))
    none = "judge:strict@1 asks nothing of any of 80 outputs: base:strict@1 has no preflight."
    assert _kept(settings)[1] == ([False] if failed < 80 else [])
    assert (none in caplog.text) == (failed == 80)


def _kept(settings: Settings) -> tuple[int, list[bool]]:
    """How many verdicts there are, and how each preflight ended."""
    with connect(settings).begin() as session:
        checks = session.scalars(select(Preflight).order_by(Preflight.id)).all()
        return session.query(JudgeVerdict).count(), [one.passed for one in checks]


def test_a_server_that_dies_leaves_what_it_said(
    desk: Desk, engine: FakeEngine, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert strop("judge", "add", "pairs", "--model", "base", "--kind", "comparer") == 0
    engine.dies_after = 50 + 24  # after the probes of the preflight, three times eight
    ask = ("judge", "compare", "pairs", "--run", str(desk.run.id), "--models", "base,v1")
    assert strop(*ask) == 1
    assert "has died" in capsys.readouterr().err
    with connect(settings).begin() as session:
        assert session.query(JudgeVerdict).count() == 16
    engine.dies_after = None
    assert strop(*ask, "--json") == 0
    assert json.loads(capsys.readouterr().out)["n"] == 40


def test_a_licence_is_asked_for_and_audited(
    desk: Desk, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    add = ("judge", "add", "strict", "--model", "base", "--criterion", "faithful")
    assert strop(*add) == 0
    with connect(settings).begin() as session:
        judge = find_judge(session, desk.project.id, "strict")
        judged(session, desk, judge, good)
        reviewed(session, desk, "q", right)
        reviewed(session, desk, "two", right, raters=2)
    capsys.readouterr()
    assert strop("judge", "audit", "strict") == 1
    assert "never given or refused" in capsys.readouterr().err
    assert strop("judge", "licence", "strict", "--queue", "two") == 2
    assert "30 more independent items rated by 3 people" in capsys.readouterr().out
    assert strop("judge", "licence", "strict", "--queue", "q") == 0
    out = capsys.readouterr().out
    assert "faithful: licensed: at least as close" in out
    assert strop("judge", "audit", "strict", "--json") == 0
    [stands] = json.loads(capsys.readouterr().out)
    assert (stands["state"], stands["attempts"]) == ("licensed", 2)


def test_notes_are_kept(desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "notes.jsonl"
    file.write_text('{"id": "test-0", "note": "names the fee"}\n')
    assert strop("judge", "notes", str(file)) == 0
    assert "1 notes are new, 0 changed, 0 stood already." in capsys.readouterr().out
    file.write_text('{"id": "x", "note": "y"}\n')
    assert strop("judge", "notes", str(file)) == 1
    assert "of no example of tickets: x" in capsys.readouterr().err
