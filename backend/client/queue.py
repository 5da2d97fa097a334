"""Long work: what is queued and runs, and cancelling it; what was made stays."""

from __future__ import annotations

from backend.client.wire import Resource
from backend.schemas.queue import JobCancelled, JobShown
from backend.schemas.runs import GenerationRunShown, ScoreRunShown
from backend.schemas.training import TrainingRunShown


class Jobs(Resource):
    """Long work: what is queued and runs, and cancelling it; what was made stays."""

    def all(self) -> list[JobShown]:
        """The newest jobs of all projects; for admins."""
        return self._wire.get_list(JobShown, "/v1/jobs")

    def cancel_run(self, run_id: int, reason: str | None = None) -> GenerationRunShown:
        """Stop a generation run and what is scored of it."""
        path = f"/v1/generation-runs/{run_id}/cancel"
        return self._wire.post(GenerationRunShown, path, JobCancelled(reason=reason))

    def cancel_score_run(self, score_run_id: int, reason: str | None = None) -> ScoreRunShown:
        """Stop a scoring."""
        path = f"/v1/score-runs/{score_run_id}/cancel"
        return self._wire.post(ScoreRunShown, path, JobCancelled(reason=reason))

    def cancel_training(self, run_id: int, reason: str | None = None) -> TrainingRunShown:
        """Stop a training."""
        path = f"/v1/training-runs/{run_id}/cancel"
        return self._wire.post(TrainingRunShown, path, JobCancelled(reason=reason))

    def list(self, project_id: int) -> list[JobShown]:
        """The newest jobs of a project."""
        return self._wire.get_list(JobShown, f"/v1/projects/{project_id}/jobs")
