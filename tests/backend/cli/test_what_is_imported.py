"""What a command imports: that, and no clock, says whether it starts at once on any machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"alembic", "dbos", "fastapi", "httpx", "lxml", "matplotlib", "numpy", "openpyxl", "pandas",
         "pyarrow", "pydantic", "ray", "sacrebleu", "scipy", "sklearn", "sqlalchemy", "streamlit",
         "torch", "transformers", "yaml"}  # fmt: skip
ROW = {"prediction": "It costs 12 EUR a month.", "reference": "It costs 11 EUR a month.",
       "context": "Plan: 12 EUR a month."}  # fmt: skip
TELL = """
import sys
from backend.cli import main
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""


def imported(*arguments: str) -> set[str]:
    """Names of all modules that a command has imported when it ends."""
    command = [sys.executable, "-c", TELL, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(ended.stderr.splitlines()[-1].split())


@pytest.fixture
def ten_lines(tmp_path: Path) -> str:
    """A file of ten predictions, two of each group."""
    path = tmp_path / "ten.jsonl"
    rows = [{"id": str(i), "group": str(i // 2), **ROW} for i in range(10)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_help_imports_no_command() -> None:
    modules = imported("--help")
    assert not HEAVY & modules
    assert not {name for name in modules if name.startswith(("evaluators", "backend.services"))}
    assert len(modules) < 360  # 323 when this was written


def test_a_program_that_asks_a_server_imports_no_library_of_figures() -> None:
    code = "import sys, backend.client; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY & set(ended.stdout.split()) == {"httpx", "pydantic", "yaml"}


@pytest.mark.parametrize(
    ("metrics", "allowed"),
    [("rouge", set()), ("grounding,invented", {"scipy"})],  # whose interval is by Student's t
)
def test_scoring_a_file_imports_numpy_and_little_more(
    ten_lines: str, metrics: str, allowed: set[str]
) -> None:
    modules = imported("score", ten_lines, "--metrics", metrics)
    assert HEAVY & modules <= {"numpy", "pydantic", *allowed}
    assert not {name for name in modules if name.startswith(("backend.services", "scipy.sparse"))}
    assert len(modules) < 620 + 150 * len(allowed)  # 549 without scipy when this was written
