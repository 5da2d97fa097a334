"""What replay keeps: a second training on one task alone, beside one with earlier rows in it.

    python -m tests.benchmarks.forgetting_replay [--seeds 2] [--out FILE.json]
    python -m tests.benchmarks.forgetting_replay --base FOLDER [--data DIR] [--rows 100]

The demo's model and its generated rows, by `python -m training.sft`. The first training is on rows
of all three tasks; both of the second go on from it, on summaries of other calls: one on these
alone, one on as many rows of the first training besides (replay). What each lost is what every
training measures by itself (`forgetting` in strop.json): the loss on held-out rows of the two tasks
that the second leaves out, and on general text. No expert has a part in it.

With --base (SmolLM2-135M-Instruct) the rows are public: the first training is on notes of
mts_dialog, the second on intents of banking77, alone or with all rows of the first besides, and the
held-out rows are notes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from backend.settings import DEMO_BASE
from tests.benchmarks._real_tasks import TASKS, Task
from tests.benchmarks._real_tasks import Row as TaskRow
from tests.benchmarks.real_model import TRAINING
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
Row = Mapping[str, Any]


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--base", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--work", type=Path, help="keeps what was trained, and goes on from it")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    found = []
    for seed in range(args.seeds):
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder) if args.work is None else args.work.absolute() / f"seed-{seed}"
            work.mkdir(parents=True, exist_ok=True)
            story = demo_story(seed) if args.base is None else real_story(args, seed)
            found += play(work, story, seed=seed, threads=args.threads)
    if args.out is not None:
        args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Story:
    """What is trained on first, then, and what is held out of the first; rows are chat rows."""

    first: Sequence[Row]
    second: Sequence[Row]
    replayed: Sequence[Row]
    held_out: Sequence[Row]
    config: Mapping[str, Any]


def demo_story(seed: int) -> Story:
    """The demo's three tasks, then its summaries alone."""
    known = demo_examples(FIRST + HELD_OUT, seed=100 + seed)
    first = demo_rows(known[:FIRST])
    other = [one for one in known[FIRST:] if one["slices"]["task"] != "summary"]
    new = demo_examples(SECOND, seed=200 + seed, tasks=["summary"])
    return Story(first, demo_rows(new), first[:SECOND], demo_rows(other), CONFIG)


def real_story(args: argparse.Namespace, seed: int) -> Story:
    """Notes of mts_dialog, then intents of banking77."""
    notes, intents = (TASKS[name](args.data, seed=seed) for name in ("mts_dialog", "banking77"))
    config = CONFIG | TRAINING | {"base_model": str(args.base.absolute()), "max_length": 640}
    first = task_rows(notes, notes.train[: args.rows])
    second = task_rows(intents, intents.train[: args.rows])
    return Story(first, second, first, task_rows(notes, notes.validation), config)


def task_rows(task: Task, rows: Sequence[TaskRow]) -> list[Row]:
    """Rows of a task as an adapter of it is asked."""
    return [
        {
            "prompt": task.tuned(row, []),
            "completion": [{"role": "assistant", "content": row.reference}],
        }
        for row in rows
    ]


def demo_rows(examples: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Examples as chat rows, by customer."""
    return [
        {
            "prompt": [{"role": "user", "content": f"{one['input']}\n\n{one['context']}"}],
            "completion": [{"role": "assistant", "content": one["reference"]}],
            "group": one["group"],
        }
        for one in examples
    ]


def play(folder: Path, story: Story, *, seed: int, threads: int) -> list[dict[str, Any]]:
    """One seed: what the second training lost, without and with replay."""
    earlier = write_rows(folder / "earlier.jsonl", story.held_out)
    common = {**story.config, "earlier_file": str(earlier), "seed": seed, "threads": threads}
    train(folder, "first", story.first, common)
    common |= {"start_from": str(folder / "first")}
    arms = {
        "without replay": story.second,
        "with replay": [*story.second, *story.replayed],
    }
    found = []
    for name, rows in arms.items():
        result = train(folder, name.replace(" ", "-"), rows, common)
        print(f"seed {seed}, {name}, {len(rows)} rows:", flush=True)
        print("\n".join(f"  {line}" for line in forgetting_lines(result)), flush=True)
        taken = result["ledger"]["cpu_seconds"]
        kept = {"seed": seed, "arm": name, "rows": len(rows), "cpu_seconds": taken}
        found.append(kept | result["forgetting"])
    return found


def train(
    folder: Path, name: str, chats: Sequence[Row], config: Mapping[str, Any]
) -> dict[str, Any]:
    """Train on rows, unless that is done, and return what the training says of itself."""
    rows, file, output = (folder / f"{name}{end}" for end in (".jsonl", ".yaml", ""))
    write_rows(rows, chats)
    given = {**config, "train_file": str(rows), "output_dir": str(output)}
    file.write_text(yaml.safe_dump(given), encoding="utf-8")
    command = [sys.executable, "-m", "training.sft", "--config", str(file)]
    if not (output / "strop.json").is_file():
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    found: dict[str, Any] = json.loads((output / "strop.json").read_text(encoding="utf-8"))
    return found


def write_rows(file: Path, rows: Sequence[Row]) -> Path:
    """Chat rows, one a line."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


if __name__ == "__main__":
    main()
