"""Runs every benchmark, one after another; figures and what it prints (NAME.txt) go below --out.

python -m tests.benchmarks --out bench                   all
python -m tests.benchmarks evaluators --out bench        one, or several, by name
python -m tests.benchmarks --quick --out bench           in small sizes, to see that all of it runs

Ends with one table of every ratio: goal, median, range, turns, load. It is written as ratios.json
and ratios.md too. A benchmark that lacks its data or its server stands in it with the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks._quick import QUICK
from tests.benchmarks._ratios import BESIDE, Row, goal_of

HERE = Path(__file__).parent
PART_OF_EVALUATORS = "evaluators_"  # tables that the benchmark `evaluators` puts together
COLUMNS = ("benchmark", "ratio", "goal", "median", "range", "n", "load")


def main() -> None:
    """Run the benchmarks; a failed one is said and the others go on."""
    names = sorted(file.stem for file in HERE.glob("*.py") if not file.stem.startswith("_"))
    whole = [name for name in names if not name.startswith(PART_OF_EVALUATORS)]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("bench"))
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    parser.add_argument("--only", action="append", choices=names)
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, whose figures say little"
    )
    args = parser.parse_args()
    chosen = [*args.names, *(args.only or [])] or whole
    if unknown := sorted(set(chosen) - set(names)):
        parser.error(f"no benchmark named {', '.join(unknown)}; there are {', '.join(names)}")
    args.out.mkdir(parents=True, exist_ok=True)
    rows = [row for name in chosen for row in run_benchmark(name, args.out, quick=args.quick)]
    write_table(rows, args.out, quick=args.quick)
    if failed := [str(row["benchmark"]) for row in rows if "failed" in row]:
        sys.exit(f"failed: {', '.join(failed)}")


def run_benchmark(name: str, out: Path, *, quick: bool = False) -> list[Row]:
    """Run one in a process of its own; its ratios, or one row that says that it failed."""
    small = QUICK.get(name, "") if quick else ""
    if small is None:
        return [{"benchmark": name, "name": "", "skipped": "no quick size"}]
    print(f"== {name} {small}", flush=True)
    began = time.monotonic()
    file = out / f"{name}.json"
    kept = file.with_suffix(BESIDE)
    kept.unlink(missing_ok=True)
    source = (HERE / f"{name}.py").read_text(encoding="utf-8")
    options = ["--out", str(file)] if '"--out"' in source else []  # some have only words to say
    ended = run_aloud([f"tests.benchmarks.{name}", *options, *small.split()], out / f"{name}.txt")
    print(f"== {name} took {time.monotonic() - began:.0f} s", flush=True)
    rows: list[Row] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else []
    if ended:
        rows.append({"name": "", "failed": f"exit code {ended}, see its output"})
    return [{"benchmark": name, **row} for row in rows]


def run_aloud(module: Sequence[str], said: Path) -> int:
    """Run a module; what it prints is shown at once and kept in a file. Returns its exit code."""
    command = [sys.executable, "-u", "-m", *module]
    with (
        said.open("w", encoding="utf-8") as file,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process,
    ):
        for line in process.stdout or ():
            print(line, end="", flush=True)
            file.write(line)
    return process.returncode


def write_table(rows: Sequence[Row], out: Path, *, quick: bool = False) -> None:
    """Print the table; write it as Markdown, and with every turn as JSON."""
    machine = {
        "ended": time.strftime("%Y-%m-%d %H:%M:%S"),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": os.getloadavg(),
        "quick": quick,
    }
    found = json.dumps({**machine, "ratios": rows}, indent=2) + "\n"
    (out / "ratios.json").write_text(found, encoding="utf-8")
    lines = [_line(COLUMNS), _line(["---"] * len(COLUMNS)), *(_line(_cells(row)) for row in rows)]
    text = "\n".join(lines) + "\n"
    (out / "ratios.md").write_text(text, encoding="utf-8")
    small = ", quick: small sizes, no measurement" if quick else ""
    print(f"== ratios, {machine['cores']} cores, {machine['ended']}{small}\n{text}", flush=True)


def _cells(row: Row) -> list[str]:
    """A row of the table: figures, or why there are none."""
    first = [row["benchmark"], row["name"]]
    for word in ("skipped", "failed"):
        if word in row:
            return [*first, "", f"{word}: {row[word]}", "", "", ""]
    load = " to ".join(f"{value:.1f}" for value in row["load"] or ())
    spread = f"{row['least']:.4g} to {row['largest']:.4g}"
    figure = f"{row['median']:.4g} {row['unit']}"
    return [*first, goal_of(row), figure, spread, str(row["n"]), load]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(' '.join(cell.split()).replace('|', '/') for cell in cells)} |"


if __name__ == "__main__":
    main()
