"""How long a demo will take: a few of its own steps, timed on this machine just before it starts.

Two trainings of a few steps give the seconds of a row and of a start; a batch of answers by the
demo's own engine gives the seconds of an answer. What the rest takes (scores, preflight, queues) is
not in it, and other work on the machine moves all of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from backend.cli.demo import steps
from backend.errors import JobFailed

if TYPE_CHECKING:
    from backend.engines.base import Message
    from backend.tables.datasets import Example

TIMED_STEPS = 3
TIMED_ANSWERS = 12


@dataclass(frozen=True, slots=True)
class MeasuredPace:
    """Seconds of a trained row, of the start of a training, of an answer and of loading a base."""

    row: float
    start: float
    answer: float
    load: float


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done: trainings, rows that they pass over, answers."""

    trainings: int
    rows: int
    answers: int

    def seconds(self, pace: MeasuredPace) -> float:
        """How long that takes at a pace."""
        starts = self.trainings * pace.start + pace.load
        return starts + self.rows * pace.row + self.answers * pace.answer


def forecast(demo: steps.Demo, base: str, *, close: bool) -> str:
    """One sentence on how long the demo will take, measured now."""
    from backend.cli.demo.real import waiting

    with waiting("timing a few steps"):
        pace = measure_pace(demo, base)
    return describe(planned_work(demo, close=close), pace)


def describe(work: Work, pace: MeasuredPace) -> str:
    """The sentence: minutes, and what they are made of."""
    return (
        f"About {work.seconds(pace) / 60:.0f} min, by a few steps timed just now: {work.trainings} "
        f"training(s) over {work.rows} rows at {pace.row:.2f} s (and {pace.start:.0f} s to start "
        f"each), {work.answers} answers at {pace.answer:.2f} s. Scores and checks come on top."
    )


def planned_work(demo: steps.Demo, *, close: bool) -> Work:
    """The first round, and with `close` what the (simulated) reviews lead to, at the most."""
    from backend.services.datasets.versions import get_dataset_version, split_counts

    scale = demo.scale
    with demo.installation.sessions() as session:
        version = get_dataset_version(session, demo.project_id, steps.DATASET)
        tests = split_counts(session, version.id)["test"][0]
    first = {**steps.TRAINING, **scale.training}
    again = {**first, **scale.again}
    rows, answers = scale.references * first["epochs"], 2 * tests + scale.reviews
    if close:
        rows += (scale.references + scale.reviews) * again["epochs"]
        answers += 3 * tests
    return Work(1 + close, rows, answers)


def measure_pace(demo: steps.Demo, base: str) -> MeasuredPace:
    """Train for a few steps and write a few answers, on rows of the demo's train split."""
    with demo.installation.sessions() as session:
        examples = _examples(demo, session)
        row, start = _time_training(demo, base, examples)
        prompts = [_prompt(one) for one in examples[:TIMED_ANSWERS]]
    answer, load = _time_answers(demo, base, prompts)
    return MeasuredPace(row, start, answer, load)


def _examples(demo: steps.Demo, session: Any) -> list[Example]:
    from backend.services.datasets.versions import get_dataset_version, list_examples

    version = get_dataset_version(session, demo.project_id, steps.DATASET)
    batch = {**steps.TRAINING, **demo.scale.training}["batch_size"]
    return list(list_examples(session, version.id, "train"))[
        : max(TIMED_STEPS * batch, TIMED_ANSWERS)
    ]


def _prompt(example: Example) -> list[Message]:
    from backend.services.datasets.conversations import chat_messages

    return list(chat_messages(example))


def _time_training(demo: steps.Demo, base: str, examples: list[Example]) -> tuple[float, float]:
    """Seconds of a row, without the first step, and seconds that are not of any row."""
    settings = demo.installation.settings
    short = {"epochs": 1, "log_every": 1, "save_every": 10**6}
    config = steps.training_config(settings, **{**demo.scale.training, **short})
    with tempfile.TemporaryDirectory(dir=settings.home, prefix=".pace-") as folder:
        rows, file, out = (Path(folder) / name for name in ("rows.jsonl", "run.yaml", "adapter"))
        rows.write_text("".join(_training_row(one) for one in examples), encoding="utf-8")
        own = {"base_model": base, "train_file": str(rows), "output_dir": str(out)}
        file.write_text(yaml.safe_dump(config | own | {"manifest_digest": "0" * 63 + "1"}))
        began = time.monotonic()
        command = [sys.executable, "-m", "training.sft", "--config", str(file)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        whole = time.monotonic() - began
        if ended.returncode:
            raise JobFailed(f"A few steps of training, to time them, failed: {ended.stderr[-300:]}")
        lines = [json.loads(line) for line in (out / "progress.jsonl").read_text().splitlines()]
    timed = (lines[-1]["seconds"] - lines[0]["seconds"]) / (lines[-1]["step"] - lines[0]["step"])
    row = timed / config["batch_size"]
    return row, max(0.0, whole - row * len(examples))


def _training_row(example: Example) -> str:
    completion = [{"role": "assistant", "content": example.references[0]}]
    return json.dumps({"prompt": _prompt(example), "completion": completion}) + "\n"


def _time_answers(demo: steps.Demo, base: str, prompts: list[list[Message]]) -> tuple[float, float]:
    """Seconds of an answer in a batch, and of loading the model."""
    from transformers.utils import logging

    from backend.engines import open_engine
    from backend.engines.base import GenerationRequest, SamplingParams, ServedModel

    logging.disable_progress_bar()  # there is one of ours
    began = time.monotonic()
    with open_engine(demo.engine, demo.installation.settings) as engine:
        engine.load([ServedModel("base", base)])
        loaded = time.monotonic()
        requests = [GenerationRequest(str(i), "base", prompt) for i, prompt in enumerate(prompts)]
        done = len(list(engine.generate(requests, SamplingParams(max_tokens=steps.MAX_TOKENS))))
        ended = time.monotonic()
    return (ended - loaded) / done, loaded - began
