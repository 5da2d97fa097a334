"""The base and its adapters."""

from __future__ import annotations

from backend.client.wire import Resource
from backend.schemas import models


class Models(Resource):
    """The base and its adapters."""

    def add_adapter(self, project_id: int, body: models.AdapterIn) -> models.ModelVersionOut:
        """Register an adapter folder that lies below the server's artifact root."""
        path = f"/v1/projects/{project_id}/model-versions"
        return self._create(models.ModelVersionOut, path, body)

    def add_served(self, project_id: int, body: models.ServedModelIn) -> models.ModelVersionOut:
        """Register a model that a server elsewhere knows by a name."""
        path = f"/v1/projects/{project_id}/served-models"
        return self._create(models.ModelVersionOut, path, body)

    def list(self, project_id: int, *, tried: bool = False) -> list[models.ModelVersionOut]:
        """The base and all adapters, with the aliases that point at them.

        Candidates whose prompt a search only tried come with `tried`.
        """
        path = f"/v1/projects/{project_id}/model-versions"
        return self._list(models.ModelVersionOut, path, tried=tried)
