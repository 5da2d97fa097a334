"""The commands for the first minute, in README and guide, run on the files that they make."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from backend.cli import main

ROOT = Path(__file__).parents[2]
TEXTS = ["README.md", "dashboard/guides/evaluators.md"]
BLOCK = re.compile(r"^```sh\n(.*?)```", re.DOTALL | re.MULTILINE)
HEREDOC = re.compile(r"^cat > (\S+) <<'END'\n(.*?)^END\n", re.DOTALL | re.MULTILINE)


def read_block(text: str) -> tuple[dict[str, str], list[list[str]]]:
    """Files that the block makes, and the `strop` commands that use nothing else."""
    found = BLOCK.search((ROOT / text).read_text(encoding="utf-8"))
    assert found, f"{text} has no block of commands"
    files = dict(HEREDOC.findall(found[1]))
    lines = [shlex.split(line) for line in found[1].splitlines() if line.startswith("strop ")]
    inputs = [[word for word in line if word.endswith((".jsonl", ".csv"))] for line in lines]
    return files, [
        line[1:] for line, used in zip(lines, inputs, strict=True) if {*used} <= {*files}
    ]


@pytest.mark.parametrize("text", TEXTS)
def test_commands_run(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, commands = read_block(text)
    monkeypatch.chdir(tmp_path)
    for name, content in files.items():
        Path(name).write_text(content, encoding="utf-8")
        assert len(content.splitlines()) <= 10
    assert commands
    for command in commands:
        with pytest.raises(SystemExit) as caught:
            main(command)
        assert not caught.value.code, command
