"""Our SFT beside TRL's plain script with the same settings: tokens per second, memory, loss.

    python -m tests.benchmarks.training_throughput [--turns 5] [--rows 320] [--out figures.json]
    python -m tests.benchmarks.training_throughput --base FOLDER --data ../shared/data --rows 32

Each turn runs the named sides once, in an order that is reversed every other turn, each in a
process of its own, one thread. `plain` is TRL's SFTTrainer as its documentation shows it, in
float32; `plain, bfloat16` the same in bfloat16; `plain, as it comes` with TRL's own defaults for
precision and gradient checkpointing (both on). `ours` is as it comes, `ours, float32` the same in
float32: it shows the same rows in the same order, so that its losses are held against plain's
number by number. `ours, batches by length` draws batches of like length. A ratio is of one turn;
above 1 is faster (tokens) or more (memory). `cpu_ratio` is the same of processor seconds, which
other work on the machine disturbs less. Held-out rows are measured in float32 whatever trained.
Rows are the demo's, or with `--data` short dialogues of mts_dialog.
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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from backend.settings import DEMO_BASE
from tests.benchmarks._ratios import Ratio, keep
from tests.benchmarks._real_tasks import TASKS
from training.demo.data import demo_examples
from training.results.intervals import difference_estimate, group_totals

SIDES: dict[str, dict[str, Any]] = {
    "plain": {"dtype": "float32"},
    "plain, bfloat16": {"dtype": "bfloat16"},
    "plain, as it comes": {"dtype": "bfloat16", "gradient_checkpointing": True},
    "ours": {},
    "ours, float32": {"dtype": "float32"},
    "ours, batches by length": {"group_by_length": True},
}


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
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--held-out", type=int, default=40)
    parser.add_argument("--data", type=Path, help="folder that holds mts_dialog")
    parser.add_argument("--sides", default=";".join(SIDES), help="some of them, apart by ;")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    sides, turns = args.sides.split(";"), list[dict[str, Any]]()
    if unknown := set(sides) - set(SIDES):
        parser.error(f"no such side: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as folder:
        write_rows(Path(folder), chat_rows(args), args.rows)
        for turn in range(args.turns):
            names = sides if turn % 2 == 0 else sides[::-1]
            figures = {name: run_side(Path(folder), name, turn, args) for name in names}
            turns.append({**figures, "load": os.getloadavg()[0]})
            print(f"turn {turn + 1}: " + _readable(figures), flush=True)
    found = summarise(turns)
    print(json.dumps(found, indent=1))
    if args.out:
        args.out.write_text(json.dumps({"summary": found, "turns": turns}, indent=1))
    keep(args.out, list(ratios_of(turns)))


def chat_rows(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows to train on, then rows of the same kind that no side sees."""
    if args.data is None:
        shown = [
            ([{"role": "user", "content": f"{one['input']}\n\n{one['context']}"}], one["reference"])
            for one in demo_examples(args.rows + args.held_out, seed=11)
        ]
    else:
        task = TASKS["mts_dialog"](args.data, seed=0)
        rows = [*task.train[: args.rows], *task.test[: args.held_out]]
        shown = [(task.tuned(row, ()), row.reference) for row in rows]
    return [
        {"prompt": prompt, "completion": [{"role": "assistant", "content": answer}]}
        for prompt, answer in shown
    ]


def write_rows(folder: Path, rows: Sequence[Mapping[str, Any]], count: int) -> None:
    """The first `count` rows to train on, the others to hold out."""
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
        "lora": {"rank": args.rank, "alpha": 2 * args.rank, "dropout": args.dropout},
        "epochs": 1,
        "learning_rate": args.learning_rate,
        "log_every": 1,
        "batch_size": args.batch_size,
        "threads": args.threads,
        **SIDES[name],
    }
    config, out = folder / f"{label}.yaml", folder / f"{label}.json"
    config.write_text(yaml.safe_dump(values), encoding="utf-8")
    side = name.split(",")[0]
    command = [sys.executable, "-m", "tests.benchmarks._training_turn", side, str(config), str(out)]
    environment = os.environ | {"OMP_NUM_THREADS": str(args.threads), "HF_HUB_OFFLINE": "1"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{name} failed: {ended.stderr[-2000:]}")
    figures: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return figures


def summarise(turns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Medians with ranges over the turns; ratios within turns, and the losses, against plains."""
    sides = [name for name in SIDES if name in turns[0]]
    found: dict[str, Any] = {"n": len(turns), "machine": platform.machine()}
    for name in sides:
        mine = [turn[name] for turn in turns]
        found[name] = {
            "tokens_per_s": _spread([one["tokens"] / one["seconds"] for one in mine]),
            "tokens_per_cpu_s": _spread([one["tokens"] / one["cpu_seconds"] for one in mine]),
            "peak_mb": _spread([one["peak_bytes"] / 1e6 for one in mine]),
            "held_out_loss": _spread([_mean_loss(one) for one in mine]),
        }
        if name.startswith("ours"):
            plains = [side for side in sides if side.startswith("plain")]
            found[name]["against"] = {
                side: _against(mine, [turn[side] for turn in turns]) for side in plains
            }
    found["load"] = _spread([turn["load"] for turn in turns])
    return found


def ratios_of(turns: Sequence[Mapping[str, Any]]) -> Iterator[Ratio]:
    """Processor seconds and memory of ours beside each plain side, turn by turn."""
    load = (turns[0]["load"], turns[-1]["load"])
    for name in (side for side in SIDES if side in turns[0] and side.startswith("ours")):
        for plain in (side for side in SIDES if side in turns[0] and side.startswith("plain")):
            for what, unit in (("cpu_seconds", "speed by processor"), ("peak_bytes", "memory")):
                pairs = [(turn[name][what], turn[plain][what]) for turn in turns]
                faster = what == "cpu_seconds"
                yield Ratio(f"{unit}, {name} against {plain}",
                            [b / a if faster else a / b for a, b in pairs], load=load)  # fmt: skip


def _against(ours: Sequence[Any], plain: Sequence[Any]) -> dict[str, Any]:
    """Ratios, how far the logged losses part, and the paired change of the held-out rows' loss."""
    pairs = list(zip(ours, plain, strict=True))
    rows = [
        (mine - theirs, count)
        for (mine, count), (theirs, _) in zip(
            ours[0]["held_out"], plain[0]["held_out"], strict=True
        )
    ]
    change = difference_estimate(group_totals([None] * len(rows), rows), n=len(rows))
    return {
        "speed_ratio": _spread([p["seconds"] / o["seconds"] for o, p in pairs]),
        "cpu_ratio": _spread([p["cpu_seconds"] / o["cpu_seconds"] for o, p in pairs]),
        "memory_ratio": _spread([o["peak_bytes"] / p["peak_bytes"] for o, p in pairs]),
        "largest_difference_of_a_logged_loss": max(
            abs(a - b) for o, p in pairs for a, b in zip(o["losses"], p["losses"], strict=True)
        ),
        "held_out_loss_less_plain": asdict(change),
    }


def _mean_loss(turn: Mapping[str, Any]) -> float:
    return float(sum(loss for loss, _ in turn["held_out"]) / sum(n for _, n in turn["held_out"]))


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def _readable(figures: Mapping[str, Mapping[str, Any]]) -> str:
    return "; ".join(
        f"{name} {one['tokens'] / one['seconds']:.0f} tokens/s, "
        f"{one['tokens'] / one['cpu_seconds']:.0f} a processor second, "
        f"{one['peak_bytes'] / 1e6:.0f} MB, held-out loss {_mean_loss(one):.4f}"
        for name, one in figures.items()
    )


if __name__ == "__main__":
    main()
