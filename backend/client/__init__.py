"""The typed HTTP client of Strop; the dashboard, notebooks and scripts speak to the server by it.

    with StropClient("http://127.0.0.1:8500", token="strop_...") as strop:
        for run in strop.list_generation_runs(project_id=1).items:
            print(run.id, run.progress.done)

A method answers with the shapes of backend.schemas and raises the errors of backend.errors, as if
the service had been called here. How a request travels is in backend.client.wire.
"""

from __future__ import annotations

from collections.abc import Iterator

from backend.client.desk import DeskClient
from backend.client.exchange import ExchangeClient
from backend.client.quality import QualityClient
from backend.client.queue import JobClient
from backend.client.queues import QueueClient
from backend.client.reports import ReportClient
from backend.client.rounds import RoundClient
from backend.client.verdicts import ComparisonClient
from backend.client.wire import sign_in
from backend.schemas import accounts as users
from backend.schemas import curation, datasets, projects, training
from backend.schemas import models as model_versions
from backend.schemas import runs as generation
from backend.schemas import runs as scoring
from backend.schemas import verdicts as comparison
from backend.schemas import verdicts as promotion
from backend.schemas.common import Page
from backend.schemas.queue import JobShown

__all__ = ["StropClient", "sign_in"]


class StropClient(
    DeskClient,
    QueueClient,
    ReportClient,
    QualityClient,
    ExchangeClient,
    RoundClient,
    ComparisonClient,
    JobClient,
):
    """A person's or a program's way to a Strop server; see `Wire` for its arguments and errors.

    The methods follow the loop; those of an expert's desk are in `DeskClient`, those of queues in
    `QueueClient` and of their figures in `ReportClient`, known answers, adjudications and rubrics
    in `QualityClient`, exports, imports and webhooks in `ExchangeClient`, rounds and lineage in
    `RoundClient`, cancelling in `JobClient`.
    """

    def list_users(self, project_id: int) -> list[users.UserShown]:
        """The members of a project."""
        return self._get_list(users.UserShown, f"/v1/projects/{project_id}/users")

    def list_projects(self) -> list[projects.ProjectShown]:
        """The projects that I may see."""
        return self._get_list(projects.ProjectShown, "/v1/projects")

    def create_project(self, body: projects.ProjectGiven) -> projects.ProjectShown:
        """A new project."""
        return self._create(projects.ProjectShown, "/v1/projects", body)

    def list_manifests(self, project_id: int) -> list[projects.ManifestShown]:
        """All versions of the bar; the last one stands."""
        return self._get_list(projects.ManifestShown, f"/v1/projects/{project_id}/manifests")

    def set_manifest(self, project_id: int, source: str) -> projects.ManifestShown:
        """Set the bar."""
        body = projects.ManifestGiven(source=source)
        return self._create(projects.ManifestShown, f"/v1/projects/{project_id}/manifests", body)

    def list_jobs(self, project_id: int) -> list[JobShown]:
        """The newest jobs of a project."""
        return self._get_list(JobShown, f"/v1/projects/{project_id}/jobs")

    def list_datasets(self, project_id: int) -> list[datasets.DatasetVersionShown]:
        """All versions of all datasets, newest first."""
        return self._get_list(datasets.DatasetVersionShown, f"/v1/projects/{project_id}/datasets")

    def import_dataset(
        self, project_id: int, body: datasets.DatasetGiven
    ) -> datasets.DatasetVersionShown:
        """Import rows as the next version of a dataset."""
        path = f"/v1/projects/{project_id}/datasets"
        return self._create(datasets.DatasetVersionShown, path, body)

    def list_examples(
        self,
        dataset_version_id: int,
        *,
        split: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[datasets.ExampleShown]:
        """A page of examples."""
        return self._get(
            Page[datasets.ExampleShown],
            f"/v1/dataset-versions/{dataset_version_id}/examples",
            split=split,
            limit=limit,
            cursor=cursor,
        )

    def list_models(self, project_id: int) -> list[model_versions.ModelVersionShown]:
        """The base and all adapters, with the aliases that point at them."""
        path = f"/v1/projects/{project_id}/model-versions"
        return self._get_list(model_versions.ModelVersionShown, path)

    def add_adapter(
        self, project_id: int, body: model_versions.AdapterGiven
    ) -> model_versions.ModelVersionShown:
        """Register an adapter folder that lies below the server's artifact root."""
        path = f"/v1/projects/{project_id}/model-versions"
        return self._create(model_versions.ModelVersionShown, path, body)

    def list_generation_runs(
        self, project_id: int, *, limit: int = 50, cursor: str | None = None
    ) -> Page[generation.GenerationRunShown]:
        """A page of runs, newest first."""
        return self._get(
            Page[generation.GenerationRunShown],
            f"/v1/projects/{project_id}/generation-runs",
            limit=limit,
            cursor=cursor,
        )

    def create_generation_run(
        self, project_id: int, body: generation.GenerationRunGiven
    ) -> generation.GenerationRunShown:
        """Queue a new run."""
        path = f"/v1/projects/{project_id}/generation-runs"
        return self._create(generation.GenerationRunShown, path, body)

    def generation_run(self, run_id: int) -> generation.GenerationRunShown:
        """A run and how far it is."""
        return self._get(generation.GenerationRunShown, f"/v1/generation-runs/{run_id}")

    def resume_generation_run(self, run_id: int) -> generation.GenerationRunShown:
        """Queue a stopped run again; what it wrote stays."""
        return self._post(generation.GenerationRunShown, f"/v1/generation-runs/{run_id}/resume")

    def list_generations(
        self,
        run_id: int,
        *,
        model_version_id: int | None = None,
        example_id: int | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[generation.GenerationShown]:
        """A page of what the models wrote."""
        return self._get(
            Page[generation.GenerationShown],
            f"/v1/generation-runs/{run_id}/generations",
            model_version_id=model_version_id,
            example_id=example_id,
            limit=limit,
            cursor=cursor,
        )

    def generation(self, generation_id: int) -> generation.GenerationDetail:
        """One output with its example and its scores."""
        return self._get(generation.GenerationDetail, f"/v1/generations/{generation_id}")

    def list_score_runs(self, run_id: int) -> list[scoring.ScoreRunShown]:
        """The score runs over a run."""
        return self._get_list(scoring.ScoreRunShown, f"/v1/generation-runs/{run_id}/score-runs")

    def create_score_run(self, run_id: int, body: scoring.ScoreRunGiven) -> scoring.ScoreRunShown:
        """Queue the scoring of a run."""
        path = f"/v1/generation-runs/{run_id}/score-runs"
        return self._create(scoring.ScoreRunShown, path, body)

    def score_run(self, score_run_id: int) -> scoring.ScoreRunDetail:
        """A score run with its figures."""
        return self._get(scoring.ScoreRunDetail, f"/v1/score-runs/{score_run_id}")

    def differences(
        self, score_run_id: int, *, baseline: int, candidate: int
    ) -> list[scoring.DifferenceShown]:
        """Candidate minus baseline, both by model version id, on the same examples."""
        return self._get_list(
            scoring.DifferenceShown,
            f"/v1/score-runs/{score_run_id}/differences",
            baseline=baseline,
            candidate=candidate,
        )

    def classes(self, score_run_id: int, *, model: int, metric: str) -> list[scoring.ClassShown]:
        """Precision, recall and F1 of each class, for a metric such as `f1@task=intent`."""
        path = f"/v1/score-runs/{score_run_id}/classes"
        return self._get_list(scoring.ClassShown, path, model=model, metric=metric)

    def list_training_sets(self, project_id: int) -> list[curation.TrainingSetShown]:
        """The frozen training sets, newest first."""
        path = f"/v1/projects/{project_id}/training-sets"
        return self._get_list(curation.TrainingSetShown, path)

    def freeze_training_set(
        self, project_id: int, body: curation.TrainingSetGiven
    ) -> curation.TrainingSetShown:
        """Freeze a training set."""
        path = f"/v1/projects/{project_id}/training-sets"
        return self._create(curation.TrainingSetShown, path, body)

    def export_training_set(self, training_set_id: int, format: str) -> Iterator[bytes]:
        """The rows as JSONL in another tool's format, in pieces as they arrive."""
        return self._stream(f"/v1/training-sets/{training_set_id}/export", format=format)

    def list_training_runs(self, project_id: int) -> list[training.TrainingRunShown]:
        """The training runs, newest first."""
        path = f"/v1/projects/{project_id}/training-runs"
        return self._get_list(training.TrainingRunShown, path)

    def start_training(
        self, project_id: int, body: training.TrainingRunGiven
    ) -> training.TrainingRunShown:
        """Queue a training."""
        path = f"/v1/projects/{project_id}/training-runs"
        return self._create(training.TrainingRunShown, path, body)

    def training_run(self, training_run_id: int) -> training.TrainingRunShown:
        """One training run."""
        return self._get(training.TrainingRunShown, f"/v1/training-runs/{training_run_id}")

    def training_progress(self, training_run_id: int) -> training.TrainingProgress:
        """Its loss curve so far."""
        path = f"/v1/training-runs/{training_run_id}/progress"
        return self._get(training.TrainingProgress, path)

    def list_comparisons(self, project_id: int) -> list[comparison.ComparisonShown]:
        """The comparisons, newest first."""
        path = f"/v1/projects/{project_id}/comparisons"
        return self._get_list(comparison.ComparisonShown, path)

    def compare(
        self, project_id: int, body: comparison.ComparisonGiven
    ) -> comparison.ComparisonShown:
        """Judge a candidate by the manifest."""
        path = f"/v1/projects/{project_id}/comparisons"
        return self._create(comparison.ComparisonShown, path, body)

    def list_promotions(self, project_id: int) -> list[promotion.PromotionShown]:
        """The log of decisions, newest first."""
        path = f"/v1/projects/{project_id}/promotions"
        return self._get_list(promotion.PromotionShown, path)

    def promote(self, project_id: int, body: promotion.PromotionGiven) -> promotion.PromotionShown:
        """Move an alias, or move it back."""
        path = f"/v1/projects/{project_id}/promotions"
        return self._create(promotion.PromotionShown, path, body)
