"""The three tables of the evaluators in one file: speed ratios, coverage, real data.

    python -m tests.benchmarks evaluators --out bench
    python -m tests.benchmarks.evaluators --out bench/evaluators.json [--data DIR] [--repeats 4000]

Writes a Markdown file beside the JSON file. Each table is written as soon as it is there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks import evaluators_coverage, evaluators_speed
from tests.benchmarks._ratios import keep, skip

LEAST, MOST = 0.935, 0.965
NOTES = {
    "speed": "Processor time of both sides in turns, one process; a ratio is the median over the "
    "turns. `largest gap` is the largest difference of any value from the library's.",
    "coverage": "Simulated, with seeds. Share of 95% intervals that hold the truth; `error` is "
    "the Monte-Carlo standard error (rates are summed exactly); `rough` is the share of intervals "
    f"that say so; `reached` is whether the coverage lies in {LEAST} to {MOST} give or take two "
    "errors.",
    "data": "Public data with experts' labels; intervals beside every figure.",
}


def as_table(rows: list[Mapping[str, Any]]) -> str:
    """A Markdown table of all keys that occur, in order."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [columns, ["---"] * len(columns)]
    lines += [[_cell(row.get(column, "")) for column in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return " ".join(str(value).split()).replace("|", "\\|")


def named(table: Mapping[str, Mapping[str, Any]], key: str) -> list[Mapping[str, Any]]:
    """Rows with their name as the first column."""
    return [{key: name, **row} for name, row in table.items()]


def judged(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of coverage with whether it is what it should be."""
    if "coverage" not in row:
        return dict(row)
    slack = 2 * float(row.get("error", 0.0))
    reached = LEAST - slack <= row["coverage"] <= MOST + slack
    return {**row, "reached": "yes" if reached else "NO"}


def describe(report: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    parts = ["# Evaluators: speed, coverage, real data\n", f"{report['machine']}\n"]
    if "speed" in report:
        parts += ["## Speed\n", NOTES["speed"] + "\n", as_table(named(report["speed"], "what"))]
    if "coverage" in report:
        parts += ["## Coverage (simulated)\n", NOTES["coverage"] + "\n"]
        for part, table in report["coverage"].items():
            rows = [judged(row) for row in named(table, part)]
            parts.append(as_table(rows))
    if "data" in report:
        parts += ["## Real data\n", NOTES["data"] + "\n"]
        parts += _describe_data(report["data"], 3)
    return "\n".join(parts)


def _describe_data(found: Any, depth: int) -> list[str]:
    """Nested results: mappings become sections, lists of rows become tables."""
    parts: list[str] = []
    plain = {k: v for k, v in found.items() if not isinstance(v, dict | list)}
    if plain:
        parts.append(as_table([plain]))
    for name, value in found.items():
        if isinstance(value, dict):
            parts += [f"{'#' * min(depth, 6)} {name}\n", *_describe_data(value, depth + 1)]
        elif isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            parts += [f"**{name}**\n", as_table(value)]
        elif isinstance(value, list):
            parts.append(f"{name}: {_cell(value)}\n")
    return parts


def read_data_table(data: Path) -> dict[str, Any]:
    """What `evaluators_data` reports, run by itself."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "data.json"
        command = [sys.executable, "-m", "tests.benchmarks.evaluators_data"]
        ended = subprocess.run([*command, "--data", str(data), "--out", str(out)], check=False)
        if ended.returncode or not out.exists():
            return {"not computed": "evaluators_data gave no table; see its output"}
        return dict(json.loads(out.read_text(encoding="utf-8")))


def write(report: Mapping[str, Any], out: Path) -> None:
    """The JSON file and, beside it, the Markdown file."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    out.with_suffix(".md").write_text(describe(report), encoding="utf-8")


def main() -> None:
    """Compute and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("bench/evaluators.json"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--repeats", type=int, default=4000)
    parser.add_argument("--outputs", type=int, default=100_000)
    arguments = parser.parse_args()
    start = time.strftime("%Y-%m-%d %H:%M")
    machine = f"{start}, {platform.machine()}, {os.cpu_count()} cores, Python {sys.version[:6]}"
    report: dict[str, Any] = {"machine": machine, "repeats": arguments.repeats}
    if arguments.data.is_dir():
        speed = evaluators_speed.study_speed(arguments.data, arguments.outputs)
        report["speed"] = evaluators_speed.without_figures(speed)
        write(report, arguments.out)
        keep(arguments.out, evaluators_speed.figures(speed))
        report["data"] = read_data_table(arguments.data)
        write(report, arguments.out)
    else:
        reason = f"no public data at {arguments.data}; name it with --data"
        report["data"] = {"skipped": reason}
        skip(arguments.out, "speed of the evaluators", reason)
    report["coverage"] = {
        name: study(arguments.repeats) for name, study in evaluators_coverage.PARTS.items()
    }
    write(report, arguments.out)
    print(f"{arguments.out} and {arguments.out.with_suffix('.md')}")


if __name__ == "__main__":
    main()
