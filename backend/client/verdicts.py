"""Comparisons by the bar, slices, flips, and promotions."""

from __future__ import annotations

from backend.client.wire import Resource
from backend.schemas import dossier as dossiers
from backend.schemas import verdicts as comparison


class Verdicts(Resource):
    """Comparisons by the bar, slices, flips, and promotions."""

    def compare(self, project_id: int, body: comparison.ComparisonIn) -> comparison.ComparisonOut:
        """Judge a candidate by the manifest."""
        path = f"/v1/projects/{project_id}/comparisons"
        return self._wire.create(comparison.ComparisonOut, path, body)

    def get(self, comparison_id: int) -> comparison.ComparisonDetail:
        """A comparison in full."""
        return self._wire.get(comparison.ComparisonDetail, f"/v1/comparisons/{comparison_id}")

    def slices(self, comparison_id: int) -> list[comparison.SliceOut]:
        """The manifest's metrics on every slice."""
        return self._wire.get_list(comparison.SliceOut, f"/v1/comparisons/{comparison_id}/slices")

    def flips(
        self, comparison_id: int, *, metric: str | None = None, limit: int = 5
    ) -> comparison.FlipsOut:
        """Examples on which the candidate is better or worse, to be read."""
        path = f"/v1/comparisons/{comparison_id}/flips"
        return self._wire.get(comparison.FlipsOut, path, metric=metric, limit=limit)

    def dossier(self, comparison_id: int, *, with_texts: bool = False) -> bytes:
        """The signed archive of a comparison."""
        path = f"/v1/comparisons/{comparison_id}/dossier"
        return b"".join(self._wire.stream(path, with_texts=with_texts))

    def dossier_key(self) -> dossiers.DossierKeyOut:
        """The public key by which dossiers are checked."""
        return self._wire.get(dossiers.DossierKeyOut, "/v1/dossier-key")

    def dossier_answers(self, project_id: int) -> dossiers.DossierAnswersOut:
        """The questions that Strop cannot answer, with the team's answers."""
        path = f"/v1/projects/{project_id}/dossier-answers"
        return self._wire.get(dossiers.DossierAnswersOut, path)

    def answer_dossier(
        self, project_id: int, body: dossiers.DossierAnswersIn
    ) -> dossiers.DossierAnswersOut:
        """Keep answers that are new."""
        path = f"/v1/projects/{project_id}/dossier-answers"
        return self._wire.post(dossiers.DossierAnswersOut, path, body)

    def promotions(self, project_id: int) -> list[comparison.PromotionOut]:
        """The log of decisions, newest first."""
        path = f"/v1/projects/{project_id}/promotions"
        return self._wire.get_list(comparison.PromotionOut, path)

    def promote(self, project_id: int, body: comparison.PromotionIn) -> comparison.PromotionOut:
        """Move an alias, or move it back."""
        path = f"/v1/projects/{project_id}/promotions"
        return self._wire.create(comparison.PromotionOut, path, body)

    def list(self, project_id: int) -> list[comparison.ComparisonOut]:
        """The comparisons, newest first."""
        path = f"/v1/projects/{project_id}/comparisons"
        return self._wire.get_list(comparison.ComparisonOut, path)
