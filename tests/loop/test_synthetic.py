"""Synthetic rows from documents to a comparison, by the commands that a team types.

An adapter of the demo's base drafts, a script answers as the expert, and two sets are trained.
`make test-all` plays it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from backend.cli.common import Installation
from backend.cli.demo import reviews, steps
from backend.cli.terminal.waiting import worker_for
from backend.db import connect, migrate
from backend.settings import DEMO_BASE, Settings
from backend.tables.curation import TrainingSet
from backend.tables.review import Review

pytestmark = pytest.mark.timeout(1500)
ASKED = "Summarise this call for the customer record."
PLAIN = "template: |-\n  {{ input }}\n  {% if context %}\n  {{ context }}\n  {% endif %}\n"
CONFIG = "epochs: 4\nbatch_size: 4\nlearning_rate: 0.002\nmax_length: 512\n"


@pytest.fixture
def demo(tmp_path: Path) -> steps.Demo:
    """The demo's project with few rows and an adapter that has learned what a summary is."""
    settings = Settings(home=tmp_path / "home", torch_threads=1, worker_poll_seconds=0.1)
    migrate(settings.url)
    installation = Installation(settings, connect(settings))
    scale = steps.DemoScale("demo", rows=150, references=60, reviews=0, training={}, again={})
    project_id = steps.make_project(installation, DEMO_BASE)
    made = steps.Demo(installation, project_id, "local", scale=scale)
    steps.import_examples(made, fractions=(0.6, 0.1, 0.3))
    steps.freeze_first_set(made)
    with worker_for(installation.sessions, settings):
        steps.train(made, "first", "v1")
    return made


def _strop(demo: steps.Demo, *command: str) -> Mapping[str, Any]:
    """The answer of `strop COMMAND --json`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STROP_")}
    clean |= {"STROP_HOME": str(demo.installation.settings.home), "STROP_TORCH_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, "-m", "backend.cli", *command, "--json"],
        env=clean,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    found: Mapping[str, Any] = json.loads(ended.stdout)
    return found


def _documents(demo: steps.Demo, folder: Path) -> Path:
    """Calls that the project has never seen, each a file."""
    rows = steps.make_data(demo, "calls", ["--n", "12", "--seed", "991", "--task", "summary"])
    folder.mkdir()
    for number, line in enumerate(rows.read_text(encoding="utf-8").splitlines()):
        (folder / f"call-{number}.txt").write_text(json.loads(line)["context"], encoding="utf-8")
    return folder


@pytest.mark.deep
def test_drafts_are_let_in_by_the_expert_and_compared(demo: steps.Demo, tmp_path: Path) -> None:
    prompt, config = tmp_path / "plain.yaml", tmp_path / "train.yaml"
    prompt.write_text(PLAIN, encoding="utf-8")
    config.write_text(CONFIG, encoding="utf-8")
    folder = _documents(demo, tmp_path / "calls")
    _strop(demo, "prompt", "add", str(prompt))
    drafted = _strop(
        *(demo, "synthetic", "draft", "--from", "documents", str(folder), "--n", "12"),
        *("--model", "v1", "--prompt", "plain", "--input", ASKED, "--shots", "0"),
        *("--temperature", "0.3", "--max-tokens", "120", "--dataset", "desk"),
    )
    waiting = drafted["states"]["waiting"]
    assert waiting > 0
    expert = reviews.simulated_expert(demo)
    opened = _strop(
        demo, "synthetic", "open", drafted["name"], "--queue", "drafts", "--reviewers", expert
    )
    assert opened["items"] == waiting
    reviews.simulate_reviews(demo, "drafts", expert)
    decided = _strop(demo, "synthetic", "show", drafted["name"])
    let_in = decided["states"]["approved"] + decided["states"]["corrected"]
    assert let_in + decided["states"]["refused"] == waiting == decided["simulated"]
    assert let_in > 0
    compared = _strop(
        *(demo, "synthetic", "compare", "more", "--queue", "drafts", "--references", "20"),
        *("--dataset", "desk", "--train", "--config", str(config), "--max-tokens", "80"),
    )
    assert compared["with"]["rows"] == compared["without"]["rows"] + let_in == 20 + let_in
    assert compared["with"]["simulated"]
    assert not compared["without"]["simulated"]
    assert f"{let_in} of them by simulated reviews" in compared["said"]
    [found] = compared["differences"]
    assert found["metric"] == "rougeL"
    assert found["error"] is None
    assert found["low"] <= found["value"] <= found["high"]
    assert found["n"] == 15
    with demo.installation.sessions() as session:
        assert all(session.scalars(select(Review.simulated)))
        sets = {one.name: one.recipe for one in session.scalars(select(TrainingSet))}
    assert sets["more"]["synthetic"]["drafted_by"] == {"base:v1@1+plain@1": let_in}
    assert "synthetic" not in sets["more-without-synthetic"] or (
        sets["more-without-synthetic"]["synthetic"]["rows"] == 0
    )
