"""LoRA beside QLoRA on a real model: what a base in 4 bits costs and saves.

    python -m tests.benchmarks.qlora --base FOLDER [--data DIR] [--rows 300] [--epochs 3]
        [--work DIR] [--out FILE.json]

Two trainings of SmolLM2-135M-Instruct by `python -m training.sft` on the same banking77 rows in
bfloat16, with the same seed and recipe but `quantize: 4bit`. Both adapters are then asked and
measured on the whole base in float32, as they are served: the loss on held-out rows, and macro-F1
and accuracy on the test rows, with paired differences. Processor seconds and peak memory are those
of the trainings' own ledgers. One seed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluators.aggregate import paired_difference
from evaluators.registry import resolve_metrics
from tests.benchmarks import real_model
from tests.benchmarks._ratios import skip
from tests.benchmarks._real_report import figure_of, scores_of
from tests.benchmarks._real_tasks import TASKS, Row, Task
from tests.benchmarks.real_model import Bench, Candidate
from training.results.forgetting import describe_forgetting, measure
from training.rows.data import ChatRow, encode_rows

ARMS: dict[str, dict[str, Any]] = {"lora": {}, "qlora": {"quantize": "4bit"}}


def main() -> None:
    """Train both, ask both, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--base", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--work", type=Path, default=Path("bench/qlora"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.base is None:
        skip(args.out, "QLoRA beside LoRA", "no base named: --base FOLDER")
        return
    task = TASKS["banking77"](args.data, seed=args.seed)
    found = play(task, args)
    print(json.dumps(found, indent=1))
    if args.out is not None:
        args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def play(task: Task, args: argparse.Namespace) -> dict[str, Any]:
    """What each arm came to, and how far the second lies from the first, paired."""
    trained, answers, losses = {}, {}, {}
    for name, own in ARMS.items():
        work = (args.work / name).absolute()
        work.mkdir(parents=True, exist_ok=True)
        bench = Bench(task, args.base.absolute(), work, args.threads, args.seed)
        trained[name] = real_model.train(bench, args.rows, {"epochs": args.epochs, **own})
        candidate = Candidate(name, f"lora-{args.rows}", task.tuned)
        answers[name] = real_model.answer(bench, candidate, task.test, "test")
        losses[name] = held_out_losses(bench, args.rows)
    first, second = ARMS
    groups = [None] * len(task.test)
    return {
        "rows": args.rows,
        "epochs": args.epochs,
        "trainings": {name: ledger(one) for name, one in trained.items()},
        "metrics": {
            metric.name: {
                **{
                    name: figure_of(metric.name, found).as_dict() for name, found in answers.items()
                },
                "difference": paired_difference(
                    metric, *(scores_of(metric, answers[one]) for one in (first, second)), groups
                ).as_dict(),
            }
            for metric in resolve_metrics(list(task.metrics))
        },
        "equal_answers": sum(
            one["raw"] == other["raw"]
            for one, other in zip(answers[first], answers[second], strict=True)
        ),
        "held_out_loss": describe_forgetting(
            {key: [] for key in losses[first]}, losses[first], losses[second], seed=args.seed
        ),
    }


def ledger(result: dict[str, Any]) -> dict[str, Any]:
    """What a training took, and the general text it kept."""
    taken = result["ledger"]
    wanted = ("cpu_seconds", "seconds", "tokens", "peak_memory_bytes")
    general = result["forgetting"]["general"]
    return {name: taken[name] for name in wanted} | {"general": general}


def held_out_losses(bench: Bench, size: int) -> dict[str, Any]:
    """The loss of an adapter on the validation and test rows, on the whole base in float32."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(bench.threads)
    tokenizer = AutoTokenizer.from_pretrained(bench.base)
    base = AutoModelForCausalLM.from_pretrained(bench.base, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, bench.adapter(size))
    held = {"held out": [*bench.task.validation, *bench.task.test]}
    return measure(
        model, {name: encoded(bench.task, rows, tokenizer) for name, rows in held.items()}
    )


def encoded(task: Task, rows: Sequence[Row], tokenizer: Any) -> Any:
    """Rows as the training of the task would have them."""
    chats = [
        ChatRow(n, task.tuned(row, []), [{"role": "assistant", "content": row.reference}])
        for n, row in enumerate(rows, start=1)
    ]
    kept, _ = encode_rows(
        chats, tokenizer, max_length=task.max_length, truncate=False, completion_only=True
    )
    return kept


if __name__ == "__main__":
    main()
