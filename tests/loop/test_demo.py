"""The whole loop for real: strop demo, unattended, with the simulated experts.

Two adapters are trained and five sets of answers written on this machine. It is played with an
eighth of the rows, to the same end; `make test-all` plays the demo that people see, which takes
some minutes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.cli import main
from backend.cli.demo import steps
from backend.db import connect
from backend.settings import Settings
from backend.tables.accounts import User
from backend.tables.curation import TrainingSet, TrainingSetRow
from backend.tables.datasets import Example
from backend.tables.models import ModelVersion, Preflight
from backend.tables.review import Correction, Preference, Review
from backend.tables.runs import Generation
from backend.tables.verdicts import Comparison, Promotion

pytestmark = pytest.mark.timeout(1500)


# Only how many there are is changed; rows, jobs, trainer and engine are the demo's own. Of few rows
# it learns in small steps. What a training forgets is measured in tests/training/results.
SMALL: dict[str, Any] = {
    "rows": 120,
    "references": 48,
    "reviews": 14,
    "shares": (0.55, 0.1, 0.35),
    "training": {"epochs": 1, "batch_size": 8, "measure_forgetting": False},
    "again": {"epochs": 2},
}


def _demo(home: Path) -> int:
    """Play it; the whole one as people do, the small one in this process, which has loaded it."""
    arguments = ["demo", "--no-serve", "--simulate-experts", "--home", str(home)]
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("STROP_")]:
            patch.delenv(name)
        # Beside another process that computes (the real server), two threads on two cores wait for
        # each other most of the time: the demo then takes five times as long as with one.
        patch.setenv("STROP_TORCH_THREADS", "1")
        patch.setenv("STROP_BATCH_SIZE", "64")  # all answers of a model at once
        if home.name == "whole":
            command = [sys.executable, "-m", "backend.cli", *arguments]
            return subprocess.run(command, check=False, timeout=1400).returncode
        patch.setattr(steps, "OWN_BASE", replace(steps.OWN_BASE, **SMALL))
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return int(ended.value.code or 0)


@pytest.fixture(scope="module", params=["small", pytest.param("whole", marks=pytest.mark.deep)])
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / str(request.param)
    assert _demo(folder) == 0
    return folder


@pytest.fixture
def session(home: Path) -> Iterator[Session]:
    sessions = connect(Settings(home=home))
    with sessions() as session:
        yield session
    sessions.kw["bind"].dispose()


def _count(session: Session, table: type) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0


def test_second_adapter_is_better_than_the_base(session: Session, home: Path) -> None:
    """It invents less; that its summaries are nearer to the references takes all rows to show."""
    comparison = session.scalars(select(Comparison)).one()
    invented, _, summaries, *_ = comparison.lines
    assert (invented["metric"], summaries["metric"]) == ("invented", "rougeL")
    assert invented["evidence"]["high"] < 0
    assert summaries["evidence"]["value"] > 0
    if home.name == "whole":
        assert summaries["evidence"]["low"] > 0
    assert {line["verdict"] for line in comparison.lines} <= {"PASS", "FAIL", "INCONCLUSIVE"}
    assert all(line["evidence"]["n"] > 0 for line in comparison.lines)


def test_decision_follows_the_verdict_and_says_why(session: Session) -> None:
    comparison = session.scalars(select(Comparison)).one()
    decision = session.scalars(select(Promotion)).one()
    assert decision.action == ("promoted" if comparison.verdict == "PASS" else "held")
    assert decision.reason.startswith(f"{comparison.verdict} by manifest")
    assert decision.simulated


def test_only_the_train_split_was_trained_on(session: Session) -> None:
    query = select(Example.split).join(TrainingSetRow, TrainingSetRow.example_id == Example.id)
    assert set(session.scalars(query)) == {"train"}
    sources = set(session.scalars(select(TrainingSetRow.source)))
    assert {"reference", "approved", "corrected"} <= sources


def test_everything_simulated_says_so(session: Session) -> None:
    scripted = session.scalars(select(User).where(User.name == "simulated expert")).one()
    assert scripted.simulated
    assert scripted.password_hash is None
    reviews = session.scalars(select(Review)).all()
    assert reviews
    assert all(review.simulated and review.annotator_kind == "code" for review in reviews)
    second = session.scalars(select(TrainingSet).where(TrainingSet.name == "second")).one()
    assert second.simulated
    assert _count(session, Correction) > 0
    assert _count(session, Preference) > 0


def test_models_were_checked_and_registered_once(session: Session) -> None:
    labels = [model.label for model in session.scalars(select(ModelVersion))]
    assert sorted(labels) == ["base", "base:v1@1", "base:v2@1"]
    checks = session.scalars(select(Preflight)).all()
    assert len(checks) == 3
    assert all(check.passed for check in checks)


def test_starting_it_again_does_nothing_twice(home: Path, session: Session) -> None:
    tables = (Generation, Review, TrainingSetRow, ModelVersion, Promotion)
    before = [_count(session, table) for table in tables]
    session.rollback()
    assert _demo(home) == 0
    assert [_count(session, table) for table in tables] == before
