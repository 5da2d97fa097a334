"""A real model on real data: is an adapter better than the best prompt?

    python -m tests.benchmarks.real_model [--task banking77] [--work DIR] [--threads 1]
        [--base FOLDER] [--out FILE.json]

The base is fetched and converted as `strop demo --real` does it, unless a folder is named.

SmolLM2-135M-Instruct as base with the plain prompt, as base with the best prompt of 0, 4 and 8
shots, and with LoRA adapters trained on growing parts of the same rows. Wording and number of shots
are chosen on the validation rows, shots by BM25 from all training rows, so that the prompts may use
every label that the largest adapter has seen; adapters are trained and asked with a short prompt.
Every figure has its interval, every difference is paired and against the base with its best prompt.
From the two smallest adapters what more rows will bring is forecast, and held against what they
brought. No expert has a part in it: the references of the data stand for corrections.

Answers are greedy, by the local engine in float32; adapters are trained by `python -m training.sft`
in bfloat16 (`dtype`). What was written or trained lies in --work and is not made again. `latency`
is of an answer alone, the median of 10; `processor` is seconds of one core an answer, in batches of
32, which other work on the machine disturbs less. One seed: what another training on as many other
rows would come to is in no interval.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Any

import yaml

from backend.cli.demo.real import NoRealModel, real_base
from backend.engines.base import GenerationRequest, GenerationResult, SamplingParams, ServedModel
from backend.engines.local.engine import LocalEngine
from tests.benchmarks._real_report import as_markdown, describe, figure_of
from tests.benchmarks._real_tasks import TASKS, Row, Task, Wording, nearest_shots

SHOTS = (0, 4, 8)
TRAINING = {
    "epochs": 3,
    "learning_rate": 1e-3,
    "batch_size": 8,
    "dtype": "bfloat16",
    "lora": {"rank": 16, "alpha": 32, "dropout": 0.0},
    "manifest_digest": "0" * 63 + "1",  # no bar is set: nothing is promoted here
    "log_every": 20,
}
BATCH = 32
ALONE = 10


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model with a prompt: what is compared."""

    name: str
    model: str
    wording: Wording
    shots: int = 0


@dataclass(frozen=True, slots=True)
class Bench:
    """Where it works, and with what."""

    task: Task
    base: Path
    work: Path
    threads: int
    seed: int

    def adapter(self, size: int) -> Path:
        return self.work / f"lora-{size}"


def choose_wording(bench: Bench) -> tuple[str, dict[str, float]]:
    """The wording that does best without shots on the validation rows, and what each came to."""
    found = {
        name: validate(bench, Candidate(f"wording {name}", "base", wording))
        for name, wording in bench.task.wordings.items()
    }
    return max(found, key=lambda name: found[name]), found


def validate(bench: Bench, candidate: Candidate) -> float:
    """The task's first metric on the validation rows."""
    answers = answer(bench, candidate, bench.task.validation, "validation")
    return figure_of(bench.task.metrics[0], answers).value


def answer(
    bench: Bench, candidate: Candidate, rows: Sequence[Row], part: str
) -> list[dict[str, Any]]:
    """One record a row, in their order; those of an earlier start are read."""
    file = bench.work / f"{part}-{candidate.name.replace(' ', '-')}.jsonl"
    known = _read(file)
    missing = [row for row in rows if row.id not in known]
    if missing:
        with opened(bench, [candidate.model]) as engine:
            for start in range(0, len(missing), BATCH):
                found = _written(bench.task, engine, candidate, missing[start : start + BATCH])
                with file.open("a", encoding="utf-8") as stream:
                    stream.writelines(json.dumps(one) + "\n" for one in found)
        print(f"  {file.name} at {time.strftime('%H:%M:%S')}", flush=True)
        known = _read(file)
    return [known[row.id] for row in rows]


def _read(file: Path) -> dict[str, dict[str, Any]]:
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return {one["id"]: one for one in map(json.loads, lines)}


def _written(
    task: Task, engine: LocalEngine, candidate: Candidate, rows: Sequence[Row]
) -> list[dict[str, Any]]:
    """The records of one batch; a candidate that cannot answer ends it all."""
    started = time.process_time()
    requests = [_request(task, candidate, row) for row in rows]
    found = {one.key: one for one in engine.generate(requests, _params(task))}
    processor = (time.process_time() - started) / len(rows)
    return [_record(task, candidate, row, found[row.id], processor) for row in rows]


def _record(
    task: Task, candidate: Candidate, row: Row, one: GenerationResult, processor: float
) -> dict[str, Any]:
    if one.text is None:
        raise SystemExit(f"{candidate.name} wrote nothing for {row.id}: {one.error}")
    return {
        "id": row.id,
        "raw": one.text,
        "prediction": task.read(one.text),
        "reference": row.reference,
        "context": row.text,
        "group": row.group,
        "tokens_in": one.prompt_tokens,
        "tokens_out": one.completion_tokens,
        "processor": processor,
    }


def _request(task: Task, candidate: Candidate, row: Row) -> GenerationRequest:
    shots = nearest_shots(task.train, row, candidate.shots) if candidate.shots else []
    return GenerationRequest(row.id, candidate.model, candidate.wording(row, shots))


def _params(task: Task) -> SamplingParams:
    return SamplingParams(max_tokens=task.max_tokens)


def opened(bench: Bench, models: Sequence[str], *, batch_size: int = BATCH) -> LocalEngine:
    """The local engine with the base and the adapters that are named by their sizes."""
    engine = LocalEngine(batch_size=batch_size, threads=bench.threads)
    base = str(bench.base)
    served = [ServedModel("base", base)]
    for name in models:
        if name != "base":
            served.append(ServedModel(name, base, adapter_path=bench.work / name))
    engine.load(served)
    return engine


def train(bench: Bench, size: int, own: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """The adapter of the first `size` rows, and what its training says of itself.

    Args:
        own: keys of the configuration in place of those of TRAINING.
    """
    output = bench.adapter(size)
    if not (output / "strop.json").is_file():
        rows = bench.work / f"train-{size}.jsonl"
        with rows.open("w", encoding="utf-8") as stream:
            for row in bench.task.train[:size]:
                completion = [{"role": "assistant", "content": row.reference}]
                pair = {"prompt": bench.task.tuned(row, []), "completion": completion}
                stream.write(json.dumps(pair) + "\n")
        config = {**TRAINING, **own} | {
            "base_model": str(bench.base),
            "train_file": str(rows),
            "output_dir": str(output),
            "max_length": bench.task.max_length,
            "threads": bench.threads,
            "seed": bench.seed,
        }
        file = bench.work / f"lora-{size}.yaml"
        file.write_text(yaml.safe_dump(config), encoding="utf-8")
        subprocess.run([sys.executable, "-m", "training.sft", "--config", str(file)], check=True)
    found: dict[str, Any] = json.loads((output / "strop.json").read_text(encoding="utf-8"))
    return found


def latencies(bench: Bench, candidates: Sequence[Candidate]) -> dict[str, float]:
    """Seconds of one answer alone: the median of some, the candidates in turn."""
    file = bench.work / "latency.json"
    known: dict[str, float] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    lacking = [one for one in candidates if one.name not in known]
    if not lacking:
        return known
    taken: dict[str, list[float]] = {one.name: [] for one in lacking}
    with opened(bench, [one.model for one in lacking], batch_size=1) as engine:
        for row in bench.task.test[:ALONE]:
            for one in lacking:
                request = _request(bench.task, one, row)
                results = list(engine.generate([request], _params(bench.task)))
                taken[one.name].append(results[0].latency_s)
    medians = known | {name: median(values) for name, values in taken.items()}
    file.write_text(json.dumps(medians), encoding="utf-8")
    return medians


def play(bench: Bench) -> dict[str, Any]:
    """Everything, in the order in which it is wanted; returns what the report is made of."""
    task = bench.task
    plain = next(iter(task.wordings))
    print(f"{task.stated}: {len(task.train)} rows to train on or to take shots from, "
          f"{len(task.validation)} to choose on, {len(task.test)} to test", flush=True)  # fmt: skip
    best, wordings = choose_wording(bench)
    asked = [Candidate(f"base, {k} shots", "base", task.wordings[best], k) for k in SHOTS]
    bare = [] if best == plain else [Candidate("base, plain prompt", "base", task.wordings[plain])]
    tuned = [Candidate(f"LoRA, {size} rows", f"lora-{size}", task.tuned) for size in task.sizes]
    trained = {one.name: train(bench, size) for one, size in zip(tuned, task.sizes, strict=True)}
    chosen = {asked[0].name: wordings[best]}
    chosen |= {one.name: validate(bench, one) for one in asked[1:]}
    candidates = [*bare, *asked, *tuned]
    answers = {one.name: answer(bench, one, task.test, "test") for one in candidates}
    return describe(
        task,
        answers,
        baseline=max(chosen, key=lambda name: chosen[name]),
        chosen_on={"wordings": wordings, "shots": chosen, "wording": best},
        latency=latencies(bench, candidates),
        trained=trained,
        seed=bench.seed,
    )


def _fetched(folder: Path) -> Path:
    try:
        return real_base(folder)
    except NoRealModel as error:
        sys.exit(f"The real model cannot be had: {error}")


def main() -> None:
    """Play one task and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--task", choices=TASKS, default="banking77")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--base", type=Path)
    parser.add_argument("--work", type=Path, default=Path("bench/real_model"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if not (args.data / args.task).is_dir():
        sys.exit(f"{args.data / args.task} is not there: give --data, the folder of public data.")
    base = args.base or _fetched(args.work)
    work = (args.work / args.task).absolute()
    work.mkdir(parents=True, exist_ok=True)
    task = TASKS[args.task](args.data, seed=args.seed)
    found = play(Bench(task, base.absolute(), work, args.threads, args.seed))
    found["machine"] = f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors"
    print(as_markdown(found))
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        args.out.with_suffix(".md").write_text(as_markdown(found), encoding="utf-8")


if __name__ == "__main__":
    main()
