"""Training runs and their loss curves."""

from __future__ import annotations

from backend.client.wire import Resource
from backend.schemas import training


class Training(Resource):
    """Training runs and their loss curves."""

    def start(self, project_id: int, body: training.TrainingRunIn) -> training.TrainingRunOut:
        """Queue a training."""
        path = f"/v1/projects/{project_id}/training-runs"
        return self._create(training.TrainingRunOut, path, body)

    def get(self, training_run_id: int) -> training.TrainingRunOut:
        """One training run."""
        return self._get(training.TrainingRunOut, f"/v1/training-runs/{training_run_id}")

    def progress(self, training_run_id: int) -> training.TrainingProgress:
        """Its loss curve so far."""
        return self._get(training.TrainingProgress, f"/v1/training-runs/{training_run_id}/progress")

    def list(self, project_id: int) -> list[training.TrainingRunOut]:
        """The training runs, newest first."""
        return self._list(training.TrainingRunOut, f"/v1/projects/{project_id}/training-runs")
