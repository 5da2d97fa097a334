"""Sixty scored examples on which a base and an adapter can be judged, laid down as rows."""

from __future__ import annotations

from sqlalchemy.orm import Session

from backend.engines.base import GenerationResult
from backend.services.models.versions import list_models
from backend.services.projects import set_manifest
from backend.services.runs import generation, scoring
from backend.services.verdicts import comparison
from backend.tables.curation import TrainingSet
from backend.tables.models import ModelVersion
from backend.tables.projects import SuccessManifest
from backend.tables.training import TrainingRun
from backend.tables.verdicts import Comparison
from tests.fixtures_runs import Laid, lay_down_preflight, lay_down_project, lay_down_run

GOOD_BAR = """
name: bar
lines:
  - {metric: exact_match, threshold: 0.8}
  - {metric: exact_match, margin: 0.2}
  - {metric: exact_match, slice: {task: intent}, margin: -0.1}
"""


class Trial:
    """Sixty examples on which the base is always wrong and v1 right as often as is asked."""

    def __init__(
        self,
        session: Session,
        *,
        right: float,
        metrics: list[str],
        preflights: tuple[bool, ...] = (True,),
    ) -> None:
        self.session = session
        self.laid: Laid = lay_down_project(session, examples=60, adapters=1)
        run = lay_down_run(session, self.laid)
        for passed in preflights:
            lay_down_preflight(session, run, passed=passed)
        self.base, self.v1 = list_models(session, self.laid.project)
        generation.save_generations(session, run.id, self._answers(run.id, right))
        self.scores = scoring.create_score_run(session, generation_run_id=run.id, metrics=metrics)
        units = scoring.pending_units(session, self.scores.id)
        written = scoring.load_generations(session, [u.generation_id for u in units])
        scoring.save_scores(session, self.scores.id, scoring.score_units(units, written))

    def _answers(self, run_id: int, right: float) -> list[GenerationResult]:
        results, written = [], 0
        for request in generation.pending_requests(self.session, run_id):
            asked = request.messages[-1]["content"].partition("\n")[0]
            is_base = generation.parse_unit_key(request.key)[0] == self.base.id
            written += not is_base
            good = not is_base and (written * right) % 1 < right
            results.append(GenerationResult(request.key, text=asked if good else "no"))
        return results

    def train(self, manifest: SuccessManifest) -> None:
        """Say that v1 was trained under this bar."""
        project = self.laid.project
        frozen = TrainingSet(project_id=project, name="t", recipe={}, digest="0" * 64, n_rows=0)
        self.session.add(frozen)
        self.session.flush()
        run = TrainingRun(
            project_id=project,
            training_set_id=frozen.id,
            manifest_id=manifest.id,
            adapter_name="v1",
            config={},
            output_dir="nowhere",
        )
        self.session.add(run)
        self.session.flush()
        self.v1.training_run_id = run.id

    def judge(self, bar: str) -> Comparison:
        return comparison.compare_models(
            self.session,
            manifest_row=set_manifest(self.session, self.laid.project, bar),
            score_run=self.scores,
            baseline=self.base,
            candidate=self.v1,
        )

    def stranger(self) -> ModelVersion:
        """An adapter that took no part."""
        row = ModelVersion(
            project_id=self.laid.project,
            name="v9",
            revision=1,
            base_model="tiny",
            adapter_path="v9",
            **dict.fromkeys(("base_sha256", "tokenizer_sha256", "template_sha256"), "0"),
        )
        self.session.add(row)
        self.session.flush()
        return row
