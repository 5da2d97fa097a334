"""What a model wrote, as an input and an answer, or the reason why it is neither.

A pair is asked for as one object of JSON; models that cannot write that often write the same under
the headings `Input:` and `Answer:`, which is read too. Nothing is guessed beyond these two forms.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

INPUTS = ("input", "question", "request", "instruction", "prompt")
ANSWERS = ("answer", "output", "response", "completion", "reference")
_HEADED = re.compile(
    rf"^\W*(?:{'|'.join(INPUTS)})\W*:\s*(?P<input>.+?)\n\W*(?:{'|'.join(ANSWERS)})\W*:\s*"
    r"(?P<answer>.+?)(?:\n\s*\n|\n\W*(?:input|question|request)\W*:|\Z)",
    re.IGNORECASE | re.DOTALL | re.MULTILINE,
)
_LONGEST = 100_000


@dataclass(frozen=True, slots=True)
class Parsed:
    """An input and its answer; `form` says how they were written."""

    input: str
    answer: str
    form: str


def parse_pair(text: str) -> Parsed | None:
    """The first pair that the text holds; None where it holds none."""
    for value in _objects(text[:_LONGEST]):
        asked, answer = _said(value, INPUTS), _said(value, ANSWERS)
        if asked is not None and answer is not None:
            return Parsed(asked, answer, "json")
    headed = _HEADED.search(text[:_LONGEST])
    if headed is None:
        return None
    return Parsed(headed["input"].strip(), headed["answer"].strip(), "headings")


def parse_answer(text: str, asked: str) -> Parsed | None:
    """The whole text as the answer; where it is an object of JSON with an answer, that one."""
    stripped = text.strip()
    if stripped.startswith(("{", "```")):
        for value in _objects(stripped[:_LONGEST]):
            if (answer := _said(value, ANSWERS)) is not None:
                return Parsed(asked, answer, "json")
    return Parsed(asked, stripped, "text")


def _objects(text: str) -> list[dict[str, Any]]:
    """The objects of JSON in a text, in order, also within fences and other words."""
    decoder = json.JSONDecoder(strict=False)
    found: list[dict[str, Any]] = []
    at = text.find("{")
    tries = 0
    while at >= 0 and tries < 50:
        tries += 1
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at = text.find("{", at + 1)
            continue
        values = value if isinstance(value, list) else [value]
        found += [one for one in values if isinstance(one, dict)]
        at = text.find("{", end)
    return found


def _said(value: dict[str, Any], names: tuple[str, ...]) -> str | None:
    by_name = {str(key).strip().lower(): one for key, one in value.items()}
    for name in names:
        if isinstance(found := by_name.get(name), str):
            return found.strip()
    return None
