"""Model versions and preflights, as shown and as given."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from backend.schemas.common import RequestBody, ResponseBody


class ModelVersionOut(ResponseBody):
    """The base, one revision of another model, or either with a prompt (a candidate).

    `aliases` are those that point at it now. `kind` is weights, served or outputs; `base_model` of
    a served one is the name that its server knows it by, and its digests are empty. `base_id` is
    that of an adapter on another base than the project's. `purpose` is answer, or check of a
    checker, which is no candidate.
    """

    id: int
    label: str
    name: str
    revision: int
    kind: str = "weights"
    purpose: str = "answer"
    base_model: str
    base_sha256: str
    adapter_sha256: str | None
    adapter_rank: int | None
    base_id: int | None = None
    training_run_id: int | None
    prompt_label: str | None = None
    aliases: list[str] = Field(default_factory=list)
    created_at: datetime


class AdapterIn(RequestBody):
    """An adapter folder to register: in the project's own folder below the artifact root, from
    which a relative path counts."""

    name: str = Field(min_length=1, max_length=80, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    path: str = Field(min_length=1, max_length=1000)
    base: str | None = Field(
        None, max_length=120, description="Another base of the project that it is on."
    )


class ServedModelIn(RequestBody):
    """A model that a server of the OpenAI protocol knows by a name; which server, the settings
    say."""

    name: str = Field(min_length=1, max_length=80, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    served_as: str = Field(min_length=1, max_length=300)


class PreflightOut(ResponseBody):
    """The checks made before a run, each with its figures."""

    id: int
    engine: str
    model_ids: list[int]
    passed: bool
    checks: list[dict[str, Any]]
    created_at: datetime
