"""The parts of the guides that are made from the code: the settings, the commands.

    python -m tests.readme_blocks        rewrite them in dashboard/guides/

`tests/test_readme.py` fails when a guide and the code say different things.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
GUIDES = ROOT / "dashboard" / "guides"


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
    "settings": settings_block,
    "commands": commands_block,
}


def rewritten(guide: str, name: str) -> str:
    """A guide with its made part made anew."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    head, _, rest = guide.partition(start)
    _, _, tail = rest.partition(end)
    return f"{head}{start}\n{BLOCKS[name]()}\n{end}{tail}"


if __name__ == "__main__":
    for name in BLOCKS:
        file = GUIDES / f"{name}.md"
        file.write_text(rewritten(file.read_text("utf-8"), name), "utf-8")
