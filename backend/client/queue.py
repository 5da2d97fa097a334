"""Long work: what is queued and runs, and cancelling it; what was made stays."""

from __future__ import annotations

from backend.client.wire import Resource
from backend.schemas.queue import JobCancelled, JobOut
from backend.schemas.runs import GenerationRunOut, ScoreRunOut
from backend.schemas.training import TrainingRunOut


class Jobs(Resource):
    """Long work: what is queued and runs, and cancelling it; what was made stays."""

    def all(self) -> list[JobOut]:
        """The newest jobs of all projects; for admins."""
        return self._list(JobOut, "/v1/jobs")

    def cancel_run(self, run_id: int, reason: str | None = None) -> GenerationRunOut:
        """Stop a generation run and what is scored of it."""
        path = f"/v1/generation-runs/{run_id}/cancel"
        return self._post(GenerationRunOut, path, JobCancelled(reason=reason))

    def cancel_score_run(self, score_run_id: int, reason: str | None = None) -> ScoreRunOut:
        """Stop a scoring."""
        path = f"/v1/score-runs/{score_run_id}/cancel"
        return self._post(ScoreRunOut, path, JobCancelled(reason=reason))

    def cancel_training(self, run_id: int, reason: str | None = None) -> TrainingRunOut:
        """Stop a training."""
        path = f"/v1/training-runs/{run_id}/cancel"
        return self._post(TrainingRunOut, path, JobCancelled(reason=reason))

    def list(self, project_id: int) -> list[JobOut]:
        """The newest jobs of a project."""
        return self._list(JobOut, f"/v1/projects/{project_id}/jobs")
