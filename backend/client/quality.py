"""What keeps a queue honest, asked over HTTP: known answers, adjudications, rubrics; for leads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from backend.client.wire import Wire
from backend.schemas.common import Page
from backend.schemas.review import quality


class QualityClient(Wire):
    """Known answers and contests, pauses, adjudications, and versions of rubrics."""

    def list_gold(
        self, queue_id: int, *, limit: int = 50, cursor: str | None = None
    ) -> Page[quality.GoldShown]:
        """A page of a queue's known answers, the newest first."""
        path = f"/v1/review-queues/{queue_id}/gold"
        return self._get(Page[quality.GoldShown], path, limit=limit, cursor=cursor)

    def add_gold(self, queue_id: int, rows: Sequence[quality.GoldGiven]) -> quality.GoldAdded:
        """Add known answers to a queue: all of them, or none."""
        body = quality.GoldListGiven(rows=list(rows))
        return self._create(quality.GoldAdded, f"/v1/review-queues/{queue_id}/gold", body)

    def add_adjudicated_gold(
        self, queue_id: int, adjudication_ids: Sequence[int] = ()
    ) -> quality.GoldAdded:
        """Make known answers of what was decided in the queue."""
        body = quality.AdjudicatedGiven(adjudication_ids=list(adjudication_ids))
        path = f"/v1/review-queues/{queue_id}/gold/adjudicated"
        return self._create(quality.GoldAdded, path, body)

    def gold_standing(self, queue_id: int) -> list[quality.GoldStandingShown]:
        """How every reviewer stands on known answers, paused ones first."""
        path = f"/v1/review-queues/{queue_id}/gold-standing"
        return self._get_list(quality.GoldStandingShown, path)

    def gold_contests(self, queue_id: int, *, settled: bool = False) -> list[quality.ContestShown]:
        """Contests that wait for a lead, the oldest first; or the settled ones, newest first."""
        path = f"/v1/review-queues/{queue_id}/gold-contests"
        return self._get_list(quality.ContestShown, path, settled=settled)

    def resolve_contest(
        self, result_id: int, resolution: Literal["upheld", "withdrawn"], reason: str = ""
    ) -> quality.ResolutionShown:
        """Uphold a contested known answer, or withdraw it and undo what rested on it."""
        body = quality.ResolutionGiven(resolution=resolution, reason=reason)
        return self._post(quality.ResolutionShown, f"/v1/gold-results/{result_id}/resolve", body)

    def withdraw_gold(self, gold_id: int, reason: str) -> quality.ResolutionShown:
        """Withdraw a known answer and undo what rested on it."""
        body = quality.WithdrawalGiven(reason=reason)
        return self._post(quality.ResolutionShown, f"/v1/gold-answers/{gold_id}/withdraw", body)

    def pause_reviewer(
        self, queue_id: int, reviewer: str, reason: str
    ) -> quality.GoldStandingShown:
        """Give a reviewer (a pseudonym) nothing more of this queue for now."""
        body = quality.PauseGiven(reviewer=reviewer, reason=reason)
        path = f"/v1/review-queues/{queue_id}/pauses"
        return self._post(quality.GoldStandingShown, path, body)

    def lift_pause(self, queue_id: int, reviewer: str) -> quality.GoldStandingShown:
        """Let a reviewer (a pseudonym) work on."""
        body = quality.LiftGiven(reviewer=reviewer)
        path = f"/v1/review-queues/{queue_id}/pauses/lift"
        return self._post(quality.GoldStandingShown, path, body)

    def list_adjudications(
        self, queue_id: int, *, limit: int = 50, cursor: str | None = None
    ) -> Page[quality.AdjudicationShown]:
        """A page of a queue's disagreements, the newest first."""
        path = f"/v1/review-queues/{queue_id}/adjudications"
        return self._get(Page[quality.AdjudicationShown], path, limit=limit, cursor=cursor)

    def adjudication_progress(self, queue_id: int) -> quality.AdjudicationProgressShown:
        """How far the adjudications of a queue have come."""
        path = f"/v1/review-queues/{queue_id}/adjudications/progress"
        return self._get(quality.AdjudicationProgressShown, path)

    def rubric_library(self) -> list[quality.RubricShown]:
        """The rubrics that come with Strop."""
        return self._get_list(quality.RubricShown, "/v1/rubric-library")

    def list_rubrics(self, project_id: int) -> list[quality.RubricShown]:
        """The newest version of each of the project's rubrics."""
        return self._get_list(quality.RubricShown, f"/v1/projects/{project_id}/rubrics")

    def rubric_versions(self, project_id: int, name: str) -> list[quality.RubricShown]:
        """All versions of a rubric, the oldest first."""
        path = f"/v1/projects/{project_id}/rubrics"
        return self._get_list(quality.RubricShown, path, name=name)

    def save_rubric(self, project_id: int, source: str) -> quality.RubricSaved:
        """Store a rubric (YAML) as the next version of its name; says what stays as it is."""
        body = quality.RubricGiven(source=source)
        return self._create(quality.RubricSaved, f"/v1/projects/{project_id}/rubrics", body)
