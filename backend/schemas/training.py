"""Training runs and their loss curves, as shown and as given."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from backend.schemas.common import RequestBody, ResponseBody
from backend.schemas.queue import JobOut


class TrainingRunOut(ResponseBody):
    """A training run; `result` is empty until the adapter is whole.

    It then holds, among others, `ledger` (tokens, seconds, memory, cost), `validation` (loss and,
    of dpo, accuracy on the validation rows, with interval, n and groups) and, of a search, `search`
    (the trials, which was kept, and which the rows do not tell from it). `notes` say what vLLM
    will not serve of it, and which rows were left out or have no end.
    """

    id: int
    project_id: int
    training_set_id: int
    manifest_id: int
    start_model_id: int | None = None
    adapter_name: str
    config: dict[str, Any]
    result: dict[str, Any]
    notes: list[str] = Field(default_factory=list)
    job: JobOut | None
    created_at: datetime
    finished_at: datetime | None


class TrainingRunIn(RequestBody):
    """Train an adapter on a frozen set; `config` holds keys of training.config.TrainingConfig."""

    training_set_id: int
    start: str | None = Field(
        None, max_length=120, description="Model to go on from: champion, v1, v1@2."
    )
    base: str | None = Field(
        None, max_length=120, description="Another base of the project to train on."
    )
    adapter_name: str = Field(min_length=1, max_length=80, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    config: dict[str, Any] = Field(default_factory=dict)


class LossPoint(ResponseBody):
    """One line of the trainer's log; a line has a training loss or an evaluation loss."""

    step: int
    epoch: float
    loss: float | None = None
    eval_loss: float | None = None
    learning_rate: float | None = None


class TrainingProgress(ResponseBody):
    """The loss curve so far."""

    training_run_id: int
    state: str | None
    points: list[LossPoint]
