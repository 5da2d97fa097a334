"""Whether the engine makes of a training prompt, byte for byte, what training made of it.

Training records the digests of what some prompts of its file became (strop.json, `rendered`); the
prompts themselves stay in the training file, which is read here and has to be the one that was
trained on.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.engines.base import Engine, Message
from backend.services.models.preflight.checks import Check
from training.weights.digest import file_sha256, ids_sha256, text_sha256


@dataclass(frozen=True, slots=True)
class RecordedPrompt:
    """A prompt of the training file, with the digests of what it became."""

    line: int
    messages: Sequence[Message]
    text_sha256: str
    ids_sha256: str


@dataclass(frozen=True, slots=True)
class TrainingPrompts:
    """The recorded prompts of a model; where there are none, `gap` says why."""

    prompts: tuple[RecordedPrompt, ...] = ()
    gap: str = "it was not trained here"


def read_training_prompts(facts: Mapping[str, Any], *, trained_here: bool) -> TrainingPrompts:
    """The prompts that the training of a model recorded.

    Args:
        facts: what training wrote as `strop.json`.
        trained_here: only then may the record name a file of this machine.
    """
    if not trained_here:
        return TrainingPrompts()
    recorded = {entry["line"]: entry for entry in facts.get("rendered") or ()}
    if not recorded:
        return TrainingPrompts(gap="its training recorded no prompts")
    file = Path(str(facts.get("config", {}).get("train_file", "")))
    if not file.is_file():
        return TrainingPrompts(gap=f"its training file {file.name} is gone")
    if file_sha256(file) != facts.get("train_sha256"):
        return TrainingPrompts(gap=f"its training file {file.name} is not the one trained on")
    found = _messages_of(file, recorded)
    return TrainingPrompts(
        tuple(
            RecordedPrompt(line, messages, entry["text_sha256"], entry["ids_sha256"])
            for line, messages in found
            if (entry := recorded[line])
        )
    )


def _messages_of(file: Path, lines: Collection[int]) -> Iterable[tuple[int, list[dict[str, str]]]]:
    with file.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, start=1):
            if number in lines:
                yield number, json.loads(line)["prompt"]


def check_training_prompts(engine: Engine, name: str, recorded: TrainingPrompts) -> Check:
    """Whether every recorded prompt becomes the same text and the same tokens in the engine."""
    title = f"prompts of {name} since training"
    if not recorded.prompts:
        return Check(title, None, f"{name}: not compared with training: {recorded.gap}.")
    texts = [_sha_of_text(engine, p) == p.text_sha256 for p in recorded.prompts]
    tokens = [ids_sha256(engine.token_ids(p.messages)) == p.ids_sha256 for p in recorded.prompts]
    figures: dict[str, float | int | str] = {
        "prompts": len(texts),
        "equal_texts": sum(texts),
        "equal_tokens": sum(tokens),
    }
    if all(texts) and all(tokens):
        detail = f"{name}: {len(texts)} training prompts become byte for byte what training saw."
        return Check(title, True, detail, figures)
    what = "text" if not all(texts) else "tokens"
    wrong = len(texts) - (sum(texts) if not all(texts) else sum(tokens))
    at = (texts if not all(texts) else tokens).index(False)
    return Check(
        title,
        False,
        f"{name}: {wrong} of {len(texts)} training prompts become another {what} than in training "
        f"(the first is line {recorded.prompts[at].line} of the training file): the chat template "
        "or the tokeniser is another one.",
        figures,
    )


def _sha_of_text(engine: Engine, prompt: RecordedPrompt) -> str:
    return text_sha256(engine.render(prompt.messages))
