"""Promotion follows the verdict, is append-only, and can be taken back step by step."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from backend.errors import Conflict
from backend.services import promotion
from backend.services.model_versions import alias_target
from backend.services.projects import create_project, set_manifest
from backend.services.verdicts import Verdict
from backend.tables.comparison import Comparison
from backend.tables.datasets import Dataset, DatasetVersion
from backend.tables.generation import GenerationRun
from backend.tables.model_versions import ModelVersion
from backend.tables.promotion import PromotionAction
from backend.tables.scoring import ScoreRun

BAR = "name: desk\nlines: [{metric: f1, threshold: 0.7}]"


class Bench:
    """A project with a base, adapters v1 to v3, and comparisons of any verdict."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.project = create_project(session, "desk", base_model="tiny")
        self.manifest = set_manifest(session, self.project.id, BAR)
        self.models = {name: self._model(name) for name in ("base", "v1", "v2", "v3")}
        self.score_run = self._score_run()

    def _model(self, name: str) -> ModelVersion:
        digests = dict.fromkeys(("base_sha256", "tokenizer_sha256", "template_sha256"), "0")
        model = ModelVersion(
            project_id=self.project.id,
            name=name,
            revision=1,
            base_model="tiny",
            adapter_path=None if name == "base" else name,
            **digests,
        )
        self.session.add(model)
        self.session.flush()
        return model

    def _score_run(self) -> ScoreRun:
        version = DatasetVersion(
            dataset=Dataset(project_id=self.project.id, name="d"),
            number=1,
            digest="0",
            n_examples=0,
            source_name="f",
            split_recipe={},
        )
        run = GenerationRun(
            project_id=self.project.id,
            dataset_version=version,
            split="test",
            engine="local",
            params={},
        )
        score_run = ScoreRun(generation_run=run, metrics=[])
        self.session.add(score_run)
        self.session.flush()
        return score_run

    def comparison(self, candidate: str, verdict: Verdict) -> Comparison:
        row = Comparison(
            project_id=self.project.id,
            manifest_id=self.manifest.id,
            score_run_id=self.score_run.id,
            baseline_id=self.models["base"].id,
            candidate_id=self.models[candidate].id,
            verdict=verdict,
            lines=[{"title": "f1 at least 0.7", "reason": "because", "verdict": verdict}],
        )
        self.session.add(row)
        self.session.flush()
        return row

    def champion(self) -> str | None:
        model = alias_target(self.session, self.project.id, "champion")
        return model.name if model else None


@pytest.fixture
def bench(session: Session) -> Bench:
    return Bench(session)


@pytest.mark.parametrize(
    ("verdict", "action", "champion"),
    [
        (Verdict.PASS, PromotionAction.PROMOTED, "v1"),
        (Verdict.FAIL, PromotionAction.HELD, None),
        (Verdict.INCONCLUSIVE, PromotionAction.HELD, None),
    ],
)
def test_decision_follows_the_verdict_and_keeps_the_reason(
    bench: Bench, verdict: Verdict, action: PromotionAction, champion: str | None
) -> None:
    comparison = bench.comparison("v1", verdict)
    row = promotion.decide_promotion(bench.session, comparison, decided_by_id=None)
    assert row.action == action
    assert row.reason == f"{verdict} by manifest: f1 at least 0.7: because"
    assert bench.champion() == champion


def test_promotion_without_pass_needs_a_reason_that_stays(bench: Bench) -> None:
    comparison = bench.comparison("v1", Verdict.INCONCLUSIVE)
    with pytest.raises(Conflict, match="--override"):
        promotion.promote(bench.session, comparison, decided_by_id=None)
    row = promotion.promote(bench.session, comparison, decided_by_id=None, override="urgent")
    assert row.reason == "OVERRIDE of INCONCLUSIVE: urgent"
    assert bench.champion() == "v1"


def test_rollbacks_walk_back_through_the_log(bench: Bench) -> None:
    for name in ("v1", "v2", "v3"):
        comparison = bench.comparison(name, Verdict.PASS)
        promotion.promote(bench.session, comparison, decided_by_id=None)
    seen = []
    for _ in range(2):
        promotion.roll_back(bench.session, bench.project.id, decided_by_id=None, reason="slow")
        seen.append(bench.champion())
    assert seen == ["v2", "v1"]
    with pytest.raises(Conflict, match="no model before"):
        promotion.roll_back(bench.session, bench.project.id, decided_by_id=None, reason="slow")
    assert len(promotion.list_promotions(bench.session, bench.project.id)) == 5
