"""The part of the fake client that answers a lead's pages, from `project` by the method's name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from backend.errors import StropError
from backend.schemas.accounts import UserOut
from backend.schemas.datasets import DatasetVersionOut, ExampleOut
from backend.schemas.review.quality import (
    AdjudicationOut,
    AdjudicationProgressOut,
    ContestOut,
    GoldAdded,
    GoldOut,
    GoldStandingOut,
    ResolutionOut,
    RubricOut,
    RubricSaved,
)
from backend.schemas.review.queues import (
    DesignOut,
    OpeningDefaults,
    ReviewQueueIn,
    ReviewQueueOut,
)
from backend.schemas.review.reports import (
    AgreementReportOut,
    EffectOut,
    QueueReportOut,
    ReviewerQualityOut,
    WatchOut,
)


@dataclass
class FakePage:
    """A page of a list; there is never another."""

    items: list[Any]
    next: str | None = None


@dataclass
class FakeReports:
    """Figures of queues as they were put into `project`; remembers what was opened and closed."""

    project: dict[str, Any] = field(default_factory=dict)
    opened: list[ReviewQueueIn] = field(default_factory=list)
    previewed: list[ReviewQueueIn] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    lifted: list[tuple[int, str]] = field(default_factory=list)
    paused: list[tuple[int, str, str]] = field(default_factory=list)
    resolved: list[tuple[int, str, str]] = field(default_factory=list)
    made_gold_of: list[int] = field(default_factory=list)
    saved_rubrics: list[str] = field(default_factory=list)
    refuse_preview: StropError | None = None

    def _all(self, name: str) -> list[Any]:
        return list(self.project.get(name, []))

    def queues_report(self, queue_id: int) -> QueueReportOut:
        return self.project["queue_report"]

    def queues_agreement(self, queue_id: int, *, worst: int = 20) -> AgreementReportOut:
        return self.project["queue_agreement"]

    def queues_reviewers(self, queue_id: int) -> list[ReviewerQualityOut]:
        return self._all("queue_reviewers")

    def queues_effects(self, queue_id: int) -> list[EffectOut]:
        return self._all("queue_effects")

    def queues_watch(self, queue_id: int, **_: Any) -> list[WatchOut]:
        return self._all("watch_queue")

    def queues_close(self, queue_id: int) -> None:
        self.closed.append(queue_id)

    def accounts_members(self, project_id: int) -> list[UserOut]:
        return self._all("list_users")

    def datasets_list(self, project_id: int) -> list[DatasetVersionOut]:
        return self._all("list_datasets")

    def datasets_examples(self, dataset_version_id: int, **_: Any) -> FakePage:
        examples: list[ExampleOut] = self._all("list_examples")
        return FakePage(examples)

    def queues_defaults(self, project_id: int, kind: str = "single") -> OpeningDefaults:
        found = self.project.get("review_defaults")
        return found or OpeningDefaults(
            rubric="blind_pair" if kind == "pair" else "summary_faithfulness",
            rubric_version=None,
            reviewers=[one.name for one in self._all("list_users")],
            overlap=1,
            overlap_share=0.0,
            notes=["There is one expert: nobody can say how far reviewers agree."],
        )

    def queues_preview(self, project_id: int, body: ReviewQueueIn) -> DesignOut:
        if self.refuse_preview is not None:
            raise self.refuse_preview
        self.previewed.append(body)
        return self.project["design"]

    def queues_open(self, project_id: int, body: ReviewQueueIn) -> ReviewQueueOut:
        self.opened.append(body)
        return self.project["list_queues"][0]

    def quality_gold(self, queue_id: int, **_: Any) -> FakePage:
        known: list[GoldOut] = self._all("list_gold")
        return FakePage(known)

    def quality_gold_standing(self, queue_id: int) -> list[GoldStandingOut]:
        return self._all("gold_standing")

    def quality_gold_contests(self, queue_id: int, *, settled: bool = False) -> list[ContestOut]:
        return self._all("settled_contests" if settled else "gold_contests")

    def quality_resolve_contest(
        self, result_id: int, resolution: str, reason: str = ""
    ) -> ResolutionOut:
        self.resolved.append((result_id, resolution, reason))
        self.project["gold_contests"] = []
        return ResolutionOut(resolution=resolution, gold_id=1, n_results=3, unpaused=["E-8"])

    def quality_lift_pause(self, queue_id: int, reviewer: str) -> list[GoldStandingOut]:
        self.lifted.append((queue_id, reviewer))
        return []

    def quality_pause_reviewer(
        self, queue_id: int, reviewer: str, reason: str
    ) -> list[GoldStandingOut]:
        self.paused.append((queue_id, reviewer, reason))
        return []

    def quality_adjudication_progress(self, queue_id: int) -> AdjudicationProgressOut:
        none = AdjudicationProgressOut(opened=0, decided=0, held=0)
        return self.project.get("adjudication_progress", none)

    def quality_adjudications(self, queue_id: int, **_: Any) -> FakePage:
        found: list[AdjudicationOut] = self._all("list_adjudications")
        return FakePage(found)

    def quality_add_adjudicated_gold(self, queue_id: int) -> GoldAdded:
        self.made_gold_of.append(queue_id)
        return GoldAdded(queue_id=queue_id, ids=[1])

    def rubrics_list(self, project_id: int) -> list[RubricOut]:
        return self._all("list_rubrics")

    def rubrics_versions(self, project_id: int, name: str) -> list[RubricOut]:
        return self._all("rubric_versions")

    def rubrics_save(self, project_id: int, source: str) -> RubricSaved:
        self.saved_rubrics.append(source)
        return self.project["save_rubric"]
