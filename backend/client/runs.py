"""Generation runs, what was written, scores and their figures."""

from __future__ import annotations

from collections.abc import Iterator

from backend.client.wire import Resource
from backend.schemas import runs as shapes
from backend.schemas.common import Page


class Runs(Resource):
    """Generation runs, what was written, scores and their figures."""

    def create(self, project_id: int, body: shapes.GenerationRunIn) -> shapes.GenerationRunOut:
        """Queue a new run."""
        path = f"/v1/projects/{project_id}/generation-runs"
        return self._create(shapes.GenerationRunOut, path, body)

    def import_outputs(self, project_id: int, body: shapes.OutputsIn) -> shapes.OutputsImported:
        """Take outputs made elsewhere as a run; the same again is taken once."""
        path = f"/v1/projects/{project_id}/generation-runs/import"
        return self._create(shapes.OutputsImported, path, body)

    def get(self, run_id: int) -> shapes.GenerationRunOut:
        """A run and how far it is."""
        return self._get(shapes.GenerationRunOut, f"/v1/generation-runs/{run_id}")

    def resume(self, run_id: int) -> shapes.GenerationRunOut:
        """Queue a stopped run again; what it wrote stays."""
        return self._post(shapes.GenerationRunOut, f"/v1/generation-runs/{run_id}/resume")

    def generations(
        self,
        run_id: int,
        *,
        model_version_id: int | None = None,
        example_id: int | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[shapes.GenerationOut]:
        """A page of what the models wrote."""
        return self._get(
            Page[shapes.GenerationOut],
            f"/v1/generation-runs/{run_id}/generations",
            model_version_id=model_version_id,
            example_id=example_id,
            limit=limit,
            cursor=cursor,
        )

    def generation(self, generation_id: int) -> shapes.GenerationDetail:
        """One output with its example and its scores."""
        return self._get(shapes.GenerationDetail, f"/v1/generations/{generation_id}")

    def scorings(self, run_id: int) -> list[shapes.ScoreRunOut]:
        """The score runs over a run."""
        return self._list(shapes.ScoreRunOut, f"/v1/generation-runs/{run_id}/score-runs")

    def score(self, run_id: int, body: shapes.ScoreRunIn) -> shapes.ScoreRunOut:
        """Queue the scoring of a run."""
        return self._create(shapes.ScoreRunOut, f"/v1/generation-runs/{run_id}/score-runs", body)

    def report(self, score_run_id: int) -> shapes.ScoreRunDetail:
        """A score run with its figures."""
        return self._get(shapes.ScoreRunDetail, f"/v1/score-runs/{score_run_id}")

    def scores(self, score_run_id: int) -> Iterator[bytes]:
        """Every score as JSON lines, in pieces as they arrive."""
        return self._stream(f"/v1/score-runs/{score_run_id}/scores")

    def differences(
        self, score_run_id: int, *, baseline: int, candidate: int
    ) -> list[shapes.DifferenceOut]:
        """Candidate minus baseline, both by model version id, on the same examples."""
        return self._list(
            shapes.DifferenceOut,
            f"/v1/score-runs/{score_run_id}/differences",
            baseline=baseline,
            candidate=candidate,
        )

    def classes(self, score_run_id: int, *, model: int, metric: str) -> list[shapes.ClassRow]:
        """Precision, recall and F1 of each class, for a metric such as `f1@task=intent`."""
        path = f"/v1/score-runs/{score_run_id}/classes"
        return self._list(shapes.ClassRow, path, model=model, metric=metric)

    def list(
        self, project_id: int, *, limit: int = 50, cursor: str | None = None
    ) -> Page[shapes.GenerationRunOut]:
        """A page of runs, newest first."""
        return self._get(
            Page[shapes.GenerationRunOut],
            f"/v1/projects/{project_id}/generation-runs",
            limit=limit,
            cursor=cursor,
        )
