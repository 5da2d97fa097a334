"""A model served elsewhere on the whole way: votes, a correction, the gate, and a promotion."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import Conflict, InvalidInput
from backend.services import review
from backend.services.curation import freeze_training_set
from backend.services.curation.recipes import Recipe
from backend.services.models.exporting import export_merged
from backend.services.projects import set_manifest
from backend.services.verdicts import comparison, promotion
from backend.tables.models import ModelKind
from tests.fixtures_review import (
    BAD,
    Desk,
    build_desk,
    review_next,
    run_over,
    score_answers,
    vote_on_pairs,
)
from tests.fixtures_runs import lay_down_preflight

BAR = "name: bar\nlines: [{metric: win_rate, threshold: 0.5}]"
FORGOT = "{metric: forgetting, direction: lower, threshold: 0.1}"


def served_desk(session: Session, **splits: int) -> Desk:
    """A desk whose second model is known by a name at a server alone."""
    desk = build_desk(session, splits=splits)
    gpt = desk.models[1]
    gpt.kind, gpt.adapter_path, gpt.base_model = ModelKind.SERVED, None, "gpt-4o"
    gpt.base_sha256 = gpt.tokenizer_sha256 = gpt.template_sha256 = ""
    session.flush()
    return desk


def test_votes_and_the_gate_take_a_served_model_as_any_other(
    sessions: sessionmaker[Session],
) -> None:
    with sessions() as session:
        desk = served_desk(session, test=40)
        base, gpt = desk.models
        run = run_over(session, desk, desk.version, split="test")
        queue = desk.open(session, "blind", kind="pair", generation_run_id=run.id)
        vote_on_pairs(session, desk, queue, "v" * 16)
        scores = score_answers(session, run, "exact_match")
        asked = {"score_run": scores, "baseline": base, "candidate": gpt, "queue": queue}
        bar = set_manifest(session, desk.project.id, BAR)
        unproved = comparison.compare_models(session, manifest_row=bar, **asked)
        assert unproved.lines[0]["verdict"] == "PASS"
        assert (unproved.verdict, promotion.is_passed(unproved)) == ("INCONCLUSIVE", False)
        lay_down_preflight(session, run)
        row = comparison.compare_models(session, manifest_row=bar, **asked)
        assert row.verdict == "PASS"
        move = promotion.plan_promotion(session, row)
        assert (move.model.name, move.model.elsewhere) == ("v1@1", True)
        assert (move.base.name, move.base.elsewhere) == ("base", False)
        decided = promotion.decide_promotion(session, row, decided_by_id=None)
        assert decided.action == "promoted"
        assert decided.evidence is not None
        assert decided.evidence["digests"]["base"] is None
        stricter = set_manifest(session, desk.project.id, BAR.replace("]", f", {FORGOT}]"))
        judged = comparison.compare_models(session, manifest_row=stricter, **asked)
        assert [line["verdict"] for line in judged.lines] == ["PASS", "INCONCLUSIVE"]
        with pytest.raises(Conflict, match="v1@1 was not trained here"):
            promotion.plan_promotion(session, judged)


def test_corrections_of_a_served_model_are_trained_on_and_its_weights_are_not_exported(
    sqlite_sessions: sessionmaker[Session], tmp_path_factory: pytest.TempPathFactory
) -> None:
    with sqlite_sessions.begin() as session:
        desk = served_desk(session, train=4)
        gpt, project_id = desk.models[1], desk.project.id
        queue = desk.open(session, "outputs", model_ids=[gpt.id])
        answer = review.Answer(BAD, correction="EUR 10.90 it is")
        review_next(session, queue, desk.experts[0], answer)
        recipe = Recipe.model_validate({"queues": ["outputs"]})
        frozen = freeze_training_set(session, project_id=project_id, name="s", recipe=recipe)
        assert frozen.n_rows == 1
    out = tmp_path_factory.mktemp("out") / "whole"
    with pytest.raises(InvalidInput, match="v1@1 is no adapter"):
        export_merged(sqlite_sessions, project_id, "v1", out)
