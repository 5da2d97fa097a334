"""What an expert's desk asks of the server; the base of the client for everybody."""

from __future__ import annotations

from backend.schemas import review, users
from backend.wire import Wire


class DeskClient(Wire):
    """Who am I, my queues, and one item at a time."""

    def me(self) -> users.Me:
        """Who is signed in."""
        return self._get(users.Me, "/v1/me")

    def sign_out(self) -> None:
        """End the session on the server; the cookie is worth nothing afterwards."""
        self._send("POST", "/v1/logout")

    # the review desk

    def my_queues(self) -> list[review.ReviewQueueForMe]:
        """The queues that I may claim from, open ones first."""
        return self._get_list(review.ReviewQueueForMe, "/v1/my/review-queues")

    def my_queue(self, queue_id: int) -> review.ReviewQueueForMe:
        """One of them."""
        return self._get(review.ReviewQueueForMe, f"/v1/my/review-queues/{queue_id}")

    def my_reviews(
        self, queue_id: int, *, limit: int = 20, before: int | None = None
    ) -> list[review.OwnReview]:
        """My finished reviews of a queue, the last one first."""
        path = f"/v1/my/review-queues/{queue_id}/reviews"
        return self._get_list(review.OwnReview, path, limit=limit, before=before)

    def claim(self, queue_id: int) -> review.ClaimAnswer:
        """My next item, or the one that I hold with its draft; none when nothing is left."""
        return self._post(review.ClaimAnswer, f"/v1/review-queues/{queue_id}/claim")

    def heartbeat(self, slot_id: int, version: int) -> review.LeaseShown:
        """Extend a lease."""
        body = review.HeartbeatGiven(version=version)
        return self._post(review.LeaseShown, f"/v1/review-slots/{slot_id}/heartbeat", body)

    def save_draft(self, slot_id: int, version: int, answer: review.Answer) -> review.LeaseShown:
        """Keep an unfinished answer on the server."""
        body = review.DraftGiven(version=version, answer=answer)
        return self._put(review.LeaseShown, f"/v1/review-slots/{slot_id}/draft", body)

    def submit(self, slot_id: int, version: int, answer: review.Answer) -> review.ReviewReceipt:
        """Give the final answer; safe to send again."""
        body = review.SubmitGiven(version=version, answer=answer)
        return self._post(review.ReviewReceipt, f"/v1/review-slots/{slot_id}/submit", body)

    def skip(self, slot_id: int, version: int, reason: str) -> review.ReviewReceipt:
        """Hand the item to others."""
        body = review.SkipGiven(version=version, reason=reason)
        return self._post(review.ReviewReceipt, f"/v1/review-slots/{slot_id}/skip", body)
