"""Review queues over HTTP: opening, progress, votes, what reviewers said; a part of the client."""

from __future__ import annotations

from backend.client.wire import Wire
from backend.schemas.common import Page
from backend.schemas.review import queues as review_designs
from backend.schemas.review import queues as review_queues
from backend.schemas.review.desk import QueueKindName


class QueueClient(Wire):
    """Review queues as engineers open and see them."""

    def list_queues(self, project_id: int) -> list[review_queues.ReviewQueueShown]:
        """The review queues of a project, newest first."""
        path = f"/v1/projects/{project_id}/review-queues"
        return self._get_list(review_queues.ReviewQueueShown, path)

    def open_queue(
        self, project_id: int, body: review_queues.ReviewQueueGiven
    ) -> review_queues.ReviewQueueShown:
        """Open a review queue."""
        path = f"/v1/projects/{project_id}/review-queues"
        return self._create(review_queues.ReviewQueueShown, path, body)

    def review_defaults(
        self, project_id: int, kind: QueueKindName = "single"
    ) -> review_designs.OpeningDefaults:
        """What a new queue of this kind is where a request names nothing."""
        path = f"/v1/projects/{project_id}/review-defaults"
        return self._get(review_designs.OpeningDefaults, path, kind=kind)

    def queue(self, queue_id: int) -> review_queues.ReviewQueueShown:
        """A queue with its reviewers' progress."""
        return self._get(review_queues.ReviewQueueShown, f"/v1/review-queues/{queue_id}")

    def close_queue(self, queue_id: int) -> review_queues.ReviewQueueShown:
        """Give out no more items of a queue."""
        return self._post(review_queues.ReviewQueueShown, f"/v1/review-queues/{queue_id}/close")

    def preferences(self, queue_id: int) -> list[review_queues.PreferencesShown]:
        """The votes of a queue of blind pairs, for each two of its models."""
        path = f"/v1/review-queues/{queue_id}/preferences"
        return self._get_list(review_queues.PreferencesShown, path)

    def list_reviews(
        self,
        queue_id: int,
        *,
        item_id: int | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[review_queues.ReviewShown]:
        """A page of what reviewers said, newest first; of one item where it is named."""
        return self._get(
            Page[review_queues.ReviewShown],
            f"/v1/review-queues/{queue_id}/reviews",
            item_id=item_id,
            limit=limit,
            cursor=cursor,
        )
