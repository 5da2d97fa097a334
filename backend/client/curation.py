"""Frozen training sets."""

from __future__ import annotations

from collections.abc import Iterator

from backend.client.wire import Resource
from backend.schemas import curation


class Curation(Resource):
    """Frozen training sets."""

    def freeze(self, project_id: int, body: curation.TrainingSetIn) -> curation.TrainingSetOut:
        """Freeze a training set."""
        path = f"/v1/projects/{project_id}/training-sets"
        return self._create(curation.TrainingSetOut, path, body)

    def export(self, training_set_id: int, format: str) -> Iterator[bytes]:
        """The rows as JSONL in another tool's format, in pieces as they arrive."""
        return self._stream(f"/v1/training-sets/{training_set_id}/export", format=format)

    def list(self, project_id: int) -> list[curation.TrainingSetOut]:
        """The frozen training sets, newest first."""
        return self._list(curation.TrainingSetOut, f"/v1/projects/{project_id}/training-sets")
