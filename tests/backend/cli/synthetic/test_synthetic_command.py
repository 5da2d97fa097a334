"""`strop synthetic`: what is refused before anything is drafted, and what is listed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.cli import main
from backend.cli.synthetic.drafts import DraftOptions, _ask, _source
from backend.errors import InvalidInput, UnknownName
from backend.services.synthetic.desk import drafts_progress
from backend.services.synthetic.draftings import get_drafting
from backend.settings import Settings
from backend.tables.synthetic import SourceKind
from tests.fixtures_synthetic import DOCUMENTS, ask_documents, draft_here, synthetic_project


def test_sources_are_read_of_kind_and_what(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One.", "utf-8")
    documents = _source(DraftOptions(from_=("documents", str(tmp_path))))
    assert [one.name for one in documents.documents] == ["a.txt"]
    assert _source(DraftOptions(from_=("failures", "7"), worse_than="rougeL<0.3")).run_id == 7
    assert _source(DraftOptions(from_=("slice", "language=de"))).slice == ("language", "de")


@pytest.mark.parametrize(
    "given",
    [
        ("", ""),
        ("failures", "x"),
        ("failures", "-1"),
        ("failures", "9" * 30),
        ("slice", "de"),
        ("documents", "/nowhere"),
    ],
)
def test_what_names_no_source_is_refused(given: tuple[str, str]) -> None:
    with pytest.raises(InvalidInput):
        _source(DraftOptions(from_=given))


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="documents"):
        _source(DraftOptions(from_=("document", "x")))


def test_options_reach_the_request(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "a.txt").write_text("One.", "utf-8")
    options = DraftOptions(from_=("documents", str(tmp_path)), n=5, least_overlap=0.4, seed=3)
    ask = _ask(options, settings)
    assert (ask.n, ask.seed, ask.bounds.least_overlap) == (5, 3, 0.4)
    assert (ask.source.kind, ask.engine) == (SourceKind.DOCUMENTS, settings.engine)


def test_list_show_and_open(
    sqlite_sessions: sessionmaker[Session],
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with sqlite_sessions.begin() as session:
        desk = synthetic_project(session)
        id_ = draft_here(session, desk.project.id, ask_documents(DOCUMENTS[:3], n=3))
        expert = desk.experts[0].name
    monkeypatch.setenv("STROP_DATABASE_URL", str(sqlite_sessions.kw["bind"].url))

    def run(*args: str) -> Any:
        with pytest.raises(SystemExit) as ended:
            main(["synthetic", *args])
        assert ended.value.code in (0, None)
        return capsys.readouterr().out

    (listed,) = json.loads(run("list", "--json"))
    assert listed["states"]["waiting"] == 3
    told = run("show", listed["name"], "--rows", "2")
    assert "3 wait for an expert" in told
    assert "95% interval" in told
    shown = json.loads(run("show", str(id_), "--rows", "2", "--state", "waiting", "--json"))
    assert [one["state"] for one in shown["drafts"]] == ["waiting"] * 2
    opened = json.loads(run("open", str(id_), "--queue", "mine", "--reviewers", expert, "--json"))
    assert (opened["queue"], opened["items"]) == ("mine", 3)
    with sqlite_sessions() as session:
        assert len(drafts_progress(session, get_drafting(session, id_))) == 3
