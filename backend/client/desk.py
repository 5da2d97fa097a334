"""What an expert's desk asks of the server; the base of the client for everybody."""

from __future__ import annotations

from backend.client.wire import Wire
from backend.schemas import accounts as users
from backend.schemas.review import desk as review


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

    def submit(
        self, slot_id: int, version: int, answer: review.Answer, *, next: bool = False
    ) -> review.ReviewReceipt:
        """Give the final answer; safe to send again. With `next` the receipt has the next claim."""
        body = review.SubmitGiven(version=version, answer=answer, next=next)
        return self._post(review.ReviewReceipt, f"/v1/review-slots/{slot_id}/submit", body)

    def skip(
        self, slot_id: int, version: int, reason: str, *, next: bool = False
    ) -> review.ReviewReceipt:
        """Do not answer; the queue's policy says to whom the item goes."""
        body = review.SkipGiven(version=version, reason=reason, next=next)
        return self._post(review.ReviewReceipt, f"/v1/review-slots/{slot_id}/skip", body)

    def revise(self, review_id: int) -> review.ClaimAnswer:
        """Take one's own answer back to the desk; it stands until the new one is submitted."""
        return self._post(review.ClaimAnswer, f"/v1/my/reviews/{review_id}/revise")

    def claim_adjudication(self, queue_id: int) -> review.ClaimAnswer:
        """The next disagreement to decide, with the answers that differ; or none."""
        path = f"/v1/review-queues/{queue_id}/adjudications/claim"
        return self._post(review.ClaimAnswer, path)

    def contest_gold(self, result_id: int, reason: str) -> review.GoldFeedback:
        """Say that a known answer is wrong; a lead looks at it."""
        body = review.ContestGiven(reason=reason)
        path = f"/v1/my/gold-results/{result_id}/contest"
        return self._post(review.GoldFeedback, path, body)

    def my_gold_results(self, queue_id: int) -> list[review.GoldFeedback]:
        """How I did on the known answers of a queue that stand, the last one first."""
        path = f"/v1/my/review-queues/{queue_id}/gold-results"
        return self._get_list(review.GoldFeedback, path)

    def lapsed(self, queue_id: int, slot_id: int, version: int) -> review.ClaimAnswer:
        """An item that went to somebody else before I had answered, with my draft of it."""
        path = f"/v1/my/review-queues/{queue_id}/lapsed"
        return self._get(review.ClaimAnswer, path, slot_id=slot_id, version=version)

    def links(self, slot_id: int) -> list[review.Link]:
        """Which stretches of the output the source supports, and where."""
        return self._get_list(review.Link, f"/v1/review-slots/{slot_id}/links")
