"""`strop adapter add | merge | export | list`: what a person reads and a program parses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.cli import main
from backend.db import connect
from backend.services.projects import create_project
from backend.settings import Settings
from tests.fixtures_models import tiny_adapter


@pytest.fixture(autouse=True)
def home(settings: Settings, tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    with connect(settings).begin() as session:
        create_project(session, "desk", base_model=str(tiny_base))
    return settings


def _run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["adapter", *arguments])
    return int(ended.value.code or 0)


def _told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    assert _run(*arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_from_a_folder_to_a_merged_model(
    tiny_base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, name in enumerate(("v1", "v2")):
        folder = tiny_adapter(tmp_path / f"out-{name}", tiny_base, seed=seed)
        (folder / "training_args.bin").write_bytes(b"\x80\x04")
        assert _run("add", name, str(folder)) == 0
        said = capsys.readouterr().out
        assert f"base:{name}@1: rank 4, sha256 " in said
        assert "Left out: training_args.bin (pickles, which can run code)." in said
        assert "what it was trained on is not known" in said
    merged = _told(capsys, "merge", "m", "--of", "v1=0.7,v2=0.3")
    assert (merged["label"], merged["rank"], merged["facts_known"]) == ("base:m@1", 4, True)
    written = _told(capsys, "export", "m", "--merged", "--out", str(tmp_path / "whole"))
    assert written["label"] == "base:m@1"
    assert (tmp_path / "whole/chat_template.jinja").is_file()
    rows = {row["model"]: row for row in _told(capsys, "list")}
    assert rows["base:m@1"]["folder"] == merged["path"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("add", "v1", "nowhere"), "There is no folder 'nowhere'. Name a PEFT folder."),
        (("merge", "m", "--of", "v1=1"), "A merge needs two adapters."),
        (("export", "v1", "--out", "x"), "An adapter is exported merged into its base."),
    ],
)
def test_a_refusal_is_one_line(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(*arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
