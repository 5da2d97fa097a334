"""The worker of the chaos run: `python -m tests.chaos.worker`, settings from the environment.

All is the product's own but two things, which would take minutes for each of a hundred kills: a
fake engine answers (the candidate mostly as the reference does, every other model nonsense), and
`STROP_CHAOS_TRAINER` may name the stand-in for the trainer. The worker rests and looks after rounds
at a quicker pace, so that kills fall into these moments too; each is marked in `moments`.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from backend.engines.base import GenerationRequest, Message
from backend.engines.fake import FakeEngine
from backend.jobs import train, worker
from backend.jobs.running import transact
from backend.settings import Settings, load_settings

ANSWER_SECONDS = 0.03
FACTS = re.compile(r"(train|test) customer (\d+) pays EUR ([\d.]+)")
CANDIDATE = "v9"
MOMENTS = "moments"
TRAINER_VARIABLE = "STROP_CHAOS_TRAINER"


def main() -> None:
    """Be a worker."""
    settings = load_settings()
    worker.REST_AFTER = timedelta(seconds=0.5)
    worker.TEND_EVERY = timedelta(seconds=0.3)
    for act in ("launch", "shut_down"):
        setattr(transact, act, marked(settings.home / MOMENTS, act, getattr(transact, act)))
    worker.reconcile = marked(settings.home / MOMENTS, "reconcile", worker.reconcile)
    if module := os.environ.get(TRAINER_VARIABLE):
        command = train.trainer_command
        train.trainer_command = lambda config, **options: [  # type: ignore[assignment]
            module if part == "training.sft" else part for part in command(config, **options)
        ]
    worker.run_worker(settings, engines=open_fake)


def marked(file: Path, name: str, act: Callable[..., Any]) -> Callable[..., Any]:
    """The act, with a line in the file when it begins."""

    def begun(*positional: Any, **named: Any) -> Any:
        with file.open("a", encoding="utf-8") as stream:
            stream.write(f"{name}\n")
        return act(*positional, **named)

    return begun


def open_fake(name: str, settings: Settings) -> FakeEngine:
    """The engine whatever the run asks for; it renders as the base does, or no check would pass."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(settings.home / "base" / "tokenizer.json"))
    return FakeEngine(
        answer=partial(answer, delay=ANSWER_SECONDS),
        template=render,
        tokenise=lambda prompt: list(tokenizer.encode(prompt, add_special_tokens=False).ids),
    )


def render(messages: Sequence[Message]) -> str:
    """What the tiny base's chat template makes of messages."""
    said = "".join(f"<|{part['role']}|>{part['content']}<|end|>" for part in messages)
    return f"<|begin|>{said}<|assistant|>"


def answer(request: GenerationRequest, *, delay: float) -> str:
    """The reference, from the candidate and in four of five cases; else a text of no use."""
    time.sleep(delay)
    found = FACTS.search(request.messages[-1]["content"])
    if found is None or CANDIDATE not in request.model:
        return f"{request.model} cannot say"
    split, number, amount = found.groups()
    return f"{split} {number}: EUR {amount}" if int(number) % 5 else f"about EUR {amount}"


if __name__ == "__main__":
    main()
