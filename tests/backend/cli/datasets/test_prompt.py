"""`strop prompt`: versions by file, and what a prompt makes of an example."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.cli import main
from backend.db import connect
from backend.services.datasets.versions import ExampleRow, import_dataset
from backend.services.projects import create_project
from backend.settings import Settings

Run = Callable[..., tuple[int, str]]
ROWS = [
    ExampleRow("a", "My card is lost.", references=("lost",), split="train"),
    ExampleRow("b", "Why was I charged twice?", references=("twice",), split="validation"),
]


@pytest.fixture
def run(
    settings: Settings,
    tiny_base: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run `strop prompt`; gives exit code and what was said."""
    monkeypatch.setenv("STROP_HOME", str(settings.home))
    monkeypatch.setenv("STROP_DATABASE_URL", settings.url)
    with connect(settings).begin() as session:
        project = create_project(session, "desk", base_model=str(tiny_base))
        import_dataset(session, project.id, "d", ROWS, source_name="f")

    def call(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["prompt", *arguments])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    return call


def written(folder: Path, name: str, source: str) -> str:
    file = folder / f"{name}.yaml"
    file.write_text(source, encoding="utf-8")
    return str(file)


def test_a_file_becomes_versions(run: Run, tmp_path: Path) -> None:
    code, said = run("add", written(tmp_path, "brief", "system: Be brief."))
    assert (code, said[:8]) == (0, "brief@1,")
    assert "brief@1" in run("add", written(tmp_path, "brief", "# why\nsystem: Be brief."))[1]
    assert "brief@2" in run("add", written(tmp_path, "brief", "system: Be very brief."))[1]
    listed = json.loads(run("list", "--json")[1])
    assert [row["prompt"] for row in listed] == ["brief@1", "brief@2"]
    assert "Be very brief." in run("show", "brief")[1]
    code, said = run("diff", "brief@1", "brief@2")
    assert code == 2
    assert "+system: Be very brief." in said
    assert run("diff", "brief@1", "brief@1") == (0, "No difference.\n")


def test_a_bad_file_gets_one_line_and_stores_nothing(run: Run, tmp_path: Path) -> None:
    code, said = run("add", written(tmp_path, "bad", "system: '{{ inputs }}'"))
    assert code == 1
    assert said.startswith("error: The prompt is wrong at system: no example has a field 'inputs'")
    assert said.count("\n") == 1
    assert json.loads(run("list", "--json")[1]) == []


def test_try_shows_messages_and_tokens(run: Run, tmp_path: Path) -> None:
    source = "system: Sort it.\ntemplate: 'Ticket: {{ input }}'\nshots: {k: 1}"
    run("add", written(tmp_path, "sort", source))
    tried: dict[str, Any] = json.loads(run("try", "sort", "--dataset", "d", "--json")[1])
    assert [m["content"] for m in tried["messages"]] == [
        "Sort it.", "Ticket: My card is lost.", "lost", "Ticket: Why was I charged twice?"
    ]  # fmt: skip
    assert tried["example"] == "b"
    assert tried["tokens"] > sum(len(m["content"]) for m in tried["messages"])
    code, said = run("try", "sort", "--dataset", "d", "--example", "zz")
    assert (code, "no example 'zz'" in said) == (1, True)


def test_a_search_is_on_no_other_split_and_takes_lists(run: Run, tmp_path: Path) -> None:
    run("add", written(tmp_path, "sort", "system: Sort it."))
    asked = ("--dataset", "d", "--prompts", "sort", "--metric", "f1")
    code, said = run("search", *asked, "--split", "test")
    assert (code, "--split" in said) == (1, True)
    code, said = run("search", *asked, "--k", "0,x")
    assert "no list of numbers" in said
    code, said = run("search", *asked, "--choose", "encoder", "--encoder", "../elsewhere")
    assert (code, "no encoder" in said) == (1, True)
