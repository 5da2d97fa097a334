"""Comparisons by the bar, slices, flips, and promotions."""

from __future__ import annotations

from backend.client.wire import Resource
from backend.schemas import verdicts as comparison


class Verdicts(Resource):
    """Comparisons by the bar, slices, flips, and promotions."""

    def compare(
        self, project_id: int, body: comparison.ComparisonGiven
    ) -> comparison.ComparisonShown:
        """Judge a candidate by the manifest."""
        path = f"/v1/projects/{project_id}/comparisons"
        return self._wire.create(comparison.ComparisonShown, path, body)

    def get(self, comparison_id: int) -> comparison.ComparisonDetail:
        """A comparison in full."""
        return self._wire.get(comparison.ComparisonDetail, f"/v1/comparisons/{comparison_id}")

    def slices(self, comparison_id: int) -> list[comparison.SliceShown]:
        """The manifest's metrics on every slice."""
        return self._wire.get_list(comparison.SliceShown, f"/v1/comparisons/{comparison_id}/slices")

    def flips(
        self, comparison_id: int, *, metric: str | None = None, limit: int = 5
    ) -> comparison.FlipsShown:
        """Examples on which the candidate is better or worse, to be read."""
        path = f"/v1/comparisons/{comparison_id}/flips"
        return self._wire.get(comparison.FlipsShown, path, metric=metric, limit=limit)

    def promotions(self, project_id: int) -> list[comparison.PromotionShown]:
        """The log of decisions, newest first."""
        path = f"/v1/projects/{project_id}/promotions"
        return self._wire.get_list(comparison.PromotionShown, path)

    def promote(
        self, project_id: int, body: comparison.PromotionGiven
    ) -> comparison.PromotionShown:
        """Move an alias, or move it back."""
        path = f"/v1/projects/{project_id}/promotions"
        return self._wire.create(comparison.PromotionShown, path, body)

    def list(self, project_id: int) -> list[comparison.ComparisonShown]:
        """The comparisons, newest first."""
        path = f"/v1/projects/{project_id}/comparisons"
        return self._wire.get_list(comparison.ComparisonShown, path)
