"""Promotion follows preflight and verdict, is signed by a lead, append-only, and taken back step by
step; servers that do not serve the model stop it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.engines.fake import FakeEngine
from backend.errors import Conflict, Forbidden, NotFound
from backend.services.accounts.users import create_user
from backend.services.models.serving import ServerAnswer, ServingReport, serve_move
from backend.services.models.versions import alias_target
from backend.services.projects import create_project, set_manifest
from backend.services.verdicts import promotion
from backend.services.verdicts.verdict import Verdict
from backend.tables.accounts import Role
from backend.tables.datasets import Dataset, DatasetVersion
from backend.tables.models import ModelVersion, Preflight
from backend.tables.runs import GenerationRun, GenerationRunModel, ScoreRun
from backend.tables.verdicts import Comparison, Promotion, PromotionAction

BAR = "name: desk\nlines: [{metric: f1, threshold: 0.7}]"


class Bench:
    """A project with a base, adapters v1 to v3, and comparisons of any verdict."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.project = create_project(session, "desk", base_model="tiny")
        self.manifest = set_manifest(session, self.project.id, BAR)
        self.models = {name: self._model(name) for name in ("base", "v1", "v2", "v3")}
        self.score_run = self._score_run()
        self.people = {
            role: create_user(session, f"the {role}", role, project_ids=[self.project.id])
            for role in Role
        }
        self.lead = self.people[Role.LEAD].id

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
        for position, model in enumerate(self.models.values()):
            part = {"run_id": run.id, "model_version_id": model.id, "position": position}
            self.session.add(GenerationRunModel(**part))
        self.session.flush()
        return score_run

    def comparison(
        self, candidate: str, verdict: Verdict, *, preflight: str | None = "PASS"
    ) -> Comparison:
        row = Comparison(
            project_id=self.project.id,
            manifest_id=self.manifest.id,
            score_run_id=self.score_run.id,
            baseline_id=self.models["base"].id,
            candidate_id=self.models[candidate].id,
            verdict=verdict,
            preflight={"verdict": preflight, "reason": "8 of 8 checks passed"}
            if preflight
            else None,
            lines=[{"title": "f1 at least 0.7", "reason": "because", "verdict": verdict}],
        )
        self.session.add(row)
        self.session.flush()
        return row

    def preflight(self, models: list[ModelVersion], passed: bool, value: float) -> None:
        tokens = {model.serving_name: [{"yes": value}] for model in models}
        self.session.add(
            Preflight(
                project_id=self.project.id,
                engine="vllm",
                model_ids=[model.id for model in models],
                passed=passed,
                checks=[],
                fingerprint={"probes": [[]], "first_tokens": tokens},
            )
        )
        self.session.flush()

    def promote(self, name: str, verdict: Verdict = Verdict.PASS, **how: Any) -> Promotion:
        how.setdefault("decided_by_id", self.lead)
        return promotion.promote(self.session, self.comparison(name, verdict), **how)

    def roll_back(self, **how: Any) -> Promotion:
        return promotion.roll_back(
            self.session, self.project.id, decided_by_id=self.lead, reason="slow", **how
        )

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
    assert row.evidence is not None
    assert ("without a person" in row.evidence.get("served", "")) is bool(champion)
    assert bench.champion() == champion


def test_promotion_without_pass_needs_a_reason_that_stays(bench: Bench) -> None:
    with pytest.raises(Conflict, match="--override"):
        bench.promote("v1", Verdict.INCONCLUSIVE)
    row = bench.promote("v1", Verdict.INCONCLUSIVE, override="urgent")
    assert (row.override, row.reason) == ("urgent", "OVERRIDE of INCONCLUSIVE: urgent")
    assert bench.champion() == "v1"


@pytest.mark.parametrize("preflight", [None, "FAIL", "INCONCLUSIVE"])
def test_promotion_without_a_passing_preflight_needs_a_reason(
    bench: Bench, preflight: str | None
) -> None:
    comparison = bench.comparison("v1", Verdict.PASS, preflight=preflight)
    with pytest.raises(Conflict, match="preflight"):
        promotion.promote(bench.session, comparison, decided_by_id=bench.lead)
    held = promotion.decide_promotion(bench.session, comparison, decided_by_id=None)
    assert held.action == PromotionAction.HELD
    assert bench.champion() is None


@pytest.mark.parametrize(
    ("role", "may"),
    [(Role.EXPERT, False), (Role.ENGINEER, False), (Role.LEAD, True), (Role.ADMIN, True)],
)
def test_leads_and_admins_sign_and_nobody_else(bench: Bench, role: Role, may: bool) -> None:
    signer = bench.people[role].id
    if may:
        assert bench.promote("v1", decided_by_id=signer).decided_by_id == signer
        return
    with pytest.raises(Forbidden, match="signed by a lead"):
        bench.promote("v1", decided_by_id=signer)
    comparison = bench.comparison("v1", Verdict.PASS)
    with pytest.raises(Forbidden):
        promotion.hold(bench.session, comparison, decided_by_id=signer, reason="no")
    with pytest.raises(Forbidden):
        promotion.roll_back(bench.session, bench.project.id, decided_by_id=signer, reason="x")


def test_a_lead_of_elsewhere_does_not_sign(bench: Bench) -> None:
    stranger = create_user(bench.session, "stranger", "lead")
    with pytest.raises(NotFound):
        bench.promote("v1", decided_by_id=stranger.id)


def test_a_lead_who_left_does_not_sign(bench: Bench) -> None:
    bench.people[Role.LEAD].active = False
    with pytest.raises(Forbidden):
        bench.promote("v1")


def test_a_lead_may_hold_what_passed(bench: Bench) -> None:
    comparison = bench.comparison("v1", Verdict.PASS)
    row = promotion.hold(bench.session, comparison, decided_by_id=bench.lead, reason="audit first")
    assert (row.action, row.decided_by_id) == (PromotionAction.HELD, bench.lead)
    assert row.reason.startswith("HELD by a lead: audit first (PASS by manifest")
    assert bench.champion() is None


def test_the_evidence_is_kept_with_the_decision(bench: Bench) -> None:
    evidence = bench.promote("v1").evidence
    assert evidence is not None
    assert evidence["verdict"] == "PASS"
    assert evidence["preflight"]["verdict"] == "PASS"
    assert evidence["bar"] == {"version": 1, "digest": bench.manifest.digest, "changed": None}
    assert set(evidence["digests"]) == {"base", "tokenizer", "template", "adapter"}
    assert "No server is configured" in evidence["served"]


def test_rollbacks_walk_back_through_the_log(bench: Bench) -> None:
    for name in ("v1", "v2", "v3"):
        bench.promote(name)
    seen = []
    for _ in range(2):
        bench.roll_back()
        seen.append(bench.champion())
    assert seen == ["v2", "v1"]
    with pytest.raises(Conflict, match="no model before"):
        bench.roll_back()
    assert len(promotion.list_promotions(bench.session, bench.project.id)) == 5


@pytest.mark.parametrize(
    "statement", ["UPDATE promotions SET reason = 'x'", "DELETE FROM promotions"]
)
def test_the_log_is_append_only(bench: Bench, statement: str) -> None:
    bench.promote("v1")
    bench.session.commit()
    with pytest.raises(IntegrityError, match="append-only"):
        bench.session.execute(text(statement))
    bench.session.rollback()


def test_a_server_that_does_not_serve_it_stops_the_promotion(bench: Bench) -> None:
    down = ServingReport((ServerAnswer("http://a", False, "does not answer"),))
    with pytest.raises(Conflict, match=r"The alias stays.*http://a: does not answer"):
        bench.promote("v1", serving=down)
    assert bench.champion() is None
    row = bench.promote("v1", serving=down, unserved="it restarts tonight")
    assert bench.champion() == "v1"
    assert row.evidence is not None
    assert row.evidence["unserved"] == "it restarts tonight"
    assert row.evidence["serving"]["servers"][0]["ok"] is False


def test_a_rollback_is_stopped_by_a_server_too(bench: Bench) -> None:
    bench.promote("v1")
    bench.promote("v2")
    down = ServingReport((ServerAnswer("http://a", False, "does not answer"),))
    with pytest.raises(Conflict, match="does not answer"):
        bench.roll_back(serving=down)
    assert bench.champion() == "v2"
    bench.roll_back(serving=down, unserved="it burns")
    assert bench.champion() == "v1"


def test_the_move_names_what_to_serve_and_what_was_before(bench: Bench) -> None:
    bench.promote("v1")
    comparison = bench.comparison("v2", Verdict.PASS)
    move = promotion.plan_promotion(bench.session, comparison)
    assert (move.alias, move.model.name, move.base.name) == ("champion", "v2@1", "base")
    assert move.before is not None
    assert move.before.name == "v1@1"
    assert move.fingerprint is None


def test_the_newest_passed_preflight_of_the_model_gives_the_fingerprint(bench: Bench) -> None:
    v1, v2 = bench.models["v1"], bench.models["v2"]
    for models, passed, value in [([v1], True, -1.0), ([v1], True, -2.0), ([v1], False, -3.0)]:
        bench.preflight(models, passed, value)
    bench.preflight([v2], True, -4.0)
    move = promotion.plan_promotion(bench.session, bench.comparison("v1", Verdict.PASS))
    assert move.fingerprint is not None
    assert move.fingerprint["first_tokens"]["v1@1"] == [{"yes": -2.0}]


def test_two_leads_who_roll_back_at_once_go_one_step(bench: Bench) -> None:
    for name in ("v1", "v2", "v3"):
        bench.promote(name)
    seen = promotion.current_label(bench.session, bench.project.id)
    plans = [promotion.plan_roll_back(bench.session, bench.project.id) for _ in range(2)]
    reports = [serve_move(plan, (), FakeEngine) for plan in plans]  # type: ignore[arg-type]
    bench.roll_back(serving=reports[0])
    with pytest.raises(Conflict, match=f"is base:v2@1 now, and was {seen} when you looked"):
        bench.roll_back(serving=reports[1])
    with pytest.raises(Conflict, match="somebody decided in between"):
        bench.roll_back(expected=seen)
    with pytest.raises(Conflict, match="somebody decided in between"):
        promotion.plan_roll_back(bench.session, bench.project.id, expected=seen)
    assert bench.champion() == "v2"
    bench.roll_back(expected="v2@1")
    assert bench.champion() == "v1"


def test_a_promotion_is_refused_when_the_champion_has_changed(bench: Bench) -> None:
    bench.promote("v1", expected="none")
    with pytest.raises(Conflict, match="was none when you looked"):
        bench.promote("v2", expected="none")
    bench.promote("v2", expected="v1@1")
    assert bench.champion() == "v2"


def test_a_decision_that_nobody_signs_is_refused_when_the_champion_was_moved_meanwhile(
    bench: Bench,
) -> None:
    stale = bench.comparison("v2", Verdict.PASS)
    stale.created_at -= timedelta(hours=1)
    bench.session.flush()
    other = bench.comparison("v1", Verdict.PASS)
    promotion.decide_promotion(bench.session, other, decided_by_id=None)
    with pytest.raises(Conflict, match="champion was moved to base:v1"):
        promotion.decide_promotion(bench.session, stale, decided_by_id=None)
    with pytest.raises(Conflict, match="after this comparison"):
        promotion.plan_promotion(bench.session, stale)
    over = promotion.plan_promotion(bench.session, stale, override="better than both")
    assert over.current == promotion.current_label(bench.session, bench.project.id)
    assert promotion.plan_promotion(bench.session, stale, alias="canary").alias == "canary"
    stale.baseline_id = bench.models["v1"].id  # it was judged over what is champion now
    assert promotion.plan_promotion(bench.session, stale).alias == "champion"
    held = bench.comparison("v2", Verdict.FAIL)
    assert promotion.decide_promotion(bench.session, held, decided_by_id=None).action == "held"
