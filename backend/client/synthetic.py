"""Synthetic candidates: drafts of a model, and the queues in which experts decide on them."""

from __future__ import annotations

from backend.client.wire import Resource
from backend.schemas import synthetic
from backend.schemas.queue import JobCancelled


class Synthetic(Resource):
    """Draftings, their drafts and their queues."""

    def ask(self, project_id: int, body: synthetic.DraftingIn) -> synthetic.DraftingOut:
        """Lay a drafting down and queue it."""
        return self._create(synthetic.DraftingOut, f"/v1/projects/{project_id}/draftings", body)

    def get(self, drafting_id: int) -> synthetic.DraftingOut:
        """One drafting."""
        return self._get(synthetic.DraftingOut, f"/v1/draftings/{drafting_id}")

    def drafts(self, drafting_id: int, state: str | None = None) -> list[synthetic.DraftOut]:
        """The drafts in order, all or those of one state."""
        return self._list(synthetic.DraftOut, f"/v1/draftings/{drafting_id}/drafts", state=state)

    def open(self, drafting_id: int, body: synthetic.DraftQueueIn) -> synthetic.DraftQueueOut:
        """Open the queue in which experts decide on the kept drafts."""
        return self._create(synthetic.DraftQueueOut, f"/v1/draftings/{drafting_id}/queues", body)

    def cancel(self, drafting_id: int, body: JobCancelled) -> synthetic.DraftingOut:
        """Stop a drafting; what was drafted stays."""
        return self._post(synthetic.DraftingOut, f"/v1/draftings/{drafting_id}/cancel", body)

    def list(self, project_id: int) -> list[synthetic.DraftingOut]:
        """The draftings of a project, the newest first."""
        return self._list(synthetic.DraftingOut, f"/v1/projects/{project_id}/draftings")
