"""Erasing examples and people, and how long things are kept."""

from __future__ import annotations

from backend.client.wire import Resource
from backend.schemas import erasure as shapes


class Erasures(Resource):
    """Erasing examples and people, and how long things are kept."""

    def preview(
        self, project_id: int, what: str, *, group: bool = False, copies: bool = True
    ) -> shapes.ErasurePreview:
        """What hangs on an example before it is erased."""
        path = f"/v1/projects/{project_id}/erasures/preview"
        asked = {"what": what, "group": group, "copies": copies}
        return self._get(shapes.ErasurePreview, path, **asked)

    def erase(self, project_id: int, body: shapes.ErasureIn) -> shapes.ErasureOut:
        """Erase an example or a group for good."""
        return self._create(shapes.ErasureOut, f"/v1/projects/{project_id}/erasures", body)

    def erase_person(self, user_id: int, body: shapes.PersonErasureIn) -> shapes.ErasureOut:
        """Erase a person's name, secrets, drafts and comments."""
        return self._create(shapes.ErasureOut, f"/v1/users/{user_id}/erase", body)

    def retention(self, project_id: int) -> list[shapes.RetentionPeriod]:
        """For how many days a project keeps each kind."""
        return self._list(shapes.RetentionPeriod, f"/v1/projects/{project_id}/retention")

    def keep(self, project_id: int, body: shapes.RetentionIn) -> shapes.RetentionPeriod:
        """Set for how many days a project keeps a kind."""
        return self._put(shapes.RetentionPeriod, f"/v1/projects/{project_id}/retention", body)

    def list(self, project_id: int) -> list[shapes.ErasureOut]:
        """What was erased of a project, newest first."""
        return self._list(shapes.ErasureOut, f"/v1/projects/{project_id}/erasures")
