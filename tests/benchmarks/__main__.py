"""Runs every benchmark, one after another, and writes its figures below --out.

python -m tests.benchmarks --out bench                   all
python -m tests.benchmarks evaluators --out bench        one, or several, by name
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

PART_OF_EVALUATORS = "evaluators_"  # tables that the benchmark `evaluators` puts together


def main() -> None:
    """Run the benchmarks; a failed one is said and the others go on."""
    here = Path(__file__).parent
    names = sorted(file.stem for file in here.glob("*.py") if not file.stem.startswith("_"))
    whole = [name for name in names if not name.startswith(PART_OF_EVALUATORS)]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("bench"))
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    parser.add_argument("--only", action="append", choices=names)
    args = parser.parse_args()
    chosen = [*args.names, *(args.only or [])] or whole
    if unknown := sorted(set(chosen) - set(names)):
        parser.error(f"no benchmark named {', '.join(unknown)}; there are {', '.join(names)}")
    args.out.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in chosen:
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", f"tests.benchmarks.{name}", "--out"]
        ended = subprocess.run([*command, str(args.out / f"{name}.json")], check=False)
        failed += [name] if ended.returncode else []
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
