"""What a thing was made of, and what it went into."""

from __future__ import annotations

from backend.client.wire import Resource
from backend.schemas import rounds


class Lineage(Resource):
    """What a thing was made of, and what it went into."""

    def of(self, project_id: int, of: str) -> rounds.LineageOut:
        """What a thing was made of, and what it went into."""
        return self._get(rounds.LineageOut, f"/v1/projects/{project_id}/lineage", of=of)
