"""Fairness: gaps between groups, counterfactual pairs, mentions in training data."""

from __future__ import annotations

from backend.client.wire import Resource
from backend.schemas import fairness as shapes


class Fairness(Resource):
    """Gaps between groups, counterfactual pairs, mentions in training data."""

    def lists(self) -> list[shapes.WordListOut]:
        """The lists by which names, genders, ages and places are exchanged."""
        return self._list(shapes.WordListOut, "/v1/fairness-lists")

    def slice_keys(self, generation_run_id: int) -> list[shapes.SliceKeyOut]:
        """The keys of a run's slices by which groups can be compared."""
        return self._list(shapes.SliceKeyOut, f"/v1/generation-runs/{generation_run_id}/slice-keys")

    def parity(
        self,
        score_run_id: int,
        *,
        by: str,
        metrics: str | None = None,
        model: int | None = None,
        margin: float | None = None,
        across_metrics: bool = False,
        rates: bool = False,
        labels: str | None = None,
        level: float = 0.95,
    ) -> list[shapes.ParityReportOut]:
        """Every metric by the groups of each key, with intervals that hold all at once."""
        return self._list(
            shapes.ParityReportOut,
            f"/v1/score-runs/{score_run_id}/parity",
            by=by,
            metrics=metrics,
            model=model,
            margin=margin,
            across_metrics=across_metrics,
            rates=rates,
            labels=labels,
            level=level,
        )

    def queue_parity(
        self, queue_id: int, *, by: str, margin: float | None = None, level: float = 0.95
    ) -> list[shapes.ParityReportOut]:
        """People's ratings by the groups of each key."""
        path = f"/v1/review-queues/{queue_id}/parity"
        return self._list(shapes.ParityReportOut, path, by=by, margin=margin, level=level)

    def pairs(self, project_id: int) -> list[shapes.PairsOut]:
        """The pairs that were made, the newest first, and the runs over them."""
        return self._list(shapes.PairsOut, f"/v1/projects/{project_id}/counterfactuals")

    def make_pairs(self, project_id: int, body: shapes.PairsIn) -> shapes.PairsOut:
        """Make pairs of a dataset's split."""
        return self._create(shapes.PairsOut, f"/v1/projects/{project_id}/counterfactuals", body)

    def answers(
        self, run_id: int, *, model: int | None = None, level: float = 0.95
    ) -> list[shapes.CounterfactualReportOut]:
        """How far answers to pairs move with a person's group, beyond the control."""
        path = f"/v1/generation-runs/{run_id}/counterfactuals"
        return self._list(shapes.CounterfactualReportOut, path, model=model, level=level)

    def mentions(
        self, training_set_id: int, *, language: str | None = None, level: float = 0.95
    ) -> shapes.SetMentions:
        """Which groups a training set mentions, and whether what it teaches goes with it."""
        path = f"/v1/training-sets/{training_set_id}/mentions"
        return self._get(shapes.SetMentions, path, language=language, level=level)
