"""Model cards: written at registration, and again when a verdict or a decision arrives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.services.models.cards import write_card
from backend.services.projects import set_manifest
from backend.services.verdicts.promotion import decide_promotion
from backend.tables.curation import TrainingSet
from backend.tables.models import ModelVersion
from backend.tables.projects import SuccessManifest
from backend.tables.runs import GenerationRun, ScoreRun
from backend.tables.training import TrainingRun
from backend.tables.verdicts import Comparison
from tests.fixtures_runs import Laid, lay_down_project, lay_down_run
from tests.fixtures_trial import GOOD_BAR, Trial
from training.config import parse_config

LINE = {
    "title": "rougeL at least .05 better",
    "verdict": "PASS",
    "reason": "clears 0.05",
    "evidence": {
        "value": 0.12,
        "low": 0.08,
        "high": 0.16,
        "n": 200,
        "unit": "examples",
    },
}


@pytest.fixture
def session(sqlite_sessions: sessionmaker[Session]) -> Iterator[Session]:
    with sqlite_sessions() as session:
        yield session


@pytest.fixture
def laid(session: Session) -> Laid:
    return lay_down_project(session, adapters=2)


@pytest.fixture
def bar(session: Session, laid: Laid) -> SuccessManifest:
    bar = SuccessManifest(
        project_id=laid.project, version=3, digest="b" * 64, content={}, source="-"
    )
    session.add(bar)
    session.flush()
    return bar


@pytest.fixture
def adapter(session: Session, laid: Laid, bar: SuccessManifest, tmp_path: Path) -> ModelVersion:
    """An adapter that was trained here on simulated reviews, going on from v1."""
    frozen = TrainingSet(
        project_id=laid.project, name="t", recipe={}, digest="c" * 64, n_rows=1, simulated=True
    )
    session.add(frozen)
    session.flush()
    run = TrainingRun(
        project_id=laid.project,
        training_set_id=frozen.id,
        manifest_id=bar.id,
        start_model_id=laid.models[1],
        adapter_name="v2",
        config={},
        output_dir=str(tmp_path),
    )
    session.add(run)
    session.flush()
    adapter = session.get_one(ModelVersion, laid.models[2])
    (tmp_path / "v2").mkdir()
    adapter.adapter_path, adapter.training_run_id = str(tmp_path / "v2"), run.id
    adapter.training_facts = _facts()
    session.flush()
    return adapter


def _facts() -> dict[str, Any]:
    config = parse_config(
        {"base_model": "b", "train_file": "t", "output_dir": "o", "manifest_digest": "5" * 64}
    )
    return {
        "base_model": "tiny",
        "train": {"rows": 5, "tokens": 50},
        "config": config.model_dump(mode="json"),
        "loss_curve": [{"loss": 2.0}],
    }


def _judge(session: Session, laid: Laid, bar: SuccessManifest, adapter: ModelVersion) -> Comparison:
    run: GenerationRun = lay_down_run(session, laid)
    scores = ScoreRun(generation_run_id=run.id, metrics=[])
    session.add(scores)
    session.flush()
    row = Comparison(
        project_id=laid.project,
        manifest_id=bar.id,
        score_run_id=scores.id,
        baseline_id=laid.models[0],
        candidate_id=adapter.id,
        verdict="PASS",
        lines=[LINE, {**LINE, "title": "tone", "verdict": "INCONCLUSIVE", "evidence": None}],
    )
    session.add(row)
    session.flush()
    return row


def test_the_card_names_label_start_and_simulated_reviews(
    session: Session, adapter: ModelVersion, tmp_path: Path
) -> None:
    assert write_card(session, adapter) == tmp_path / "v2" / "README.md"
    card = (tmp_path / "v2" / "README.md").read_text()
    assert "# base:v2@1: LoRA adapter for tiny" in card
    assert "going on from base:v1@1" in card
    assert "Not judged by a manifest yet" in card
    assert "Trained on simulated reviews" in card.split("## Limits")[1]
    assert sorted(path.name for path in (tmp_path / "v2").iterdir()) == ["README.md"]


def test_a_decision_brings_verdict_interval_and_n_onto_the_card(
    session: Session, laid: Laid, bar: SuccessManifest, adapter: ModelVersion, tmp_path: Path
) -> None:
    comparison = _judge(session, laid, bar, adapter)
    decide_promotion(session, comparison, decided_by_id=None, simulated=True)
    card = (tmp_path / "v2" / "README.md").read_text()
    assert "**PASS** against base, by manifest version 3 (sha256 bbbbbbbbbbbb)" in card
    assert "| 0.120 [0.080, 0.160], n=200 examples | PASS | clears 0.05 |" in card
    assert "| tone | none | INCONCLUSIVE |" in card
    assert "champion: held (simulated). PASS by manifest" in card.split("## Decisions")[1]
    assert "A decision on it was simulated." in card.split("## Limits")[1]


def test_what_was_trained_elsewhere_keeps_its_card(
    session: Session, laid: Laid, tmp_path: Path
) -> None:
    model = session.get_one(ModelVersion, laid.models[1])
    (tmp_path / "v2").mkdir()
    model.adapter_path = str(tmp_path / "v2")
    (tmp_path / "v2" / "README.md").write_text("theirs")
    assert write_card(session, model) is None
    assert (tmp_path / "v2" / "README.md").read_text() == "theirs"


def test_a_folder_that_is_gone_is_no_error(session: Session, adapter: ModelVersion) -> None:
    adapter.adapter_path = "/nowhere/v2"
    assert write_card(session, adapter) is None


def test_a_verdict_reaches_the_card_at_once(session: Session, tmp_path: Path) -> None:
    trial = Trial(session, right=1.0, metrics=["exact_match"])
    bar = set_manifest(session, trial.laid.project, GOOD_BAR)
    trial.train(bar)
    trial.v1.adapter_path, trial.v1.training_facts = str(tmp_path), _facts()
    row = trial.judge(GOOD_BAR)
    card = (tmp_path / "README.md").read_text()
    assert f"**{row.verdict}** against base" in card
    assert ", n=60 examples" in card


def test_rows_withdrawn_since_are_a_limit(
    session: Session, adapter: ModelVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.services.models.cards.withdrawn_rows", lambda *_: 3)
    write_card(session, adapter)
    limits = (tmp_path / "v2" / "README.md").read_text().split("## Limits")[1]
    assert "3 rows that it was trained on were withdrawn since." in limits
