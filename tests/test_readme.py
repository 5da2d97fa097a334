"""README and guides say what the code says: settings, commands, options and paths cannot drift."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from backend.cli import COMMANDS, load_command
from backend.settings import Settings
from tests.readme_blocks import BLOCKS, GUIDES, README, ROOT

TEXTS = [README, *sorted(GUIDES.glob("*.md"))]
CODE = re.compile(r"^```.*?^```|^(?:    .*\n)+", re.DOTALL | re.MULTILINE)
PATH = re.compile(r"`((?:backend|dashboard|evaluators|training|tests|migrations)/[\w./-]*)`")
FILE = re.compile(r"`(?:\.\./)?([\w/]+\.py)`")
LINK = re.compile(r"\]\((?!http)([^)#]+)\)")
MODULE = re.compile(r"python -m ((?:tests|training|backend)[\w.]*)")
SETTING = re.compile(r"\bSTROP_([A-Z_]+[A-Z])\b")
NOT_OURS = {"TEST_DATA"}


@pytest.mark.parametrize("name", BLOCKS)
def test_a_made_block_is_what_the_code_says(name: str) -> None:
    text = (GUIDES / f"{name}.md").read_text(encoding="utf-8")
    block = text.partition(f"<!-- {name} -->\n")[2].partition(f"\n<!-- /{name} -->")[0]
    assert block == BLOCKS[name](), "run: python -m tests.readme_blocks"


def test_the_entrance_is_short() -> None:
    assert len(README.read_bytes()) <= 12_000


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: file.name)
def test_every_path_link_module_and_setting_is_there(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    modules = [f"{name.replace('.', '/')}" for name in MODULE.findall(text)]
    gone = [name for name in PATH.findall(text) if not (ROOT / name).exists()]
    gone += [name for name in LINK.findall(text) if not (file.parent / name).exists()]
    gone += [
        name
        for name in modules
        if not ((ROOT / name).with_suffix(".py").exists() or (ROOT / name / "__main__.py").exists())
    ]
    known = {name.upper() for name in Settings.model_fields} | NOT_OURS
    gone += [name for name in SETTING.findall(text) if name not in known]
    assert gone == []


def commands_in(text: str) -> Iterator[list[str]]:
    """Every line of `strop` in the blocks of code, `...` standing for the line before it."""
    for block in CODE.findall(text):
        last: list[str] = []
        for line in re.split(r"\n|; ", block.replace("\\\n", " ")):
            line = line.strip()
            if not line.startswith(("strop ", "... --")):
                continue
            words = shlex.split(line.split("  ")[0], comments=True)
            if words[0] == "...":
                words = [*last[:3], *words[1:]]
            last = words
            yield words


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: file.name)
def test_every_module_that_is_named_alone_is_there(file: Path) -> None:
    here = ["backend", "dashboard", "evaluators", "training", "tests", "migrations"]
    known = {f"/{one.relative_to(ROOT)}" for top in here for one in (ROOT / top).rglob("*.py")}
    named = FILE.findall(file.read_text(encoding="utf-8"))
    assert [name for name in named if not any(one.endswith(f"/{name}") for one in known)] == []


@cache
def command_of(name: str) -> Any:
    return load_command(name)


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: file.name)
def test_every_command_and_option_is_there(file: Path) -> None:
    wrong = []
    for words in commands_in(file.read_text(encoding="utf-8")):
        if words[1] not in COMMANDS:
            wrong.append(words)
            continue
        command = command_of(words[1])
        for name in takewhile(lambda word: not word.startswith("-"), words[2:4]):
            if command and hasattr(command, "commands"):
                bare = command.commands.get(getattr(command, "default_verb", ""))
                named = [command.commands.get(one, bare) for one in name.split("|")]
                command = named[0]
                if None in named:
                    wrong.append(words)
        if command is None:
            continue
        known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
        asked = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
        wrong += [[*words[:3], option] for option in asked if option not in {*known, "--help"}]
    assert wrong == []
