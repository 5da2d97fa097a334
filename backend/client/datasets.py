"""Datasets in versions, and their examples."""

from __future__ import annotations

from backend.client.wire import Resource
from backend.schemas import datasets
from backend.schemas import health as examined
from backend.schemas.common import Page


class Datasets(Resource):
    """Datasets in versions, and their examples."""

    def upload(self, project_id: int, body: datasets.DatasetIn) -> datasets.DatasetVersionOut:
        """Import rows as the next version of a dataset."""
        return self._create(datasets.DatasetVersionOut, f"/v1/projects/{project_id}/datasets", body)

    def examples(
        self,
        dataset_version_id: int,
        *,
        split: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[datasets.ExampleOut]:
        """A page of examples."""
        return self._get(
            Page[datasets.ExampleOut],
            f"/v1/dataset-versions/{dataset_version_id}/examples",
            split=split,
            limit=limit,
            cursor=cursor,
        )

    def ask_health(self, project_id: int, body: examined.HealthIn) -> examined.HealthReportOut:
        """Have a dataset version examined by a worker."""
        path = f"/v1/projects/{project_id}/health-reports"
        return self._create(examined.HealthReportOut, path, body)

    def health(self, health_report_id: int) -> examined.HealthReportOut:
        """One report with its kinds."""
        return self._get(examined.HealthReportOut, f"/v1/health-reports/{health_report_id}")

    def findings(
        self,
        health_report_id: int,
        *,
        kind: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[examined.HealthFindingOut]:
        """A page of what a report flags."""
        return self._get(
            Page[examined.HealthFindingOut],
            f"/v1/health-reports/{health_report_id}/findings",
            kind=kind,
            limit=limit,
            cursor=cursor,
        )

    def review_findings(
        self, health_report_id: int, body: examined.HealthReviewIn
    ) -> examined.HealthQueueOut:
        """Open a review queue on what a report flags."""
        path = f"/v1/health-reports/{health_report_id}/review"
        return self._create(examined.HealthQueueOut, path, body)

    def health_reports(self, project_id: int) -> list[examined.HealthReportOut]:
        """The reports of a project, the newest first."""
        return self._list(examined.HealthReportOut, f"/v1/projects/{project_id}/health-reports")

    def list(self, project_id: int) -> list[datasets.DatasetVersionOut]:
        """All versions of all datasets, newest first."""
        return self._list(datasets.DatasetVersionOut, f"/v1/projects/{project_id}/datasets")
