"""Prompts, as shown and as given."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from backend.schemas.common import RequestBody, ResponseBody


class PromptOut(ResponseBody):
    """One immutable version of a prompt; `source` is what it says, as YAML.

    `search` is, of a prompt that a search chose, all that was tried.
    """

    id: int
    label: str
    name: str
    version: int
    digest: str
    source: str
    search: dict[str, Any] | None
    created_at: datetime


class PromptIn(RequestBody):
    """A prompt in YAML: system, template, shots."""

    name: str = Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    source: str = Field(min_length=1, max_length=300_000)


class PromptDiff(ResponseBody):
    """Lines of a unified diff; none where both say the same."""

    old: str
    new: str
    lines: list[str]


class RenderedPrompt(ResponseBody):
    """The messages of an example; `system_replaced`: its own system message gave way."""

    prompt: str
    example: str
    messages: list[dict[str, str]]
    system_replaced: bool
