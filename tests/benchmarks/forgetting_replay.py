"""What replay keeps: a second training on one task alone, beside one with earlier rows in it.

    python -m tests.benchmarks.forgetting_replay [--seeds 2] [--out FILE.json]

The demo's model and its generated rows, by `python -m training.sft`. The first training is on rows
of all three tasks; both of the second go on from it, on summaries of other calls: one on these
alone, one on as many rows of the first training besides (replay). What each lost is what every
training measures by itself (`forgetting` in strop.json): the loss on held-out rows of the two tasks
that the second leaves out, and on general text. No expert has a part in it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from backend.settings import DEMO_BASE
from training.demo.data import demo_examples
from training.results.forgetting import forgetting_lines

FIRST, SECOND, HELD_OUT = 240, 80, 60
CONFIG = {
    "base_model": DEMO_BASE,
    "epochs": 3,
    "learning_rate": 2e-3,
    "batch_size": 16,
    "max_length": 512,
    "lora": {"rank": 16, "alpha": 32, "dropout": 0.0},
    "manifest_digest": "0" * 63 + "1",  # no bar is set: nothing is promoted here
    "log_every": 20,
}
Example = Mapping[str, Any]


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    found = []
    for seed in range(args.seeds):
        with tempfile.TemporaryDirectory() as folder:
            found += play(Path(folder), seed=seed, threads=args.threads)
    if args.out is not None:
        args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def play(folder: Path, *, seed: int, threads: int) -> list[dict[str, Any]]:
    """One seed: what the second training lost, without and with replay."""
    known = demo_examples(FIRST + HELD_OUT, seed=100 + seed)
    first, held = known[:FIRST], known[FIRST:]
    new = demo_examples(SECOND, seed=200 + seed, tasks=["summary"])
    other = [one for one in held if one["slices"]["task"] != "summary"]
    earlier = write_rows(folder / "earlier.jsonl", other)
    common = CONFIG | {"earlier_file": str(earlier), "seed": seed, "threads": threads}
    train(folder, "first", first, common)
    common |= {"start_from": str(folder / "first")}
    arms = {"without replay": new, "with replay": [*new, *first[:SECOND]]}
    found = []
    for name, rows in arms.items():
        result = train(folder, name.replace(" ", "-"), rows, common)
        print(f"seed {seed}, {name}, {len(rows)} rows:", flush=True)
        print("\n".join(f"  {line}" for line in forgetting_lines(result)), flush=True)
        found.append({"seed": seed, "arm": name, "rows": len(rows), **result["forgetting"]})
    return found


def train(
    folder: Path, name: str, examples: Sequence[Example], config: Mapping[str, Any]
) -> dict[str, Any]:
    """Train on the rows of examples and return what the training says of itself."""
    rows, file, output = (folder / f"{name}{end}" for end in (".jsonl", ".yaml", ""))
    write_rows(rows, examples)
    given = {**config, "train_file": str(rows), "output_dir": str(output)}
    file.write_text(yaml.safe_dump(given), encoding="utf-8")
    command = [sys.executable, "-m", "training.sft", "--config", str(file)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    found: dict[str, Any] = json.loads((output / "strop.json").read_text(encoding="utf-8"))
    return found


def write_rows(file: Path, examples: Sequence[Example]) -> Path:
    """Examples as chat rows, by customer."""
    rows = [
        {
            "prompt": [{"role": "user", "content": f"{one['input']}\n\n{one['context']}"}],
            "completion": [{"role": "assistant", "content": one["reference"]}],
            "group": one["group"],
        }
        for one in examples
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


if __name__ == "__main__":
    main()
