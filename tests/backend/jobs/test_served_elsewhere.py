"""Models served elsewhere: registered, asked beside others in one run, refused where they lie."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.cli import main
from backend.engines.base import Engine, GenerationRequest, SamplingParams, ServedModel
from backend.engines.fake import FakeEngine
from backend.engines.openai.engine import OpenaiEngine
from backend.engines.remote.server import Retries
from backend.errors import (
    EngineError,
    EngineUnavailable,
    Forbidden,
    InvalidInput,
    PreflightFailed,
    StropError,
)
from backend.jobs.generate import generate_parts
from backend.jobs.preflight import check_models
from backend.jobs.running.parts import Workshop
from backend.services import queue
from backend.services.datasets.prompts.prompts import add_prompt, parse_prompt
from backend.services.models.adapter_files import own_folder
from backend.services.models.others import register_served
from backend.services.models.preflight.elsewhere import UNPROVED
from backend.services.models.versions import (
    find_model,
    next_revision,
    served_model,
    serving_groups,
)
from backend.services.runs import generation, scoring
from backend.services.training.start import resolve_start, resolve_start_from
from backend.settings import Settings
from backend.tables.models import ModelVersion, Preflight
from backend.tables.queue import Job
from backend.tables.runs import Generation
from tests.backend.engines.scripted_server import ScriptedServer, Step, completion
from tests.fixtures_runs import Laid, lay_down_project

QUICK = Retries(attempts=2, first_s=0.01, longest_s=0.02)
PROBED = 8  # chat requests of a preflight: four probes, twice
ROWS = 6


def vendor(script: list[Step] | None = None, **how: Any) -> ScriptedServer:
    return ScriptedServer(script, base="gpt-4o", loads=False, **how)


def another(payload: dict[str, Any]) -> web.Response:
    return web.json_response({**completion(payload), "model": "gpt-3"})


@pytest.fixture
def laid(sessions: sessionmaker[Session]) -> Laid:
    """Six test examples, a base that a fake engine answers for, and `gpt`, served elsewhere."""
    with sessions.begin() as session:
        laid = lay_down_project(session, adapters=0)
        register_served(session, laid.project, "gpt", "gpt-4o")
    return laid


def lay_down_run(session: Session, laid: Laid, labels: tuple[str, ...], **decoding: Any) -> int:
    models = [find_model(session, laid.project, label).id for label in labels]
    run = generation.create_run(
        session,
        project_id=laid.project,
        dataset_version_id=laid.version,
        split="test",
        model_ids=models,
        engine="fake",
        params=SamplingParams(max_tokens=8, **decoding),
    )
    return queue.enqueue_job(session, queue.JobKind.GENERATE, run.id).id


def work(
    sessions: sessionmaker[Session], settings: Settings, server: ScriptedServer, job_id: int
) -> None:
    """Do the job as a worker would; only the models served elsewhere are checked."""

    def open_named(name: str, _: Settings) -> Engine:
        if name == "fake":
            return FakeEngine()
        return OpenaiEngine([server.url], in_flight=1, retries=QUICK)

    def check(*asked: Any, base_id: int | None = None, **how: Any) -> None:
        if base_id is not None:
            check_models(*asked, settings=settings, base_id=base_id, **how)

    shop = Workshop(settings, sessions, "w", open_named, check, {})
    try:
        with sessions() as session:
            job = session.get_one(Job, job_id)
        list(generate_parts(shop, job))
    finally:
        shop.close_engines()


def written(sessions: sessionmaker[Session]) -> dict[str, list[str | None]]:
    """What each model wrote, by its label; a text or an error in brackets."""
    found: dict[str, list[str | None]] = {}
    with sessions() as session:
        for row in session.scalars(select(Generation).order_by(Generation.example_id)):
            said = row.text if row.error is None else f"[{row.error}]"
            found.setdefault(row.model_version.label, []).append(said)
    return found


def test_one_run_asks_two_engines_and_says_what_it_could_not_prove(
    sessions: sessionmaker[Session], laid: Laid, settings: Settings
) -> None:
    with sessions.begin() as session:
        job_id = lay_down_run(session, laid, ("base", "gpt"))
    with vendor() as server:
        work(sessions, settings, server, job_id)
    found = written(sessions)
    assert {label: len(rows) for label, rows in found.items()} == {"base": ROWS, "gpt@1": ROWS}
    assert all(str(text).startswith("base: ") for text in found["base"])
    assert server.calls["chat"] == PROBED + ROWS
    with sessions() as session:
        row = session.scalars(select(Preflight)).one()
        gpt = find_model(session, laid.project, "gpt")
        assert (row.engine, row.passed, row.model_ids) == ("openai", True, [gpt.id])
    states = {check["name"]: check["passed"] for check in row.checks}
    assert states.pop("answers of gpt@1") is True
    assert states == dict.fromkeys(
        ["repeatability of gpt@1", *(f"{name} of gpt@1" for name in UNPROVED)]
    )


def test_candidates_of_one_served_model_are_each_asked_once_with_their_own_prompt(
    sessions: sessionmaker[Session], laid: Laid, settings: Settings
) -> None:
    with sessions.begin() as session:
        add_prompt(session, laid.project, "brief", parse_prompt("template: 'Q: {{ input }}'"))
        job_id = lay_down_run(session, laid, ("gpt", "gpt+brief"))
    with vendor() as server:
        work(sessions, settings, server, job_id)
    found = written(sessions)
    assert {label: len(rows) for label, rows in found.items()} == {
        "gpt@1": ROWS,
        "gpt@1+brief@1": ROWS,
    }
    assert found["gpt@1+brief@1"][0] == "Q: say 0"
    assert server.calls["chat"] == PROBED + 2 * ROWS
    with sessions() as session:
        (row,) = session.scalars(select(Preflight))
        assert (row.passed, len(row.model_ids)) == (True, 2)


def test_a_run_is_resumed_after_its_server_died_and_nothing_is_asked_twice(
    sessions: sessionmaker[Session], laid: Laid, settings: Settings
) -> None:
    with sessions.begin() as session:
        job_id = lay_down_run(session, laid, ("gpt",))
    with (
        vendor([None] * (PROBED + 2), always="drop") as server,
        pytest.raises(EngineUnavailable, match="strop run --resume 1"),
    ):
        work(sessions, settings, server, job_id)
    assert len(written(sessions)["gpt@1"]) == 2
    with vendor() as server:
        work(sessions, settings, server, job_id)
    assert len(written(sessions)["gpt@1"]) == ROWS
    assert server.calls["chat"] == PROBED + ROWS - 2


REFUSED: dict[str, tuple[Step, type[StropError], str]] = {
    "another model": (another, PreflightFailed, "answered as 'gpt-3'"),
    "the key": (401, PreflightFailed, "refused the token"),
    "the name": (404, PreflightFailed, "does not serve 'gpt-4o'"),
    "every prompt": (400, PreflightFailed, "answers 0 of 4 probes"),
    "nothing": ("drop", EngineUnavailable, "does not answer"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_server_that_does_not_answer_for_the_model_leaves_nothing_behind(
    sessions: sessionmaker[Session], laid: Laid, settings: Settings, case: str
) -> None:
    step, kind, reason = REFUSED[case]
    with sessions.begin() as session:
        job_id = lay_down_run(session, laid, ("gpt",))
    with vendor(always=step) as server, pytest.raises(kind, match=reason):
        work(sessions, settings, server, job_id)
    assert written(sessions) == {}
    with sessions() as session:
        kept = [row.passed for row in session.scalars(select(Preflight))]
    assert kept == ([] if kind is EngineUnavailable else [False])
    with vendor() as server:
        work(sessions, settings, server, job_id)
    assert len(written(sessions)["gpt@1"]) == ROWS


def test_candidates_that_the_server_does_not_take_have_a_failed_preflight(
    sessions: sessionmaker[Session], laid: Laid, settings: Settings
) -> None:
    with sessions.begin() as session:
        add_prompt(session, laid.project, "brief", parse_prompt("template: 'Q: {{ input }}'"))
        job_id = lay_down_run(session, laid, ("gpt", "gpt+brief"))
    with vendor() as server:
        server.lists = 401
        with pytest.raises(PreflightFailed, match="refused the token"):
            work(sessions, settings, server, job_id)
    assert written(sessions) == {}
    with sessions() as session:
        (row,) = session.scalars(select(Preflight))
        labels = [session.get_one(ModelVersion, one).label for one in row.model_ids]
    assert (row.passed, row.engine, labels) == (False, "openai", ["gpt@1", "gpt@1+brief@1"])


def test_an_answer_of_another_model_in_the_middle_stops_the_run_and_is_not_kept(
    sessions: sessionmaker[Session], laid: Laid, settings: Settings
) -> None:
    with sessions.begin() as session:
        job_id = lay_down_run(session, laid, ("gpt",))
    script: list[Step] = [*[None] * (PROBED + 3), another]
    with vendor(script) as server, pytest.raises(EngineError, match="answered as 'gpt-3'"):
        work(sessions, settings, server, job_id)
    assert [text and text[:1] for text in written(sessions)["gpt@1"]] == ["s"] * 3


def ask(server: ScriptedServer, count: int) -> list[str | None]:
    """The errors of so many prompts, one after the other; None where one was answered."""
    with OpenaiEngine([server.url], in_flight=1, retries=QUICK) as engine:
        engine.load([ServedModel("gpt@1", "gpt-4o", elsewhere=True)])
        turn = [{"role": "user", "content": "Hi"}]
        requests = [GenerationRequest(str(n), "gpt@1", turn) for n in range(count)]
        return [answer.error for answer in engine.generate(requests, SamplingParams())]


def test_a_server_that_refuses_one_prompt_after_the_other_ends_the_run() -> None:
    with (
        vendor(always=400, error="no template") as server,
        pytest.raises(EngineError, match=r"refused 20 prompts for 'gpt-4o' in a row.*no template"),
    ):
        ask(server, 60)
    assert server.calls["chat"] < 40
    with vendor([*[400] * 19, None, *[400] * 19, None], error="no template") as server:
        assert sum(error is not None for error in ask(server, 40)) == 38


def test_what_no_server_does_is_said_before_a_run(
    sessions: sessionmaker[Session], laid: Laid, settings: Settings
) -> None:
    with sessions.begin() as session:
        job_id = lay_down_run(session, laid, ("gpt",), truncate_prompt=True)
    with vendor() as server:
        work(sessions, settings, server, job_id)
    with sessions() as session:
        checks = {c["name"]: c for c in session.scalars(select(Preflight)).one().checks}
    assert checks["prompts of gpt@1"]["passed"] is None
    assert "too long to be cut" in checks["prompts of gpt@1"]["detail"]


def test_counts_that_no_server_reported_are_unknown_to_metrics(
    sessions: sessionmaker[Session], laid: Laid, settings: Settings
) -> None:
    def uncounted(payload: dict[str, Any]) -> web.Response:
        body = completion(payload)
        del body["usage"]
        return web.json_response(body)

    with sessions.begin() as session:
        job_id = lay_down_run(session, laid, ("gpt",))
    with vendor(always=uncounted) as server:
        work(sessions, settings, server, job_id)
    with sessions() as session:
        row = session.scalars(select(Generation)).all()[0]
        assert (row.completion_tokens, scoring.sample_of(row, row.example).tokens) == (0, None)
        (preflight,) = session.scalars(select(Preflight))
    assert any("0 stands for unknown" in check["detail"] for check in preflight.checks)


def test_the_same_name_at_the_server_is_the_same_revision(session: Session) -> None:
    project = lay_down_project(session, adapters=1).project
    first = register_served(session, project, "gpt", "gpt-4o")
    assert register_served(session, project, "gpt", " gpt-4o ") is first
    dated = register_served(session, project, "gpt", "gpt-4o-2024-08-06")
    assert (first.label, dated.label) == ("gpt@1", "gpt@2")
    assert find_model(session, project, "gpt@1") is first
    for name, served_as in (("v1", "gpt-4o"), ("base", "x"), ("gpt", "  "), ("gpt", "a\nb")):
        with pytest.raises(InvalidInput):
            register_served(session, project, name, served_as)
    with pytest.raises(InvalidInput):
        register_served(session, project, "gpt", "x" * 301)
    with pytest.raises(InvalidInput, match="gpt already stands for a model served elsewhere"):
        next_revision(session, project, "gpt")  # of an adapter


def test_each_served_model_is_a_group_of_its_own(session: Session) -> None:
    project = lay_down_project(session, adapters=1).project
    base, v1 = (find_model(session, project, label) for label in ("base", "v1"))
    gpt = register_served(session, project, "gpt", "gpt-4o")
    other = register_served(session, project, "other", "gpt-4o")
    assert serving_groups(base, [gpt, v1, other]) == [[base, v1], [gpt], [other]]
    assert serving_groups(base, [gpt]) == [[gpt]]
    assert serving_groups(base, []) == [[base]]
    assert served_model(gpt) == ServedModel("gpt@1", "gpt-4o", elsewhere=True)


def test_what_needs_weights_refuses_a_model_without_in_one_sentence(session: Session) -> None:
    laid = lay_down_project(session, adapters=0)
    gpt = register_served(session, laid.project, "gpt", "gpt-4o")
    with pytest.raises(InvalidInput, match="no weights of gpt@1 here to train from"):
        resolve_start(session, laid.project, "gpt", {})
    with pytest.raises(StropError, match="the folder of no model"):
        resolve_start_from(session, laid.project, {"start_from": str(Path("gpt-4o").resolve())})
    with pytest.raises(InvalidInput, match="The engine openai only asks models"):
        generation.create_run(
            session,
            project_id=laid.project,
            dataset_version_id=laid.version,
            split="test",
            model_ids=[laid.models[0], gpt.id],
            engine="openai",
            params=SamplingParams(),
        )


def test_a_name_elsewhere_lays_no_claim_to_a_folder_here(
    session: Session, settings: Settings
) -> None:
    """A server may well know a model by a path; it says nothing of whose folder that is."""
    project = lay_down_project(session, adapters=0).project
    folder = settings.artifacts / f"project-{project + 1}" / "v1"
    folder.mkdir(parents=True)
    register_served(session, project, "mine", str(folder))
    with pytest.raises(Forbidden, match="another project"):
        own_folder(session, project, folder, settings=settings)


Strop = Callable[..., str]


@pytest.fixture
def strop(
    sqlite_sessions: sessionmaker[Session],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Strop:
    """The command line on a project with `v1`; gives what was printed, after the exit code."""
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    with sqlite_sessions.begin() as session:
        lay_down_project(session, adapters=1)

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        printed = capsys.readouterr()
        return f"{ended.value.code or 0} {printed.out}{printed.err}"

    return run


def test_the_command_registers_lists_and_checks(
    strop: Strop, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "STROP_OPENAI_URL is not set" in strop("model", "add", "gpt", "--served-as", "gpt-4o")
    assert strop("model", "preflight", "gpt", "--dataset", "tickets").startswith("2 ")
    with vendor() as server:
        monkeypatch.setenv("STROP_OPENAI_URL", server.url)
        assert server.url in strop("model", "add", "gpt", "--served-as", "gpt-4o")
        checked = strop("model", "preflight", "gpt", "--dataset", "tickets", "--json")
        assert checked.startswith("0 ")
        assert json.loads(checked[2:])["passed"] is True
        assert server.asked[-1]["temperature"] == 0
        as_the_run = ("--temperature", "1", "--top-p", "0.9", "--max-tokens", "7")
        strop("model", "preflight", "gpt", "--dataset", "tickets", *as_the_run)
        asked = [server.asked[-1][key] for key in ("temperature", "top_p", "max_tokens")]
        assert asked == [1, 0.9, 7]
        assert "200 OK to /models" in strop("doctor")
        monkeypatch.setenv("STROP_OPENAI_API_KEY", "one,two")
        assert "2 keys for 1 addresses" in " ".join(strop("doctor").split())
        monkeypatch.delenv("STROP_OPENAI_API_KEY")
    rows = json.loads(strop("model", "list", "--json")[2:])
    assert [row["served elsewhere as"] for row in rows] == ["", "", "gpt-4o"]
    for arguments, reason in (
        (("serve", "--models", "gpt"), "no weights of gpt@1 here to serve"),
        (
            ("adapter", "preflight", "gpt", "--dataset", "tickets", "--engine", "vllm"),
            "the engine vllm cannot ask it",
        ),
        (("model", "add", "v1", "--served-as", "x"), "stands for a model whose weights are here"),
    ):
        said = strop(*arguments)
        assert said.startswith("1 ")
        assert reason in said


def test_a_prompt_is_tried_on_a_model_whose_tokeniser_is_not_here(
    strop: Strop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "brief.yaml").write_text("template: 'Q: {{ input }}'")
    strop("prompt", "add", str(tmp_path / "brief.yaml"), "--name", "brief")
    with vendor() as server:
        monkeypatch.setenv("STROP_OPENAI_URL", server.url)
        strop("model", "add", "gpt", "--served-as", "gpt-4o")
        tried = ("prompt", "try", "brief", "--dataset", "tickets", "--model", "gpt")
        record = json.loads(strop(*tried, "--json")[2:])
        assert "tokens not known here" in strop(*tried)
    assert record["tokens"] is None
    assert record["answer"] == record["messages"][-1]["content"]
    assert record["answer"].startswith("Q: say ")
