"""What an example asks: its messages, the same for generation and training, and its texts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

from backend.engines.base import Message
from backend.errors import InvalidInput
from backend.schemas.turns import transcript
from backend.services.datasets.plain_text import plain_text


class Prompted(Protocol):
    """Anything that asks something: a row, a stored example.

    `messages` is a conversation of more than one message, and `input` then its transcript.
    """

    @property
    def input(self) -> str: ...

    @property
    def messages(self) -> Sequence[Message] | None: ...

    @property
    def context(self) -> str | None: ...


def chat_messages(example: Prompted) -> list[dict[str, str]]:
    """The messages of an example that has no prompt of its own.

    Its conversation, or its input as one user message; the source document stands below the last
    message, after a blank line.
    """
    asked: Sequence[Message] = example.messages or [{"role": "user", "content": example.input}]
    return with_context(asked, example.context)


def with_context(messages: Sequence[Message], context: str | None) -> list[dict[str, str]]:
    """The messages with a source document below the last of them."""
    turns = [dict(turn) for turn in messages]
    turns[-1]["content"] = prompt_text(turns[-1]["content"], context)
    return turns


def check_conversation(messages: Sequence[Message]) -> None:
    """Raise InvalidInput for what cannot be answered: no turn, an empty one, or the wrong last one.

    A system message may stand first; the last is the user's, or what a tool gave.
    """
    roles = [turn["role"] for turn in messages]
    said = f"a conversation ({', '.join(roles)})"
    empty = next((n for n, t in enumerate(messages, start=1) if not t["content"].strip()), None)
    if empty is not None:
        raise InvalidInput(f"{said} whose turn {empty} is empty.", hint="Fill it, or leave it out.")
    if "system" in roles[1:]:
        raise InvalidInput(f"{said} whose system message is not the first.", hint="Put it first.")
    if roles[-1:] not in (["user"], ["tool"]) or "user" not in roles:
        raise InvalidInput(
            f"{said} that does not end with a question of the user.",
            hint="The answer that is known is the reference; what is asked stands before it.",
        )


def prompt_text(text: str, context: str | None) -> str:
    """A prompt as one text: the input and, below a blank line, the source."""
    return "\n\n".join(part for part in (text, context) if part)


def question_text(example: Prompted) -> str:
    """What an example asks, by which it is known again: its input, its conversation.

    System messages are left out: they are often the same for all, and would make all alike.
    """
    if example.messages is None:
        return example.input
    return transcript([turn for turn in example.messages if turn["role"] != "system"])


def content_text(example: Prompted) -> str:
    """What two examples are held against each other by: what is asked, and the source below it."""
    return prompt_text(question_text(example), example.context)


def content_digest(example: Prompted) -> str:
    """SHA-256 of what is asked and of the source, as `plain_text` shows them."""
    return digest_text(question_text(example), example.context)


def digest_text(text: str, context: str | None) -> str:
    """SHA-256 of a prompt as `plain_text` shows it."""
    folded = [plain_text(part) for part in (text, context or "")]
    return hashlib.sha256("\x1f".join(folded).encode()).hexdigest()
