"""Datasets in versions, and their examples."""

from __future__ import annotations

from backend.client.wire import Resource
from backend.schemas import datasets
from backend.schemas.common import Page


class Datasets(Resource):
    """Datasets in versions, and their examples."""

    def upload(self, project_id: int, body: datasets.DatasetGiven) -> datasets.DatasetVersionShown:
        """Import rows as the next version of a dataset."""
        path = f"/v1/projects/{project_id}/datasets"
        return self._wire.create(datasets.DatasetVersionShown, path, body)

    def examples(
        self,
        dataset_version_id: int,
        *,
        split: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[datasets.ExampleShown]:
        """A page of examples."""
        return self._wire.get(
            Page[datasets.ExampleShown],
            f"/v1/dataset-versions/{dataset_version_id}/examples",
            split=split,
            limit=limit,
            cursor=cursor,
        )

    def list(self, project_id: int) -> list[datasets.DatasetVersionShown]:
        """All versions of all datasets, newest first."""
        return self._wire.get_list(
            datasets.DatasetVersionShown, f"/v1/projects/{project_id}/datasets"
        )
