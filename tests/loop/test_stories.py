"""Each story once, from its first rows to a verdict, on the demo's base; all people are scripts.

The steps are the demo's own, which `test_demo.py` plays in every run of the tests; the stories are
played by `make test-all`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from backend.cli.common import Installation
from backend.cli.demo import reviews, steps
from backend.cli.terminal.waiting import worker_for
from backend.db import connect, migrate
from backend.services.dossier.make import comparison_of, make_dossier
from backend.services.dossier.signing import signing_key
from backend.services.models.versions import find_model
from backend.services.stories.begin import DATASET, begin_story
from backend.services.stories.stories import STORIES, Story
from backend.settings import DEMO_BASE, Settings
from backend.tables.review import Review
from backend.tables.verdicts import Comparison

pytestmark = pytest.mark.timeout(900)
METRICS = ["rougeL", "invented", "grounding"]


def _play(home: Path, story: Story) -> Installation:
    settings = Settings(home=home, torch_threads=1, worker_poll_seconds=0.1)
    migrate(settings.url)
    installation = Installation(settings, connect(settings))
    project_id = steps.make_project(
        installation, DEMO_BASE, name=story.name, bar=story.source("bar")
    )
    with installation.sessions.begin() as session:
        begin_story(session, project_id, story)
    demo = steps.Demo(installation, project_id, "local")
    recipe = {"dataset": DATASET, "references": {"count": 40}, "seed": steps.SEED}
    steps.freeze(demo, "first", recipe)
    with worker_for(installation.sessions, settings):
        steps.train(demo, "first", "v1", epochs=4, batch_size=4)
        run = steps.generate_and_score(demo, ["base", "v1"], "test", METRICS, dataset=DATASET)
    expert = reviews.simulated_expert(demo)
    reviews.open_queue(demo, "blind", "pair", run, ["base", "v1"], [expert])
    reviews.simulate_reviews(demo, "blind", expert)
    reviews.judge(demo, "v1", "base")
    return installation


@pytest.mark.deep
@pytest.mark.parametrize("name", STORIES)
def test_a_story_is_played_to_a_verdict_and_its_dossier(name: str, tmp_path: Path) -> None:
    story = STORIES[name]
    installation = _play(tmp_path, story)
    with installation.sessions() as session:
        row = session.scalars(select(Comparison)).one()
        assert row.verdict in ("PASS", "FAIL", "INCONCLUSIVE")
        judged = {line["metric"]: line for line in row.lines}
        assert judged["rougeL"]["evidence"] is not None
        assert judged["invented"]["evidence"] is not None
        assert all(session.scalars(select(Review.simulated)))
        model = find_model(session, row.project_id, "v1")
        found = comparison_of(session, row.project_id, model)
        made = make_dossier(session, found, signing_key(installation.settings))
        simulated = f", {row.n_simulated} votes simulated" if row.n_simulated else ""
        assert made.first.startswith(f"{row.verdict}{simulated}: base:v1@1 against base in {name}")
