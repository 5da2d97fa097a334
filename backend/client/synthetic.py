"""Synthetic candidates: drafts of a model, and the queues in which experts decide on them."""

from __future__ import annotations

from backend.client.wire import Resource
from backend.schemas import synthetic
from backend.schemas.queue import JobCancelled


class Synthetic(Resource):
    """Draftings, their drafts and their queues."""

    def ask(self, project_id: int, body: synthetic.DraftingIn) -> synthetic.DraftingOut:
        """Lay a drafting down and queue it."""
        path = f"/v1/projects/{project_id}/draftings"
        return self._wire.create(synthetic.DraftingOut, path, body)

    def get(self, drafting_id: int) -> synthetic.DraftingOut:
        """One drafting."""
        return self._wire.get(synthetic.DraftingOut, f"/v1/draftings/{drafting_id}")

    def drafts(self, drafting_id: int, state: str | None = None) -> list[synthetic.DraftOut]:
        """The drafts in order, all or those of one state."""
        path = f"/v1/draftings/{drafting_id}/drafts"
        return self._wire.get_list(synthetic.DraftOut, path, state=state)

    def open(self, drafting_id: int, body: synthetic.DraftQueueIn) -> synthetic.DraftQueueOut:
        """Open the queue in which experts decide on the kept drafts."""
        path = f"/v1/draftings/{drafting_id}/queues"
        return self._wire.create(synthetic.DraftQueueOut, path, body)

    def cancel(self, drafting_id: int, body: JobCancelled) -> synthetic.DraftingOut:
        """Stop a drafting; what was drafted stays."""
        path = f"/v1/draftings/{drafting_id}/cancel"
        return self._wire.post(synthetic.DraftingOut, path, body)

    def list(self, project_id: int) -> list[synthetic.DraftingOut]:
        """The draftings of a project, the newest first."""
        path = f"/v1/projects/{project_id}/draftings"
        return self._wire.get_list(synthetic.DraftingOut, path)
