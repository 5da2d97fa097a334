"""Review: the expert's desk, queues with their figures, quality, rubrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from backend.client.wire import Resource
from backend.schemas import rounds
from backend.schemas.common import Page
from backend.schemas.review import desk as review
from backend.schemas.review import quality, reports
from backend.schemas.review import queues as designs
from backend.schemas.review.desk import QueueKindName


class Desk(Resource):
    """An expert's own queues, and one item at a time."""

    def queues(self) -> list[review.ReviewQueueForMe]:
        """The queues that I may claim from, open ones first."""
        return self._list(review.ReviewQueueForMe, "/v1/my/review-queues")

    def queue(self, queue_id: int) -> review.ReviewQueueForMe:
        """One of them."""
        return self._get(review.ReviewQueueForMe, f"/v1/my/review-queues/{queue_id}")

    def reviews(
        self, queue_id: int, *, limit: int = 20, before: int | None = None
    ) -> list[review.OwnReview]:
        """My finished reviews of a queue, the last one first."""
        path = f"/v1/my/review-queues/{queue_id}/reviews"
        return self._list(review.OwnReview, path, limit=limit, before=before)

    def claim(self, queue_id: int) -> review.ClaimAnswer:
        """My next item, or the one that I hold with its draft; none when nothing is left."""
        return self._post(review.ClaimAnswer, f"/v1/review-queues/{queue_id}/claim")

    def heartbeat(self, slot_id: int, version: int) -> review.LeaseOut:
        """Extend a lease."""
        body = review.HeartbeatIn(version=version)
        return self._post(review.LeaseOut, f"/v1/review-slots/{slot_id}/heartbeat", body)

    def save_draft(self, slot_id: int, version: int, answer: review.AnswerIn) -> review.LeaseOut:
        """Keep an unfinished answer on the server."""
        body = review.DraftIn(version=version, answer=answer)
        return self._put(review.LeaseOut, f"/v1/review-slots/{slot_id}/draft", body)

    def submit(
        self, slot_id: int, version: int, answer: review.AnswerIn, *, next: bool = False
    ) -> review.ReviewReceipt:
        """Give the final answer; safe to send again. With `next` the receipt has the next claim."""
        body = review.SubmitIn(version=version, answer=answer, next=next)
        return self._post(review.ReviewReceipt, f"/v1/review-slots/{slot_id}/submit", body)

    def skip(
        self, slot_id: int, version: int, reason: str, *, next: bool = False
    ) -> review.ReviewReceipt:
        """Do not answer; the queue's policy says to whom the item goes."""
        body = review.SkipIn(version=version, reason=reason, next=next)
        return self._post(review.ReviewReceipt, f"/v1/review-slots/{slot_id}/skip", body)

    def revise(self, review_id: int) -> review.ClaimAnswer:
        """Take one's own answer back to the desk; it stands until the new one is submitted."""
        return self._post(review.ClaimAnswer, f"/v1/my/reviews/{review_id}/revise")

    def claim_adjudication(self, queue_id: int) -> review.ClaimAnswer:
        """The next disagreement to decide, with the answers that differ; or none."""
        return self._post(review.ClaimAnswer, f"/v1/review-queues/{queue_id}/adjudications/claim")

    def contest_gold(self, result_id: int, reason: str) -> review.GoldFeedback:
        """Say that a known answer is wrong; a lead looks at it."""
        body = review.ContestIn(reason=reason)
        return self._post(review.GoldFeedback, f"/v1/my/gold-results/{result_id}/contest", body)

    def gold_results(self, queue_id: int) -> list[review.GoldFeedback]:
        """How I did on the known answers of a queue that stand, the last one first."""
        return self._list(review.GoldFeedback, f"/v1/my/review-queues/{queue_id}/gold-results")

    def lapsed(self, queue_id: int, slot_id: int, version: int) -> review.ClaimAnswer:
        """An item that went to somebody else before I had answered, with my draft of it."""
        path = f"/v1/my/review-queues/{queue_id}/lapsed"
        return self._get(review.ClaimAnswer, path, slot_id=slot_id, version=version)

    def links(self, slot_id: int) -> list[review.LinkOut]:
        """Which stretches of the output the source supports, and where."""
        return self._list(review.LinkOut, f"/v1/review-slots/{slot_id}/links")


class Queues(Resource):
    """Review queues as a lead opens and reads them, with their figures."""

    def open(self, project_id: int, body: designs.ReviewQueueIn) -> designs.ReviewQueueOut:
        """Open a review queue."""
        path = f"/v1/projects/{project_id}/review-queues"
        return self._create(designs.ReviewQueueOut, path, body)

    def defaults(self, project_id: int, kind: QueueKindName = "single") -> designs.OpeningDefaults:
        """What a new queue of this kind is where a request names nothing."""
        path = f"/v1/projects/{project_id}/review-defaults"
        return self._get(designs.OpeningDefaults, path, kind=kind)

    def get(self, queue_id: int) -> designs.ReviewQueueOut:
        """A queue with its reviewers' progress."""
        return self._get(designs.ReviewQueueOut, f"/v1/review-queues/{queue_id}")

    def close(self, queue_id: int) -> designs.ReviewQueueOut:
        """Give out no more items of a queue."""
        return self._post(designs.ReviewQueueOut, f"/v1/review-queues/{queue_id}/close")

    def preferences(self, queue_id: int) -> list[designs.PreferencesOut]:
        """The votes of a queue of blind pairs, for each two of its models."""
        return self._list(designs.PreferencesOut, f"/v1/review-queues/{queue_id}/preferences")

    def reviews(
        self,
        queue_id: int,
        *,
        item_id: int | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[designs.ReviewOut]:
        """A page of what reviewers said, newest first; of one item where it is named."""
        return self._get(
            Page[designs.ReviewOut],
            f"/v1/review-queues/{queue_id}/reviews",
            item_id=item_id,
            limit=limit,
            cursor=cursor,
        )

    def preview(self, project_id: int, body: designs.ReviewQueueIn) -> designs.DesignOut:
        """What a queue would draw and about how long it would take; nothing is stored."""
        return self._post(designs.DesignOut, f"/v1/projects/{project_id}/review-designs", body)

    def report(self, queue_id: int) -> reports.QueueReportOut:
        """Progress with a forecast, minutes and cost per verdict."""
        return self._get(reports.QueueReportOut, f"/v1/review-queues/{queue_id}/report")

    def agreement(self, queue_id: int, *, worst: int = 20) -> reports.AgreementReportOut:
        """Agreement by criterion, by two reviewers, and the `worst` items."""
        path = f"/v1/review-queues/{queue_id}/agreement"
        return self._get(reports.AgreementReportOut, path, worst=worst)

    def estimates(self, queue_id: int, *, metric: str | None = None) -> list[reports.EstimateOut]:
        """Every criterion of every model, estimated for all outputs; `metric` names the scores."""
        path = f"/v1/review-queues/{queue_id}/estimates"
        return self._list(reports.EstimateOut, path, metric=metric)

    def watch(
        self, queue_id: int, *, margin: float = 0.0, alpha: float = 0.05
    ) -> list[reports.WatchOut]:
        """The A/B of each two models, which may be looked at and stopped at any time."""
        path = f"/v1/review-queues/{queue_id}/watch"
        return self._list(reports.WatchOut, path, margin=margin, alpha=alpha)

    def effects(self, queue_id: int) -> list[reports.EffectOut]:
        """Side, length and order effects, and the fatigue check."""
        return self._list(reports.EffectOut, f"/v1/review-queues/{queue_id}/effects")

    def reviewers(self, queue_id: int) -> list[reports.ReviewerQualityOut]:
        """Every reviewer's work, time, agreement and warnings, by pseudonym."""
        return self._list(reports.ReviewerQualityOut, f"/v1/review-queues/{queue_id}/reviewers")

    def withdraw_review(self, review_id: int, reason: str) -> rounds.Withdrawn:
        """Take a review back."""
        body = quality.WithdrawalIn(reason=reason)
        return self._post(rounds.Withdrawn, f"/v1/reviews/{review_id}/withdraw", body)

    def list(self, project_id: int) -> list[designs.ReviewQueueOut]:
        """The review queues of a project, newest first."""
        return self._list(designs.ReviewQueueOut, f"/v1/projects/{project_id}/review-queues")


class Quality(Resource):
    """Known answers, pauses and adjudications."""

    def gold(
        self, queue_id: int, *, limit: int = 50, cursor: str | None = None
    ) -> Page[quality.GoldOut]:
        """A page of a queue's known answers, the newest first."""
        path = f"/v1/review-queues/{queue_id}/gold"
        return self._get(Page[quality.GoldOut], path, limit=limit, cursor=cursor)

    def add_gold(self, queue_id: int, rows: Sequence[quality.GoldIn]) -> quality.GoldAdded:
        """Add known answers to a queue: all of them, or none."""
        body = quality.GoldListIn(rows=list(rows))
        return self._create(quality.GoldAdded, f"/v1/review-queues/{queue_id}/gold", body)

    def add_adjudicated_gold(
        self, queue_id: int, adjudication_ids: Sequence[int] = ()
    ) -> quality.GoldAdded:
        """Make known answers of what was decided in the queue."""
        body = quality.AdjudicatedIn(adjudication_ids=list(adjudication_ids))
        path = f"/v1/review-queues/{queue_id}/gold/adjudicated"
        return self._create(quality.GoldAdded, path, body)

    def gold_standing(self, queue_id: int) -> list[quality.GoldStandingOut]:
        """How every reviewer stands on known answers, paused ones first."""
        return self._list(quality.GoldStandingOut, f"/v1/review-queues/{queue_id}/gold-standing")

    def gold_contests(self, queue_id: int, *, settled: bool = False) -> list[quality.ContestOut]:
        """Contests that wait for a lead, the oldest first; or the settled ones, newest first."""
        path = f"/v1/review-queues/{queue_id}/gold-contests"
        return self._list(quality.ContestOut, path, settled=settled)

    def resolve_contest(
        self, result_id: int, resolution: Literal["upheld", "withdrawn"], reason: str = ""
    ) -> quality.ResolutionOut:
        """Uphold a contested known answer, or withdraw it and undo what rested on it."""
        body = quality.ResolutionIn(resolution=resolution, reason=reason)
        return self._post(quality.ResolutionOut, f"/v1/gold-results/{result_id}/resolve", body)

    def withdraw_gold(self, gold_id: int, reason: str) -> quality.ResolutionOut:
        """Withdraw a known answer and undo what rested on it."""
        body = quality.WithdrawalIn(reason=reason)
        return self._post(quality.ResolutionOut, f"/v1/gold-answers/{gold_id}/withdraw", body)

    def pause_reviewer(self, queue_id: int, reviewer: str, reason: str) -> quality.GoldStandingOut:
        """Give a reviewer (a pseudonym) nothing more of this queue for now."""
        body = quality.PauseIn(reviewer=reviewer, reason=reason)
        return self._post(quality.GoldStandingOut, f"/v1/review-queues/{queue_id}/pauses", body)

    def lift_pause(self, queue_id: int, reviewer: str) -> quality.GoldStandingOut:
        """Let a reviewer (a pseudonym) work on."""
        body = quality.LiftIn(reviewer=reviewer)
        path = f"/v1/review-queues/{queue_id}/pauses/lift"
        return self._post(quality.GoldStandingOut, path, body)

    def adjudications(
        self, queue_id: int, *, limit: int = 50, cursor: str | None = None
    ) -> Page[quality.AdjudicationOut]:
        """A page of a queue's disagreements, the newest first."""
        path = f"/v1/review-queues/{queue_id}/adjudications"
        return self._get(Page[quality.AdjudicationOut], path, limit=limit, cursor=cursor)

    def adjudication_progress(self, queue_id: int) -> quality.AdjudicationProgressOut:
        """How far the adjudications of a queue have come."""
        path = f"/v1/review-queues/{queue_id}/adjudications/progress"
        return self._get(quality.AdjudicationProgressOut, path)


class Rubrics(Resource):
    """Rubrics of the library and of a project, in versions."""

    def library(self) -> list[quality.RubricOut]:
        """The rubrics that come with Strop."""
        return self._list(quality.RubricOut, "/v1/rubric-library")

    def versions(self, project_id: int, name: str) -> list[quality.RubricOut]:
        """All versions of a rubric, the oldest first."""
        return self._list(quality.RubricOut, f"/v1/projects/{project_id}/rubrics", name=name)

    def save(self, project_id: int, source: str) -> quality.RubricSaved:
        """Store a rubric (YAML) as the next version of its name; says what stays as it is."""
        body = quality.RubricIn(source=source)
        return self._create(quality.RubricSaved, f"/v1/projects/{project_id}/rubrics", body)

    def list(self, project_id: int) -> list[quality.RubricOut]:
        """The newest version of each of the project's rubrics."""
        return self._list(quality.RubricOut, f"/v1/projects/{project_id}/rubrics")
