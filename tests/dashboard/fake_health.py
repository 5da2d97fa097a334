"""What the fake client answers about the health of data."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from backend.schemas.common import Page
from backend.schemas.health import (
    HealthFindingShown,
    HealthGiven,
    HealthKindShown,
    HealthQueueShown,
    HealthReportShown,
    HealthReviewGiven,
)
from backend.services.datasets.health.findings import Material
from backend.services.datasets.health.kinds import examine
from tests.fixtures_health import text_rows

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class FakeHealth:
    """Reports from `project["health"]`, findings from `project["findings"]`."""

    project: dict[str, Any]

    def datasets_health_reports(self, project_id: int) -> list[HealthReportShown]:
        return list(self.project.get("health", []))

    def datasets_health(self, health_report_id: int) -> HealthReportShown:
        return next(one for one in self.project["health"] if one.id == health_report_id)

    def datasets_findings(
        self, health_report_id: int, *, kind: str | None = None, limit: int = 50
    ) -> Page[HealthFindingShown]:
        found = [one for one in self.project.get("findings", []) if kind in (None, one.kind)]
        return Page(items=found[:limit])

    def datasets_review_findings(
        self, health_report_id: int, body: HealthReviewGiven
    ) -> HealthQueueShown:
        self.project.setdefault("sent", []).append(body)
        return HealthQueueShown(queue_id=5, queue=body.name, n_items=3, notes=["Mind the test."])

    def datasets_ask_health(self, project_id: int, body: HealthGiven) -> HealthReportShown:
        self.project.setdefault("asked", []).append(body)
        return report(finished_at=None, state="queued", kinds=[])

    def datasets_list(self, project_id: int) -> list[Any]:
        return list(self.project.get("datasets", []))


def report(**changed: Any) -> HealthReportShown:
    """A report on sixty texts, of which none is faulty but for what `changed` says."""
    told = examine(Material(text_rows()), ["residue", "empty", "label_errors", "drift"])
    values: dict[str, Any] = {
        **told.as_dict(rows=False),
        "id": 1,
        "dataset": "calls@1",
        "dataset_version_id": 1,
        "state": "done",
        "error": None,
        "kinds": [HealthKindShown.model_validate(one.as_dict()) for one in told.kinds],
        "created_at": NOW,
        "finished_at": NOW,
    }
    return HealthReportShown(**{**values, **changed})


def finding(number: int, **changed: Any) -> HealthFindingShown:
    """A flagged example."""
    values: dict[str, Any] = {
        "id": number,
        "kind": "residue",
        "example_id": number,
        "external_id": f"t{number}",
        "split": "train",
        "part": "reference",
        "text": f"Dear {{{{name}}}}, number {number} was sold.",
        "why": "Holds a placeholder in double braces.",
        "start": 5,
        "end": 13,
        "score": 1.0,
        "others": [],
    }
    return HealthFindingShown(**{**values, **changed})
