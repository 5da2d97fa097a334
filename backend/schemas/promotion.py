"""Promotions: the append-only log of decisions, as shown and as given."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from backend.schemas.common import Given, Shown


class PromotionShown(Shown):
    """One decision about one model; the newest of an alias that moved it says where it points.

    `override` is why it was made without a passing preflight and verdict. `evidence` has what it
    rested on: verdict, preflight, bar, digests, what the servers answered and, under `unserved`,
    why the alias moved without them. `simulated`: a script decided; `n_simulated` counts the votes
    by a script under the comparison that it rests on.
    """

    id: int
    project_id: int
    alias: str
    model: str
    action: str
    comparison_id: int | None
    reason: str
    override: str | None = None
    evidence: dict[str, Any] | None = None
    simulated: bool
    n_simulated: int = 0
    decided_by: str | None
    created_at: datetime


class PromotionGiven(Given):
    """Promote by a comparison, or roll an alias back.

    `override` is the signed reason for promoting without a PASS, `allow_unserved` that for moving
    though a server does not serve the model; a rollback needs its `reason`. `expected_current` is
    the label of the model at which you saw the alias point (`none` for none): when it points
    elsewhere by now, the answer is 409 and nothing moves.
    """

    action: Literal["promote", "rollback"] = "promote"
    alias: str = Field("champion", min_length=1, max_length=40, pattern=r"^[a-z][a-z0-9_-]*$")
    comparison_id: int | None = None
    expected_current: str | None = Field(None, min_length=1, max_length=200)
    override: str | None = Field(None, min_length=1, max_length=2_000)
    allow_unserved: str | None = Field(None, min_length=1, max_length=2_000)
    reason: str | None = Field(None, min_length=1, max_length=2_000)
