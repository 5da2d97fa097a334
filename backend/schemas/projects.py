"""Projects and their success manifests, as shown and as given."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from backend.schemas.common import NAME_PATTERN, Given, Shown


class ProjectShown(Shown):
    """A project."""

    id: int
    name: str
    base_model: str
    created_at: datetime


class ProjectGiven(Given):
    """A new project on a base model; None takes the installation's default."""

    name: str = Field(min_length=1, max_length=120, pattern=NAME_PATTERN)
    base_model: str | None = Field(None, max_length=500)


class ManifestShown(Shown):
    """One version of the bar, with its source as written."""

    id: int
    project_id: int
    version: int
    digest: str
    content: dict[str, Any]
    source: str
    created_at: datetime


class ManifestGiven(Given):
    """A new version of the bar, as YAML."""

    source: str = Field(min_length=1, max_length=200_000)
