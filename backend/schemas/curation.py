"""Training sets, as shown and as given."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from backend.schemas.common import NAME_PATTERN, AcceptLeaks, RequestBody, ResponseBody


class TrainingSetOut(ResponseBody):
    """A frozen set. `recipe` holds what went in and how many rows were refused, and why;
    `in_words` says the same in sentences.
    """

    id: int
    project_id: int
    name: str
    recipe: dict[str, Any]
    digest: str
    n_rows: int
    simulated: bool
    created_at: datetime
    in_words: list[str] = Field(default_factory=list)


class TrainingSetIn(RequestBody):
    """Freeze a training set by a recipe (checked by the curation service)."""

    name: str = Field(min_length=1, max_length=120, pattern=NAME_PATTERN)
    recipe: dict[str, Any] = Field(default_factory=dict)
    accept_leaks: AcceptLeaks = None
