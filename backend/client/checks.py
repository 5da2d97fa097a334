"""Checks: what skips review by its risk, and how the guarantee of it stands."""

from __future__ import annotations

from backend.client.wire import Resource
from backend.schemas.checks import triage


class Checks(Resource):
    """What points reviewers to what is wrong, and what spares them."""

    def routings(self, project_id: int) -> list[triage.RoutingShown]:
        """Every queue of a project of which something skipped review, newest first."""
        return self._wire.get_list(triage.RoutingShown, f"/v1/projects/{project_id}/routings")

    def skipped(self, queue_id: int) -> triage.RoutingShown:
        """What of a queue skipped review, and how its guarantee stands."""
        return self._wire.get(triage.RoutingShown, f"/v1/review-queues/{queue_id}/skipped")

    def return_skipped(self, queue_id: int) -> triage.RoutingShown:
        """Put what skipped into the queue, after what is there."""
        path = f"/v1/review-queues/{queue_id}/skipped/return"
        return self._wire.post(triage.RoutingShown, path)
