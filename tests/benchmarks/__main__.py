"""Runs every benchmark, one after another, and writes its figures below --out.

python -m tests.benchmarks --out bench [--only generation_throughput]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path


def main() -> None:
    """Run the benchmarks; a failed one is said and the others go on."""
    here = Path(__file__).parent
    names = sorted(file.stem for file in here.glob("*.py") if not file.stem.startswith("_"))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("bench"))
    parser.add_argument("--only", action="append", choices=names)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in args.only or names:
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", f"tests.benchmarks.{name}", "--out"]
        ended = subprocess.run([*command, str(args.out / f"{name}.json")], check=False)
        failed += [name] if ended.returncode else []
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
