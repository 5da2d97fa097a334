"""Stopping long work, asked over HTTP; for engineers and leads."""

from __future__ import annotations

from backend.client.wire import Wire
from backend.schemas.queue import JobCancelled
from backend.schemas.runs import GenerationRunShown, ScoreRunShown
from backend.schemas.training import TrainingRunShown


class JobClient(Wire):
    """Cancelling runs, scorings and trainings; what they made stays."""

    def cancel_run(self, run_id: int, reason: str | None = None) -> GenerationRunShown:
        """Stop a generation run and what is scored of it."""
        path = f"/v1/generation-runs/{run_id}/cancel"
        return self._post(GenerationRunShown, path, JobCancelled(reason=reason))

    def cancel_score_run(self, score_run_id: int, reason: str | None = None) -> ScoreRunShown:
        """Stop a scoring."""
        path = f"/v1/score-runs/{score_run_id}/cancel"
        return self._post(ScoreRunShown, path, JobCancelled(reason=reason))

    def cancel_training(self, run_id: int, reason: str | None = None) -> TrainingRunShown:
        """Stop a training."""
        path = f"/v1/training-runs/{run_id}/cancel"
        return self._post(TrainingRunShown, path, JobCancelled(reason=reason))
