"""The parts of README.md that are made from the code: the tree, the settings, the commands.

    python -m tests.readme_blocks        rewrite them in README.md

`tests/test_readme.py` fails when the README and the code say different things.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
FOLDERS = ("backend", "dashboard", "evaluators", "training", "migrations")
WIDTH = 30


def tree_block() -> str:
    """Every source file with the first sentence of its docstring."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *FOLDERS],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    lines: list[str] = []
    seen: set[Path] = set()
    for file in sorted((Path(name) for name in listed if name.endswith(".py")), key=_tree_order):
        if not (ROOT / file).exists():
            continue
        for folder in reversed(file.parents[:-1]):
            if folder not in seen:
                seen.add(folder)
                init = ROOT / folder / "__init__.py"
                lines.append(_tree_line(folder, f"{folder.name}/", _first_sentence(init)))
        if file.name != "__init__.py":
            lines.append(_tree_line(file, file.name, _first_sentence(ROOT / file)))
    return "```\n" + "\n".join(lines) + "\n```"


def _tree_order(file: Path) -> tuple[tuple[bool, str], ...]:
    """Files of a folder before its subfolders."""
    return tuple((index < len(file.parts) - 1, part) for index, part in enumerate(file.parts))


def _tree_line(path: Path, name: str, sentence: str) -> str:
    indent = "  " * (len(path.parts) - 1)
    return f"{indent + name:<{WIDTH}} {sentence}".rstrip()


def _first_sentence(file: Path) -> str:
    if not file.exists():
        return ""
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    sentence = re.split(r"(?<=[.;]) ", paragraph)[0]
    return sentence.rstrip(".;")


def settings_block() -> str:
    """Every setting with its default and its meaning."""
    from backend.settings import DEMO_BASE, Settings

    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, info in Settings.model_fields.items():
        default = info.default
        shown = "the demo's base" if default == DEMO_BASE else f"`{default}`"
        shown = "" if default is None else shown
        rows.append(f"| `STROP_{name.upper()}` | {shown} | {info.description} |")
    return "\n".join(rows)


def commands_block() -> str:
    """Every command with its help line."""
    from backend.cli import COMMANDS

    lines = [f"strop {name:<12} {text}" for name, (_, text) in COMMANDS.items()]
    return "```\n" + "\n".join(lines) + "\n```"


BLOCKS: dict[str, Callable[[], str]] = {
    "tree": tree_block,
    "settings": settings_block,
    "commands": commands_block,
}


def rewritten(readme: str) -> str:
    """The README with its made parts made anew."""
    for name, make in BLOCKS.items():
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        head, _, rest = readme.partition(start)
        _, _, tail = rest.partition(end)
        readme = f"{head}{start}\n{make()}\n{end}{tail}"
    return readme


if __name__ == "__main__":
    README.write_text(rewritten(README.read_text(encoding="utf-8")), encoding="utf-8")
