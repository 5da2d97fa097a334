"""What a lead's pages and programs ask about review queues; a part of the client."""

from __future__ import annotations

from backend.client.wire import Wire
from backend.schemas.review import queues as review_designs
from backend.schemas.review import queues as review_queues
from backend.schemas.review import reports as review_reports


class ReportClient(Wire):
    """Designs before they are opened, and the figures of a queue."""

    def preview_design(
        self, project_id: int, body: review_queues.ReviewQueueGiven
    ) -> review_designs.DesignShown:
        """What a queue would draw and about how long it would take; nothing is stored."""
        path = f"/v1/projects/{project_id}/review-designs"
        return self._post(review_designs.DesignShown, path, body)

    def queue_report(self, queue_id: int) -> review_reports.QueueReportShown:
        """Progress with a forecast, minutes and cost per verdict."""
        path = f"/v1/review-queues/{queue_id}/report"
        return self._get(review_reports.QueueReportShown, path)

    def queue_agreement(
        self, queue_id: int, *, worst: int = 20
    ) -> review_reports.AgreementReportShown:
        """Agreement by criterion, by two reviewers, and the `worst` items."""
        path = f"/v1/review-queues/{queue_id}/agreement"
        return self._get(review_reports.AgreementReportShown, path, worst=worst)

    def queue_estimates(
        self, queue_id: int, *, metric: str | None = None
    ) -> list[review_reports.EstimateShown]:
        """Every criterion of every model, estimated for all outputs; `metric` names the scores."""
        path = f"/v1/review-queues/{queue_id}/estimates"
        return self._get_list(review_reports.EstimateShown, path, metric=metric)

    def watch_queue(
        self, queue_id: int, *, margin: float = 0.0, alpha: float = 0.05
    ) -> list[review_reports.WatchShown]:
        """The A/B of each two models, which may be looked at and stopped at any time."""
        path = f"/v1/review-queues/{queue_id}/watch"
        return self._get_list(review_reports.WatchShown, path, margin=margin, alpha=alpha)

    def queue_effects(self, queue_id: int) -> list[review_reports.EffectShown]:
        """Side, length and order effects, and the fatigue check."""
        path = f"/v1/review-queues/{queue_id}/effects"
        return self._get_list(review_reports.EffectShown, path)

    def queue_reviewers(self, queue_id: int) -> list[review_reports.ReviewerQualityShown]:
        """Every reviewer's work, time, agreement and warnings, by pseudonym."""
        path = f"/v1/review-queues/{queue_id}/reviewers"
        return self._get_list(review_reports.ReviewerQualityShown, path)
