"""What the fake client answers about the health of data."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from backend.schemas.common import Page
from backend.schemas.health import (
    HealthFindingOut,
    HealthIn,
    HealthKindOut,
    HealthQueueOut,
    HealthReportOut,
    HealthReviewIn,
)
from backend.services.datasets.health.findings import HealthMaterial
from backend.services.datasets.health.kinds import examine
from tests.fixtures_health import text_rows

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class FakeHealth:
    """Reports from `project["health"]`, findings from `project["findings"]`."""

    project: dict[str, Any]

    def datasets_health_reports(self, project_id: int) -> list[HealthReportOut]:
        return list(self.project.get("health", []))

    def datasets_health(self, health_report_id: int) -> HealthReportOut:
        return next(one for one in self.project["health"] if one.id == health_report_id)

    def datasets_findings(
        self, health_report_id: int, *, kind: str | None = None, limit: int = 50
    ) -> Page[HealthFindingOut]:
        found = [one for one in self.project.get("findings", []) if kind in (None, one.kind)]
        return Page(items=found[:limit])

    def datasets_review_findings(
        self, health_report_id: int, body: HealthReviewIn
    ) -> HealthQueueOut:
        self.project.setdefault("sent", []).append(body)
        return HealthQueueOut(queue_id=5, queue=body.name, n_items=3, notes=["Mind the test."])

    def datasets_ask_health(self, project_id: int, body: HealthIn) -> HealthReportOut:
        self.project.setdefault("asked", []).append(body)
        return report(finished_at=None, state="queued", kinds=[])

    def datasets_list(self, project_id: int) -> list[Any]:
        return list(self.project.get("datasets", []))


def report(**changed: Any) -> HealthReportOut:
    """A report on sixty texts, of which none is faulty but for what `changed` says."""
    told = examine(HealthMaterial(text_rows()), ["residue", "empty", "label_errors", "drift"])
    values: dict[str, Any] = {
        **told.as_dict(rows=False),
        "id": 1,
        "dataset": "calls@1",
        "dataset_version_id": 1,
        "state": "done",
        "error": None,
        "kinds": [HealthKindOut.model_validate(one.as_dict()) for one in told.kinds],
        "created_at": NOW,
        "finished_at": NOW,
    }
    return HealthReportOut(**{**values, **changed})


def finding(number: int, **changed: Any) -> HealthFindingOut:
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
    return HealthFindingOut(**{**values, **changed})
