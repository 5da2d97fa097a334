"""Runs and trainings that go on can be stopped from their pages; stopped ones say by whom."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dashboard.fake_client import FakeClient, engineers_project
from tests.dashboard.test_lead_pages import button, open_page, told

TOLD = "Run 1 was cancelled by eva: wrong split"


def _client(**job: Any) -> FakeClient:
    project = engineers_project()
    changed = project["list_jobs"][0].model_copy(update=job)
    for name in ("list_generation_runs", "list_training_runs"):
        project[name] = [one.model_copy(update={"job": changed}) for one in project[name]]
    progress = project["training_progress"].model_copy(update={"state": changed.state})
    return FakeClient(role="engineer", project=project | {"training_progress": progress})


@pytest.mark.parametrize(("page", "what"), [("runs", "run"), ("trainings", "training")])
def test_work_that_goes_on_is_cancelled_with_a_reason(page: str, what: str) -> None:
    client = _client(state="running", error=None, finished_at=None)
    app = open_page(page, client)
    next(each for each in app.text_input if each.label.startswith("Why?")).set_value("slow").run()
    button(app, f"Cancel {what} 1").click().run()
    assert client.cancelled == [(what, 1, "slow")]


@pytest.mark.parametrize("page", ["runs", "trainings"])
def test_cancelled_work_says_by_whom_and_has_no_button(page: str) -> None:
    app = open_page(page, _client(state="cancelled", error=TOLD))
    assert TOLD in told(app)
    assert [each.label for each in app.button if each.label.startswith("Cancel ")] == []
