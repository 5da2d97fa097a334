"""What was spent."""

from __future__ import annotations

from backend.client.wire import Resource
from backend.schemas import costs


class Costs(Resource):
    """What was spent."""

    def of(self, project_id: int, *, limit: int = 20) -> costs.CostReport:
        """What the newest runs, trainings, rounds and queues of a project took."""
        return self._get(costs.CostReport, f"/v1/projects/{project_id}/costs", limit=limit)
