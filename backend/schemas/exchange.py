"""The shapes of webhooks and of answers from other tools."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from backend.schemas.common import RequestBody, ResponseBody

SourceName = Literal["label-studio", "argilla", "mqm", "ratings"]
OffsetsName = Literal["code_points", "utf16"]


class ImportIn(RequestBody):
    """Answers given in another tool: tasks of Label Studio or records of Argilla, as exported; or
    marks of MQM, or ratings, a row each.

    `people` maps names in the other tool (ids, addresses) to our user names or pseudonyms;
    `offsets` says what marks count that do not quote their text.
    """

    source: SourceName
    rows: list[Any] = Field(min_length=1, max_length=100_000)
    people: dict[str, str] = Field(default_factory=dict, max_length=10_000)
    offsets: OffsetsName = "code_points"


class RefusedOut(ResponseBody):
    """An answer that was not taken: its row in the file, its id there, and why."""

    row: int
    id: str
    reason: str


class ImportOut(ResponseBody):
    """What became of imported answers; `reasons` counts the refused ones, most first.

    `repeated` are answers that the queue had already: taken before, or our own that came back.
    """

    taken: int
    repeated: int
    reasons: dict[str, int]
    refused: list[RefusedOut]


class WebhookIn(RequestBody):
    """An address to tell of events; without a secret one is made."""

    url: str = Field(max_length=2_000, description="http or https; set by an engineer.")
    events: list[str] | None = Field(None, max_length=20, description="Default: all events.")
    secret: str | None = Field(None, max_length=200, description="whsec_ and base64.")


class WebhookOut(ResponseBody):
    """A webhook without its secret."""

    id: int
    project_id: int
    url: str
    events: list[str]
    active: bool
    created_at: datetime


class WebhookCreated(WebhookOut):
    """A new webhook with the secret that signs what it is sent."""

    secret: str


class DeliveryOut(ResponseBody):
    """What was or is to be sent to a webhook, and how that went."""

    id: int
    webhook_id: int
    event: str
    key: str
    payload: dict[str, Any]
    state: str
    attempts: int
    next_attempt_at: datetime
    last_status: int | None
    last_error: str | None
    created_at: datetime
    delivered_at: datetime | None
