"""Comparisons by the bar, slices, flips, and promotions."""

from __future__ import annotations

from backend.client.wire import Resource
from backend.schemas import dossier as dossiers
from backend.schemas import verdicts


class Verdicts(Resource):
    """Comparisons by the bar, slices, flips, and promotions."""

    def compare(self, project_id: int, body: verdicts.ComparisonIn) -> verdicts.ComparisonOut:
        """Judge a candidate by the manifest."""
        return self._create(verdicts.ComparisonOut, f"/v1/projects/{project_id}/comparisons", body)

    def get(self, comparison_id: int) -> verdicts.ComparisonDetail:
        """A comparison in full."""
        return self._get(verdicts.ComparisonDetail, f"/v1/comparisons/{comparison_id}")

    def slices(self, comparison_id: int) -> list[verdicts.SliceOut]:
        """The manifest's metrics on every slice."""
        return self._list(verdicts.SliceOut, f"/v1/comparisons/{comparison_id}/slices")

    def flips(
        self, comparison_id: int, *, metric: str | None = None, limit: int = 5
    ) -> verdicts.FlipsOut:
        """Examples on which the candidate is better or worse, to be read."""
        path = f"/v1/comparisons/{comparison_id}/flips"
        return self._get(verdicts.FlipsOut, path, metric=metric, limit=limit)

    def dossier(self, comparison_id: int, *, with_texts: bool = False) -> bytes:
        """The signed archive of a comparison."""
        path = f"/v1/comparisons/{comparison_id}/dossier"
        return b"".join(self._stream(path, with_texts=with_texts))

    def dossier_key(self) -> dossiers.DossierKeyOut:
        """The public key by which dossiers are checked."""
        return self._get(dossiers.DossierKeyOut, "/v1/dossier-key")

    def dossier_answers(self, project_id: int) -> dossiers.DossierAnswersOut:
        """The questions that Strop cannot answer, with the team's answers."""
        return self._get(dossiers.DossierAnswersOut, f"/v1/projects/{project_id}/dossier-answers")

    def answer_dossier(
        self, project_id: int, body: dossiers.DossierAnswersIn
    ) -> dossiers.DossierAnswersOut:
        """Keep answers that are new."""
        path = f"/v1/projects/{project_id}/dossier-answers"
        return self._post(dossiers.DossierAnswersOut, path, body)

    def promotions(self, project_id: int) -> list[verdicts.PromotionOut]:
        """The log of decisions, newest first."""
        return self._list(verdicts.PromotionOut, f"/v1/projects/{project_id}/promotions")

    def promote(self, project_id: int, body: verdicts.PromotionIn) -> verdicts.PromotionOut:
        """Move an alias, or move it back."""
        return self._create(verdicts.PromotionOut, f"/v1/projects/{project_id}/promotions", body)

    def list(self, project_id: int) -> list[verdicts.ComparisonOut]:
        """The comparisons, newest first."""
        return self._list(verdicts.ComparisonOut, f"/v1/projects/{project_id}/comparisons")
