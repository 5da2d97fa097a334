"""The prompt of an example: one for generation and for training, known again by its digest."""

from __future__ import annotations

import hashlib
from typing import Protocol

from backend.services.datasets.plain_text import plain_text


class Prompted(Protocol):
    """Anything with an input and perhaps a source document: a row, a stored example."""

    @property
    def input(self) -> str: ...

    @property
    def context(self) -> str | None: ...


def chat_messages(example: Prompted) -> list[dict[str, str]]:
    """The prompt of an example, the same for generation and for training.

    One user message: the input, and below it, after a blank line, the source document.
    """
    parts = [example.input, example.context]
    return [{"role": "user", "content": "\n\n".join(part for part in parts if part)}]


def prompt_text(text: str, context: str | None) -> str:
    """A prompt as one text: the input and, below a blank line, the source."""
    return "\n\n".join(part for part in (text, context) if part)


def digest_text(text: str, context: str | None) -> str:
    """SHA-256 of a prompt as `plain_text` shows it."""
    folded = [plain_text(part) for part in (text, context or "")]
    return hashlib.sha256("\x1f".join(folded).encode()).hexdigest()
