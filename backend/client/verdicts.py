"""Comparisons in full, asked over HTTP; for engineers and leads."""

from __future__ import annotations

from backend.client.wire import Wire
from backend.schemas import verdicts as comparison


class ComparisonClient(Wire):
    """One comparison beyond its verdict: differences, slices, flips."""

    def show_comparison(self, comparison_id: int) -> comparison.ComparisonDetail:
        """A comparison in full."""
        return self._get(comparison.ComparisonDetail, f"/v1/comparisons/{comparison_id}")

    def slices_of(self, comparison_id: int) -> list[comparison.SliceShown]:
        """The manifest's metrics on every slice."""
        return self._get_list(comparison.SliceShown, f"/v1/comparisons/{comparison_id}/slices")

    def flips_of(
        self, comparison_id: int, *, metric: str | None = None, limit: int = 5
    ) -> comparison.FlipsShown:
        """Examples on which the candidate is better or worse, to be read."""
        path = f"/v1/comparisons/{comparison_id}/flips"
        return self._get(comparison.FlipsShown, path, metric=metric, limit=limit)
