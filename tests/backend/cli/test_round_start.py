"""`strop round start --hold-back`: the share goes into the plan's recipe, and is checked there."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.cli import main
from backend.db import connect
from backend.services.projects import set_manifest
from backend.services.rounds import find_round
from backend.settings import Settings
from tests.fixtures_review import build_desk

BAR = "name: bar\nlines: [{metric: exact_match, margin: 0.1}]"
PLAN = "adapter: v9\nrecipe: {queues: [q]}\ndataset: tickets\nmetrics: [exact_match]\n"


def strop(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


@pytest.mark.parametrize(("share", "code"), [("0.2", 0), ("1.5", 1)])
def test_a_round_holds_back_the_stated_share(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: str, code: int
) -> None:
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    sessions = connect(settings)
    with sessions.begin() as session:
        desk = build_desk(session, splits={"train": 2, "test": 2})
        desk.open(session, "q")
        project_id = desk.project.id
        set_manifest(session, project_id, BAR)
    plan = tmp_path / "plan.yaml"
    plan.write_text(PLAN, encoding="utf-8")
    assert strop("round", "start", str(plan), "--hold-back", share) == code
    if code == 0:
        with sessions() as session:
            assert find_round(session, project_id).plan["recipe"]["hold_back"] == 0.2
