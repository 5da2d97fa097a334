"""Datasets, their versions and examples, as shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from backend.schemas.common import NAME_PATTERN, AcceptLeaks, RequestBody, ResponseBody
from backend.schemas.turns import TurnPlace


class SplitOut(ResponseBody):
    """Size of a split."""

    examples: int
    groups: int


class DatasetVersionOut(ResponseBody):
    """An immutable version of a dataset."""

    id: int
    dataset_id: int
    name: str
    number: int
    digest: str
    n_examples: int
    source_name: str
    splits: dict[str, SplitOut]
    created_at: datetime


class ExampleOut(ResponseBody):
    """One example; of a conversation, `input` is the transcript of its `messages`.

    `turns` are the stretches of the input that each message takes.
    """

    id: int
    external_id: str
    input: str
    messages: list[dict[str, str]] | None = None
    turns: list[TurnPlace] = Field(default_factory=list)
    context: str | None
    references: list[str]
    group: str | None
    slices: dict[str, Any]
    split: str


class DatasetIn(RequestBody):
    """A new version of a dataset: rows as `strop dataset import` reads them from a file.

    That is {"input" or "messages", "context"?, "reference" or "references", "id"?, "group"?,
    "slices"?, "split"?}, where messages are [{"role", "content"}, ...] and may end with the answer
    that is the reference; or the rows of other tools, such as Alpaca's or ShareGPT's. Without a
    split on the rows, the server splits them by group.
    """

    name: str = Field(min_length=1, max_length=120, pattern=NAME_PATTERN)
    rows: list[dict[str, Any]] = Field(min_length=1, max_length=20_000)
    shares: tuple[float, float, float] | None = Field(
        None, description="Train, validation and test of rows without a split; .8, .1, .1 if None."
    )
    drop_leaks: bool = False
    accept_leaks: AcceptLeaks = None
