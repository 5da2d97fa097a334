"""The page Health: what it says of reports, of none, and what its buttons send."""

from __future__ import annotations

import re

import pytest

from backend.schemas.health import HealthReportOut
from backend.schemas.review.reports import Measured
from dashboard.session import CLIENT_KEY
from dashboard.views import health as page
from tests.dashboard.fake_client import HOSTILE, engineers_project
from tests.dashboard.fake_health import finding, report
from tests.dashboard.test_pages import click, open_page, shown


@pytest.fixture(scope="module")
def faulty() -> HealthReportOut:
    made = report()
    kinds = [
        one.model_copy(
            update={
                "severity": "severe",
                "flagged": 3,
                "by_split": {"train": 2, "test": 1},
                "confirmed": Measured(value=0.7, low=0.4, high=0.9, n=10, note="few"),
            }
        )
        if one.kind == "residue"
        else one
        for one in made.kinds
    ]
    return made.model_copy(update={"kinds": kinds, "worst": "severe"})


def test_a_report_shows_severity_share_and_what_experts_confirmed(
    faulty: HealthReportOut,
) -> None:
    project = {**engineers_project(), "health": [faulty], "findings": [finding(1), finding(2)]}
    app = open_page("health", project)
    assert not app.exception
    told = shown(app)
    assert "severe" in told
    assert "0.700 [0.400, 0.900] n=10, few" in told
    assert "Dear {{name}}" in told
    assert "To do: Strip it" in told
    assert "Could not be looked for: 2" in str([one.label for one in app.expander])
    assert "no classes" in told
    assert "No curve of candidates yet" in app.caption[0].value


def test_the_button_sends_the_kind_with_split_and_number(faulty: HealthReportOut) -> None:
    project = {**engineers_project(), "health": [faulty], "findings": [finding(1)]}
    app = click(open_page("health", project), "Send to review")
    assert not app.exception
    (body,) = app.session_state[CLIENT_KEY].project["sent"]
    assert (body.kinds, body.split, body.n_items) == (["residue"], "train", 2)
    assert body.name == "residue 1"
    assert "Opened the queue residue 1" in app.success[0].value
    assert re.search(r"<a href='/?queues\?queue=5'[^>]*>Watch residue 1</a>", shown(app))


def test_without_a_report_the_page_says_how_to_get_one() -> None:
    app = open_page("health", {**engineers_project(), "health": [], "datasets": []})
    assert not app.exception
    assert "strop dataset health" in app.info[0].value


def test_a_report_under_way_and_one_that_failed_say_so() -> None:
    waiting = report(finished_at=None, state="running", kinds=[])
    app = open_page("health", {**engineers_project(), "health": [waiting]})
    assert not app.exception
    assert "running" in app.info[0].value
    failed = report(finished_at=None, state="failed", error="No <b>row</b>.", kinds=[])
    app = open_page("health", {**engineers_project(), "health": [failed]})
    assert "The examination ended" in app.error[0].value


def test_hostile_texts_stay_text(faulty: HealthReportOut) -> None:
    rows = [finding(1, text=HOSTILE, external_id=HOSTILE, why=HOSTILE, start=None)]
    app = open_page("health", {**engineers_project(), "health": [faulty], "findings": rows})
    assert not app.exception
    assert "<script>" not in shown(app)


@pytest.mark.parametrize(
    ("text", "start", "told"),
    [("short", None, "short"), ("a" * 200, None, "a" * 160 + " …"),
     ("b" * 300 + "X", 300, "… " + "b" * 80 + "X")],
)  # fmt: skip
def test_an_excerpt_is_around_the_place(text: str, start: int | None, told: str) -> None:
    assert page.excerpt(text, start) == told
