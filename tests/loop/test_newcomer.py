"""A newcomer's path as the README prints it: own chats and an own adapter to a verdict.

The commands are read from the README and run one after the other, so that the path cannot drift.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.fixtures_models import tiny_adapter
from tests.readme_blocks import README, ROOT
from tests.test_readme import commands_in

pytestmark = [pytest.mark.deep, pytest.mark.timeout(600)]
HEADING = "## I already have an adapter, and chats\n"
MOST_COMMANDS = 10


@pytest.fixture
def desk(tmp_path: Path, tiny_base: Path) -> Path:
    """A folder with what a newcomer brings: chats, a prompt, and what a trainer left."""
    chats = [
        {
            "messages": [
                *([{"role": "system", "content": "You are a bank's desk."}] if n % 3 else []),
                {"role": "user", "content": f"Card {n} {'is lost ' * (n % 4)}in {n * 37}"},
                {"role": "assistant", "content": f"Card {n} is blocked."},
            ],
            "model": "gpt-4o",
        }
        for n in range(40)
    ]
    lines = "".join(json.dumps(chat) + "\n" for chat in chats)
    (tmp_path / "chats.jsonl").write_text(lines, encoding="utf-8")
    (tmp_path / "brief.yaml").write_text("system: Answer in one sentence.\n", encoding="utf-8")
    tiny_adapter(tmp_path / "out", tiny_base)
    return tmp_path


def run(folder: Path, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STROP_")}
    return subprocess.run(
        [sys.executable, "-m", "backend.cli", *words],
        cwd=folder,
        env=clean | {"PYTHONPATH": str(ROOT), "STROP_TORCH_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_readmes_commands_lead_to_a_verdict(desk: Path, tiny_base: Path) -> None:
    section = README.read_text(encoding="utf-8").partition(HEADING)[2].partition("\n## ")[0]
    bar = section.partition("<<'END'\n")[2].partition("END\n")[0]
    (desk / "bar.yaml").write_text(bar, encoding="utf-8")
    commands = list(commands_in(section))
    assert 5 < len(commands) <= MOST_COMMANDS
    folders = {"init": str(tiny_base), "adapter": "out"}
    for words in commands:
        given = [folders[words[1]] if word == "FOLDER" else word for word in words[1:]]
        ended = run(desk, given)
        told = ended.stdout + ended.stderr
        verdict = words[1] == "gate"
        assert ended.returncode in ({0, 2, 3} if verdict else {0}), f"{words}\n{told}"
        assert "Traceback" not in told
    assert told.split()[-1] in {"PASS", "FAIL", "INCONCLUSIVE"}
