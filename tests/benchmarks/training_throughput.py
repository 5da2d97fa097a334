"""Our SFT beside TRL's plain script with the same settings: tokens per second, memory, loss.

    python -m tests.benchmarks.training_throughput [--turns 5] [--rows 320] [--out figures.json]

Each turn runs all sides once, in an order that is reversed every other turn, each in a process of
its own: TRL's SFTTrainer as its documentation shows it; ours as it comes, which shows the same rows
in the same order, so that the losses are held against each other number by number; ours with
`group_by_length: true`, which draws batches of like length. A ratio is of one turn, ours over
plain; above 1 is faster (tokens) or more (memory). `cpu_ratio` is the same of processor seconds,
which other work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from backend.settings import DEMO_BASE
from training.demo.data import demo_examples

SIDES = {
    "plain": {},
    "ours": {},
    "ours, batches by length": {"group_by_length": True},
}
HELD_OUT = 40


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--rows", type=int, default=320)
    parser.add_argument("--base", default=str(DEMO_BASE))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    turns: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        write_rows(Path(folder), args.rows)
        for turn in range(args.turns):
            names = list(SIDES) if turn % 2 == 0 else list(reversed(SIDES))
            figures = {name: run_side(Path(folder), name, turn, args) for name in names}
            turns.append({**figures, "load": os.getloadavg()[0]})
            print(f"turn {turn + 1}: " + _readable(figures), flush=True)
    found = summarise(turns)
    print(json.dumps(found, indent=1))
    if args.out:
        args.out.write_text(json.dumps({"summary": found, "turns": turns}, indent=1))


def write_rows(folder: Path, count: int) -> None:
    """Rows to train on, and rows of the same kind that neither side sees."""
    examples = demo_examples(count + HELD_OUT, seed=11)
    rows = [
        {
            "prompt": [{"role": "user", "content": f"{one['input']}\n\n{one['context']}"}],
            "completion": [{"role": "assistant", "content": one["reference"]}],
        }
        for one in examples
    ]
    for name, part in (("train", rows[:count]), ("held_out", rows[count:])):
        text = "".join(json.dumps(row) + "\n" for row in part)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")


def run_side(folder: Path, name: str, turn: int, args: argparse.Namespace) -> dict[str, Any]:
    """One training of one side in a process of its own."""
    label = f"{list(SIDES).index(name)}-{turn}"
    values = {
        "base_model": args.base,
        "train_file": str(folder / "train.jsonl"),
        "output_dir": str(folder / label),
        "manifest_digest": "0" * 64,
        "lora": {"rank": args.rank, "alpha": 2 * args.rank, "dropout": 0.0},
        "epochs": 1,
        "learning_rate": 2e-3,
        "log_every": 1,
        "batch_size": args.batch_size,
        "threads": args.threads,
        **SIDES[name],
    }
    config, out = folder / f"{label}.yaml", folder / f"{label}.json"
    config.write_text(yaml.safe_dump(values), encoding="utf-8")
    side = "plain" if name == "plain" else "ours"
    command = [sys.executable, "-m", "tests.benchmarks._training_turn", side, str(config), str(out)]
    environment = os.environ | {"OMP_NUM_THREADS": str(args.threads), "HF_HUB_OFFLINE": "1"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{name} failed: {ended.stderr[-2000:]}")
    figures: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return figures


def summarise(turns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Medians with ranges over the turns, ratios within turns, and how far the losses part."""
    found: dict[str, Any] = {"n": len(turns), "machine": platform.machine()}
    for name in SIDES:
        mine = [turn[name] for turn in turns]
        speed = [one["tokens"] / one["seconds"] for one in mine]
        found[name] = {
            "tokens_per_s": _spread(speed),
            "peak_mb": _spread([one["peak_bytes"] / 1e6 for one in mine]),
            "held_out_loss": _spread([one["held_out_loss"] for one in mine]),
        }
        if name != "plain":
            plain = [turn["plain"] for turn in turns]
            pairs = list(zip(mine, plain, strict=True))
            found[name] |= {
                "speed_ratio": _spread([p["seconds"] / o["seconds"] for o, p in pairs]),
                "cpu_ratio": _spread([p["cpu_seconds"] / o["cpu_seconds"] for o, p in pairs]),
                "memory_ratio": _spread([o["peak_bytes"] / p["peak_bytes"] for o, p in pairs]),
            }
    same = [(turn["ours"], turn["plain"]) for turn in turns]
    found["largest_difference_of_a_logged_loss"] = max(
        abs(a - b) for o, p in same for a, b in zip(o["losses"], p["losses"], strict=True)
    )
    found["load"] = _spread([turn["load"] for turn in turns])
    return found


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def _readable(figures: Mapping[str, Mapping[str, float]]) -> str:
    return "; ".join(
        f"{name} {one['tokens'] / one['seconds']:.0f} tokens/s, {one['peak_bytes'] / 1e6:.0f} MB, "
        f"held-out loss {one['held_out_loss']:.4f}"
        for name, one in figures.items()
    )


if __name__ == "__main__":
    main()
