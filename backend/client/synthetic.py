"""Synthetic candidates: drafts of a model, and the queues in which experts decide on them."""

from __future__ import annotations

from backend.client.wire import Resource
from backend.schemas import synthetic
from backend.schemas.queue import JobCancelled


class Synthetic(Resource):
    """Draftings, their drafts and their queues."""

    def ask(self, project_id: int, body: synthetic.DraftingGiven) -> synthetic.DraftingShown:
        """Lay a drafting down and queue it."""
        path = f"/v1/projects/{project_id}/draftings"
        return self._wire.create(synthetic.DraftingShown, path, body)

    def get(self, drafting_id: int) -> synthetic.DraftingShown:
        """One drafting."""
        return self._wire.get(synthetic.DraftingShown, f"/v1/draftings/{drafting_id}")

    def drafts(self, drafting_id: int, state: str | None = None) -> list[synthetic.DraftShown]:
        """The drafts in order, all or those of one state."""
        path = f"/v1/draftings/{drafting_id}/drafts"
        return self._wire.get_list(synthetic.DraftShown, path, state=state)

    def open(self, drafting_id: int, body: synthetic.DraftQueueGiven) -> synthetic.DraftQueueShown:
        """Open the queue in which experts decide on the kept drafts."""
        path = f"/v1/draftings/{drafting_id}/queues"
        return self._wire.create(synthetic.DraftQueueShown, path, body)

    def cancel(self, drafting_id: int, body: JobCancelled) -> synthetic.DraftingShown:
        """Stop a drafting; what was drafted stays."""
        path = f"/v1/draftings/{drafting_id}/cancel"
        return self._wire.post(synthetic.DraftingShown, path, body)

    def list(self, project_id: int) -> list[synthetic.DraftingShown]:
        """The draftings of a project, the newest first."""
        path = f"/v1/projects/{project_id}/draftings"
        return self._wire.get_list(synthetic.DraftingShown, path)
