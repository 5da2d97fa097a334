"""Masking policies, what masking found, and originals, as shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from backend.schemas.common import RequestBody, ResponseBody


class MaskingPolicyIn(RequestBody):
    """A masking policy in YAML; an empty text is the policy of all defaults."""

    source: str = Field(max_length=200_000)


class MaskingPolicyOut(ResponseBody):
    """A version of a masking policy.

    `key_id` is the name of its key, which tells nothing of the key; `key_is_here` whether the
    server has that key in use, without which nothing can be imported.
    """

    id: int
    version: int
    digest: str
    source: str
    content: dict[str, Any]
    key_id: str
    key_is_here: bool
    created_at: datetime


class MaskingOut(ResponseBody):
    """What a project masks, and what was found: surrogates by kind, in examples that are masked.

    `titles` says in words what each kind is. `originals_openable` counts the kept originals
    of which the server has the key.
    """

    policy: MaskingPolicyOut | None
    by_kind: dict[str, int]
    titles: dict[str, str]
    n_masked: int
    n_unmasked: int
    n_originals: int
    originals_openable: int


class OriginalOut(ResponseBody):
    """The row from which a masked example was made; the look is in the audit log."""

    example_id: int
    original: dict[str, Any]
